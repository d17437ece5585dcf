"""Bodies and answers of the legacy API, as upstream's clients write and read them, for the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from phospho_gateway.intake.models import GivenIdentifier, Identifier
from phospho_gateway.legacy.endpoints import MAX_LIMIT
from phospho_gateway.legacy.reads.filters import FILTERS
from phospho_gateway.legacy.writes.conversation import MergeMode
from phospho_schemas.messages import Flag, ProjectId

Seconds = int
NamedIdentifier = Annotated[str, Field(min_length=1, max_length=512)]
JsonObject = dict[str, Any]


class PageRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] | None = Field(None, description="1,000 by default")
    cursor: str | None = Field(None, description="next_cursor of the page before")


class ListRequest(PageRequest):
    filters: JsonObject | None = Field(
        None,
        description="upstream's ProjectDataFilters; all of them hold together",
        json_schema_extra={"propertyNames": {"enum": list(FILTERS)}},
    )


class FlatRequest(PageRequest):
    with_events: bool | None = None
    with_sessions: bool | None = None
    with_removed_events: bool | None = Field(None, description="changes nothing: no event is ever marked as removed")


class NewTask(BaseModel):
    model_config = ConfigDict(extra="allow")

    input: str
    output: str | None = None
    task_id: GivenIdentifier = None
    session_id: GivenIdentifier = None
    project_id: ProjectId | None = None
    flag: Flag | None = None
    metadata: JsonObject | None = None
    data: JsonObject | None = Field(None, description="kept as metadata")
    additional_input: JsonObject | None = Field(None, description="raw_input of a log")
    additional_output: JsonObject | None = Field(None, description="raw_output of a log")


class TaskChange(BaseModel):
    metadata: JsonObject | None = None
    data: JsonObject | None = None
    notes: str | None = None
    flag: Flag | None = None
    flag_source: str | None = None


class NewSession(BaseModel):
    project_id: ProjectId | None = None
    data: JsonObject | None = None


class FlatChange(BaseModel):
    task_id: NamedIdentifier
    task_metadata: JsonObject | None = None
    task_eval: Flag | None = None
    task_eval_source: str | None = None
    task_eval_at: float | None = None


class FlatChanges(BaseModel):
    flattened_tasks: list[FlatChange]


class FlagChange(BaseModel):
    flag: Flag | None
    notes: str | None = None
    source: str | None = None
    project_id: ProjectId | None = None


class HumanEvaluation(BaseModel):
    human_eval: Flag | None
    notes: str | None = None
    source: str | None = None
    project_id: ProjectId | None = None


class Message(BaseModel):
    role: str = Field(description="system, user or assistant; others stay in raw_input")
    content: Any = None
    id: str | None = Field(None, description="of the first message of a turn: knows the turn again in its session")


class Conversation(BaseModel):
    messages: list[Message] = Field(min_length=1)
    session_id: GivenIdentifier = None
    merge_mode: MergeMode | None = Field(
        None,
        description="resolve (default): a turn is known by the id of its first message, else by what the user said and "
        "by the turn before: a window on the last messages needs ids; replace: by its place; append: all are new",
    )
    created_at: str | float | None = Field(None, description="of the first turn; ISO 8601 or Unix seconds")
    metadata: JsonObject | None = None
    version_id: GivenIdentifier = None
    user_id: GivenIdentifier = None
    flag: Flag | None = None


class Conversations(BaseModel):
    batched_log_events: list[Conversation]
    project_id: ProjectId | None = None


class Evaluation(BaseModel):
    id: Identifier
    project_id: ProjectId
    flag: Flag | None
    notes: str | None = None
    source: str | None = None
    feedback_id: Identifier
    created_at: datetime


class Task(BaseModel):
    id: Identifier
    task_id: Identifier
    created_at: Seconds
    project_id: ProjectId
    session_id: Identifier
    input: str
    output: str | None
    additional_input: JsonObject
    additional_output: JsonObject
    metadata: JsonObject
    data: JsonObject
    flag: Flag | None
    last_eval: JsonObject | None
    human_eval: JsonObject | None
    notes: str | None
    sentiment: JsonObject | None
    language: str | None
    events: list[JsonObject]
    task_position: int | None = Field(description="from 1, in its session")
    is_last_task: bool | None


class TaskPage(BaseModel):
    tasks: list[Task]
    next_cursor: str | None


class Session(BaseModel):
    id: Identifier
    created_at: Seconds
    project_id: ProjectId
    metadata: JsonObject
    data: JsonObject
    preview: str | None = None
    events: list[JsonObject] = Field(description="the first 50")
    tasks: None
    session_length: int
    stats: JsonObject = {}
    last_message_ts: Seconds | None = None
    ignored: list[str] = Field([], description="fields of a new session that are not stored")


class SessionPage(BaseModel):
    sessions: list[Session]
    next_cursor: str | None


class Transcript(BaseModel):
    transcript: str
    next_cursor: str | None


class EventSettings(BaseModel):
    events: JsonObject


class Project(BaseModel):
    id: ProjectId
    created_at: Seconds
    org_id: str
    project_name: str
    settings: EventSettings


class FlattenedTask(BaseModel):
    model_config = ConfigDict(extra="allow")

    task_id: Identifier
    task_input: str
    task_output: str | None
    task_metadata: JsonObject
    task_eval: Flag | None
    task_eval_source: str | None
    task_eval_at: Seconds | None
    task_created_at: Seconds
    task_position: int
    session_id: Identifier = ""
    session_length: int = 0
    event_id: str | None = None
    event_name: str | None = None


class FlatPage(BaseModel):
    flattened_tasks: list[FlattenedTask]
    next_cursor: str | None


class RefusedChange(BaseModel):
    task_id: Identifier
    error: JsonObject


class FlatOutcome(BaseModel):
    changed: int
    unchanged: int
    not_found: list[str]
    errors: list[RefusedChange] = Field(
        description="tasks that are as they were, as their change is refused; the error as code, message and hint"
    )
    ignored_fields: list[str] = Field(description="fields that said something and are not written")
