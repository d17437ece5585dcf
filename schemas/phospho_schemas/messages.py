"""
The messages of the Kafka topics, which are also rows of ClickHouse, and the rows of the registry.

Every model keeps fields it does not know (`extra="allow"`), so that an older reader passes on what a newer writer
said. `schema_version` is 1; a reader sends any other version to the dead letters. Times are UTC, in milliseconds.
"""

from __future__ import annotations

import json
from datetime import datetime
from difflib import get_close_matches
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from phospho_schemas.ids import PROJECT_ID_PATTERN
from phospho_schemas.times import utc_text, zone_named

SCHEMA_VERSION = 1
# Lists and objects within each other, in an event. ClickHouse 26.9 stores more in a column of JSON, but can't merge a
# part that has 149 lists within each other and more than 64 paths (TOO_DEEP_AST): no later insert would succeed.
MAX_NESTING_LEVELS = 100
# The state of a turn is that of so many tasks before it: session_analysis_rows and found_events have the same number.
MAX_CONTEXT_TURNS = 20

Flag = Literal["success", "failure"]
Engine = Literal["keyword", "regex", "semantic", "llm"]
Scope = Literal["input", "output", "task", "system_prompt", "session"]
Sentiment = Literal["positive", "neutral", "negative", ""]
JudgeChoice = Literal["project", "none", "encoder", "llm"]
ProjectId = Annotated[str, Field(min_length=1, max_length=128, pattern=f"^{PROJECT_ID_PATTERN}$")]
Identifier = Annotated[str, Field(min_length=1, max_length=512)]
OptionalIdentifier = Annotated[str, Field(max_length=512)]
Count = Annotated[int, Field(ge=0, le=2**32 - 1)]
Revision = Annotated[int, Field(ge=0, le=2**64 - 1)]
# 256 bits that are alike for texts alike in meaning, as four numbers of 64.
Meaning = tuple[Revision, Revision, Revision, Revision]


UtcTime = Annotated[datetime, PlainSerializer(utc_text, when_used="json")]


class Message(BaseModel):
    """Base of every message."""

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
    whole_log_id: str = Field("", description="set by the gateway where parts hold the whole log")


class RawFeedback(Message):
    """A person's feedback on a task, as a client sent it: a score (1 or 0) or a flag."""

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


class RawStep(Message):
    """A step that came in another export than the calls of a model in its trace."""

    kind: Literal["step"] = "step"
    project_id: ProjectId
    trace_id: Identifier
    step: dict[str, Any] = Field(description="as in metadata.steps of a task; span_id is needed")
    received_at: UtcTime | None = None
    revision: Revision | None = None


class StepRow(Message):
    """A step whose task came in another export. Key: project, trace, span. Readers join it by its trace."""

    project_id: ProjectId
    trace_id: Identifier
    span_id: Identifier
    revision: Revision
    step: str = Field(description="the step as JSON text")
    created_at: UtcTime
    received_at: UtcTime


class RawPart(Message):
    """A slice of a log that is larger than a message. The log follows it, with the beginnings of its texts."""

    kind: Literal["part"] = "part"
    project_id: ProjectId
    task_id: Identifier
    whole_log_id: Identifier
    part: Count = Field(description="index of the slice")
    parts: Count = Field(description="number of slices")
    text: str = Field(description="slice of the log's JSON")
    created_at: UtcTime
    received_at: UtcTime | None = None
    revision: Revision | None = None


class PartRow(Message):
    """A slice of a log that is larger than a message. Key: project, task, whole log, part."""

    project_id: ProjectId
    task_id: Identifier
    whole_log_id: Identifier
    part: Count
    parts: Count
    revision: Revision
    text: str = Field(description="slice of the log's JSON")
    created_at: UtcTime
    received_at: UtcTime


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
    metadata_text: str = ""
    raw_input: str = Field("", description="JSON text of what was logged, where it was not a string")
    raw_output: str = ""
    source: str = ""
    whole_log_id: str = ""


class DetectedEvent(BaseModel):
    """One event found in a task, inside an analysis."""

    model_config = ConfigDict(extra="allow")

    id: Identifier
    name: Identifier
    definition_version: Count = 1
    engine: Engine
    scope: Scope
    score: float = Field(ge=0, le=1)
    evidence: str = ""
    classifier_version: Count = 0
    judge: Literal["", "encoder", "llm"] = ""
    value: float | None = None
    category: str = ""


class Candidate(BaseModel):
    """
    An event that detection is not sure of, found or not: what a judgement may be asked about.

    `content` is a hash of the texts that the definition reads, so that equal texts are asked about once.
    """

    model_config = ConfigDict(extra="allow")

    id: Identifier
    name: Identifier
    definition_version: Count = 1
    engine: Engine
    scope: Scope
    score: float = Field(ge=0, le=1)
    doubt: float = Field(ge=0, le=1)
    content: str


class AnalysisRow(Message):
    """
    All that detection says of one revision of a task: language, sentiment and the events found.

    Key: project, task. It replaces what was said of an earlier revision, or by earlier definitions, as a whole, so
    that an event which a task logged again no longer shows is gone with it.
    """

    project_id: ProjectId
    task_id: Identifier
    revision: Revision
    definitions_revision: Revision = 0
    session_id: Identifier
    user_id: OptionalIdentifier = ""
    version_id: OptionalIdentifier = ""
    created_at: UtcTime
    language: str = ""
    language_score: float = Field(0.0, ge=0, le=1)
    sentiment: Sentiment = ""
    sentiment_score: float | None = Field(None, ge=-1, le=1)
    sentiment_magnitude: float | None = Field(None, ge=0)
    output_language: str = ""
    output_language_score: float = Field(0.0, ge=0, le=1)
    output_sentiment: Sentiment = ""
    output_sentiment_score: float | None = Field(None, ge=-1, le=1)
    output_sentiment_magnitude: float | None = Field(None, ge=0)
    language_model: str = ""
    sentiment_model: str = ""
    theme: OptionalIdentifier = ""
    theme_score: float = Field(0.0, ge=-1, le=1)
    theme_version: Count = 0
    output_theme: OptionalIdentifier = ""
    output_theme_score: float = Field(0.0, ge=-1, le=1)
    meaning: Meaning = (0, 0, 0, 0)
    events: list[DetectedEvent] = Field(default_factory=list)
    candidates: list[Candidate] = Field(default_factory=list)


class EventMessage(Message):
    """One detected event by itself, for those who subscribe to the topic of events."""

    project_id: ProjectId
    task_id: Identifier
    revision: Revision
    session_id: Identifier
    created_at: UtcTime
    event: DetectedEvent


class FeedbackRow(Message):
    """A person's feedback on a task. Key: project, task, feedback. The latest flag is the task's flag."""

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


DeadLetterReason = Literal[
    "invalid_json",
    "not_an_object",
    "unknown_version",
    "unknown_kind",
    "invalid_field",
    "invalid_task",
    "too_deep",
    "too_large",
    "too_many_keys",
    "unencodable",
    "row_refused",
]


class DeadLetterRow(Message):
    """
    One message that a stage could not read: the reason, where it stood, and its bytes as they came.

    A raw log is kept whole. Of a row that is larger than the topic of dead letters takes, the first bytes are.
    """

    dead_letter_id: Identifier
    project_id: str = Field("", description="id of the project, if the message has one")
    stage: str
    reason: DeadLetterReason
    detail: str = ""
    source_topic: str
    source_partition: int
    source_offset: int
    payload_base64: str
    payload_bytes: int = Field(ge=0)
    is_truncated: bool = False
    key_base64: str = ""
    headers: list[tuple[str, str]] = Field(default_factory=list, description="name, value in base64")
    item_kind: Literal["task", "feedback", "step", ""] = Field("", description="kind of the log, if its bytes say it")
    item_id: str = Field("", description="identity of the log as in receipts, if its bytes say it")
    item_revision: Revision = 0
    received_at: UtcTime = Field(description="time of arrival of the message itself, so that replays agree")
    revision: Revision


class ScoreRange(BaseModel):
    """The meaning of an event's score: a confidence, a number from min to max, or one of several categories."""

    model_config = ConfigDict(extra="allow")

    type: Literal["confidence", "range", "category"] = "confidence"
    min: float = 0.0
    max: float = 1.0
    categories: list[Annotated[str, Field(min_length=1, max_length=128)]] = Field(default_factory=list, max_length=50)


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
    is_last_task: bool = False
    context_turns: int = Field(0, ge=0, le=MAX_CONTEXT_TURNS)
    score_range: ScoreRange = Field(default_factory=ScoreRange)
    judge: JudgeChoice = "project"
    is_deleted: bool = False
    created_at: UtcTime


def _zone_name(name: str) -> str:
    if name and zone_named(name) is None:
        nearest = next(iter(get_close_matches(name, available_timezones(), 1)), "")
        advice = f"did you mean {nearest}?" if nearest else "such as Europe/Berlin"
        raise ValueError(f"must be the IANA name of a time zone: {advice}")
    return name


class ProjectSettings(BaseModel):
    """The settings of a project, stored as JSON with it and read by every process."""

    model_config = ConfigDict(extra="allow")

    detect_events: bool = True
    detect_sentiment: bool = True
    detect_language: bool = True
    detect_themes: bool = True
    output_themes: bool = Field(default=False, description="find themes in outputs as well as in inputs")
    session_idle_minutes: int = Field(
        default=30, ge=1, le=10_080, description="a session is over after so long without a task"
    )
    llm_daily_tokens: Count = Field(default=1_000_000, description="tokens a day for judgements; 0: no LLM is asked")
    llm_daily_usd: float = Field(
        default=0.0, ge=0, description="money a day for judgements; 0: no bound in money, only in tokens"
    )
    llm_sample: float = Field(default=1.0, ge=0, le=1, description="share of the tasks that the LLM engine reads")
    webhook_wait_s: int = Field(
        default=60,
        ge=0,
        le=3600,
        description="webhooks wait so long for the judgement of an event in doubt; 0 tells it at once",
    )
    max_tasks_per_day: Count = Field(
        default=0, description="more are refused with 429 until midnight UTC; 0 sets no bound"
    )

    mask: list[Literal["email", "phone", "card", "iban", "ip"]] = Field(
        default_factory=list, description="what the gateway replaces in texts before they are stored"
    )
    time_zone: Annotated[str, AfterValidator(_zone_name)] = Field(
        default="",
        max_length=64,
        description="IANA name such as Europe/Berlin, used by charts, filters, lists and exports; empty: the browser's",
    )

    @property
    def session_idle_ms(self) -> int:
        """`session_idle_minutes` in milliseconds."""
        return self.session_idle_minutes * 60_000


def _from_json_text(value: Any) -> Any:
    return json.loads(value or "{}") if isinstance(value, str) else value


class Project(Message):
    """A project. `retention_days` 0 keeps its rows for ever."""

    project_id: ProjectId
    name: str = ""
    retention_days: Count = 0
    settings: Annotated[ProjectSettings, BeforeValidator(_from_json_text)] = Field(default_factory=ProjectSettings)
    revision: Revision = 0
    created_at: UtcTime


KeyScope = Literal["ingest", "read", "admin"]
"""The rights of a key in its project: log, read what was logged, or everything."""
KEY_SCOPES: tuple[KeyScope, ...] = ("ingest", "read", "admin")


class ApiKey(Message):
    """A key of a project. Only its SHA-256 is stored; `prefix` is enough of it for a person to know it again."""

    key_id: Identifier
    project_id: ProjectId
    key_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    prefix: str = ""
    name: str = ""
    scopes: Annotated[list[KeyScope], Field(min_length=1)] = ["admin"]
    revision: Revision = 0
    created_at: UtcTime
    expires_at: UtcTime | None = Field(None, description="time after which the key is refused; null: never")
    revoked_at: UtcTime | None = None
