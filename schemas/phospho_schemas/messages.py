"""
The messages of the Kafka topics, which are also the rows of the ClickHouse tables.

Every model keeps fields it does not know (`extra="allow"`), so that an older reader passes on what a newer writer
said. `schema_version` is 1; a reader sends any other version to the dead letters. Times are UTC, in milliseconds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

SCHEMA_VERSION = 1

Flag = Literal["success", "failure"]
Engine = Literal["keyword", "regex", "semantic"]
Scope = Literal["input", "output", "task"]
ProjectId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$")]
Identifier = Annotated[str, Field(min_length=1, max_length=512)]
OptionalIdentifier = Annotated[str, Field(max_length=512)]
Count = Annotated[int, Field(ge=0, le=2**32 - 1)]
Revision = Annotated[int, Field(ge=0, le=2**64 - 1)]


def utc_text(moment: datetime) -> str:
    """Return `moment` as ISO 8601 in UTC with milliseconds: the form of every time on the wire."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


UtcTime = Annotated[datetime, PlainSerializer(utc_text, when_used="json")]


class Message(BaseModel):
    """What every message has."""

    model_config = ConfigDict(extra="allow", ser_json_inf_nan="null")

    schema_version: Literal[1] = 1


class RawLog(Message):
    """
    One log as a client sent it; any key that is not named here is kept as metadata.

    `input` and `output` are text, or any object that extraction understands: an OpenAI request or response, a list
    of messages, an Ollama chunk. The gateway adds `project_id`, `received_at`, `revision` and `source`.
    """

    kind: Literal["log"] = "log"
    project_id: ProjectId
    input: Any
    output: Any = None
    session_id: Identifier | None = None
    task_id: Identifier | None = None
    user_id: str | None = None
    version_id: str | None = None
    client_created_at: float | None = Field(None, description="Unix seconds")
    created_at: datetime | None = None
    raw_input: Any = None
    raw_output: Any = None
    raw_input_type_name: str | None = None
    raw_output_type_name: str | None = None
    system_prompt: str | None = None
    flag: Flag | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    received_at: UtcTime | None = Field(None, description="set by the gateway; else the broker's append time")
    revision: Revision | None = Field(None, description="set by the gateway; else append time and offset")
    source: str = "kafka"


class RawFeedback(Message):
    """A person's verdict on a task, as a client sent it: a score (1 or 0) or a flag."""

    kind: Literal["feedback"] = "feedback"
    project_id: ProjectId
    task_id: Identifier
    feedback_id: Identifier | None = None
    score: Literal[0, 1] | None = None
    flag: Flag | None = None
    comment: str | None = None
    source: str = "user"
    client_created_at: float | None = Field(None, description="Unix seconds")
    received_at: UtcTime | None = None
    revision: Revision | None = None


class TaskRow(Message):
    """One task: what went into the LLM app and what came out. Key: project, task. The greatest revision wins."""

    project_id: ProjectId
    task_id: Identifier
    revision: Revision
    session_id: Identifier
    user_id: OptionalIdentifier = ""
    version_id: OptionalIdentifier = ""
    created_at: UtcTime
    received_at: UtcTime
    input: str
    output: str = ""
    system_prompt: str = ""
    flag: Flag | Literal[""] = ""
    model: str = ""
    tokens_in: Count | None = None
    tokens_out: Count | None = None
    latency_ms: float | None = Field(None, ge=0)
    metadata: dict[str, Any] = Field(default_factory=dict)
    raw_input: str = Field("", description="JSON text of what was logged, where it was not a string")
    raw_output: str = ""
    source: str = ""


class DetectedEvent(BaseModel):
    """One event found in a task, inside an analysis."""

    model_config = ConfigDict(extra="allow")

    id: Identifier
    name: Identifier
    definition_version: Count = 1
    engine: Engine
    scope: Scope
    score: float = Field(ge=0, le=1)
    evidence: str = Field("", description="the words that made the engine say yes, at most 200 characters")


class AnalysisRow(Message):
    """
    All that detection says of one revision of a task: language, sentiment and the events found.

    Key: project, task. It replaces what was said of an earlier revision, or by earlier definitions, as a whole, so
    that an event which a task logged again no longer shows is gone with it.
    """

    project_id: ProjectId
    task_id: Identifier
    revision: Revision
    definitions_revision: Revision = Field(0, description="of the definitions that were looked for")
    session_id: Identifier
    user_id: OptionalIdentifier = ""
    version_id: OptionalIdentifier = ""
    created_at: UtcTime
    language: str = Field("", description="ISO 639-1 code of the input; empty where it can't be told")
    language_score: float = Field(0.0, ge=0, le=1)
    sentiment: Literal["positive", "neutral", "negative", ""] = Field(
        "", description="of the input; empty where the language is not covered"
    )
    sentiment_score: float | None = Field(None, ge=-1, le=1)
    events: list[DetectedEvent] = Field(default_factory=list)


class EventMessage(Message):
    """One detected event by itself, for those who subscribe to the topic of events."""

    project_id: ProjectId
    task_id: Identifier
    revision: Revision
    session_id: Identifier
    created_at: UtcTime
    event: DetectedEvent


class FeedbackRow(Message):
    """One verdict of a person on a task. Key: project, task, feedback. The latest flag is the task's flag."""

    project_id: ProjectId
    task_id: Identifier
    feedback_id: Identifier
    revision: Revision
    flag: Flag
    score: Literal[0, 1]
    comment: str = ""
    source: str = "user"
    created_at: UtcTime
    received_at: UtcTime


class DeadLetterRow(Message):
    """
    One message that a stage could not read: the reason, where it stood, and its bytes as they came.

    A raw log is kept whole. Of a row that is larger than the topic of dead letters takes, the first bytes are.
    """

    dead_letter_id: Identifier
    project_id: str = Field("", description="where the message says it; else empty")
    stage: str
    reason: str = Field(description="a code out of a bounded set, such as invalid_json")
    detail: str = Field("", description="what happened, for a person; never the payload")
    source_topic: str
    source_partition: int
    source_offset: int
    payload_base64: str
    payload_bytes: int = Field(ge=0)
    is_truncated: bool = False
    key_base64: str = ""
    headers: list[tuple[str, str]] = Field(default_factory=list, description="name, value in base64")
    received_at: UtcTime = Field(description="when the message arrived, not when a stage read it: replays agree")
    revision: Revision


class EventDefinition(Message):
    """An event to look for, in plain words. Key: project, name, version; an edit makes the next version."""

    project_id: ProjectId
    name: Annotated[str, Field(min_length=1, max_length=128)]
    version: Count = 1
    revision: Revision = 0
    description: str = Field("", max_length=4000)
    engine: Engine = "semantic"
    scope: Scope = "task"
    keywords: list[str] = Field(default_factory=list, max_length=1000)
    pattern: str = Field("", max_length=4000)
    threshold: float | None = Field(None, ge=0, le=1)
    is_deleted: bool = False
    created_at: UtcTime


class Project(Message):
    """A project. `retention_days` 0 keeps its rows for ever."""

    project_id: ProjectId
    name: str = ""
    retention_days: Count = 0
    revision: Revision = 0
    created_at: UtcTime


class ApiKey(Message):
    """A key of a project. Only its SHA-256 is stored; `prefix` is enough of it for a person to know it again."""

    key_id: Identifier
    project_id: ProjectId
    key_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    prefix: str = ""
    name: str = ""
    revision: Revision = 0
    created_at: UtcTime
    revoked_at: UtcTime | None = None
