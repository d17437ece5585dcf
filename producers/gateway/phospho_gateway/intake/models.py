"""
Bodies and answers of the gateway's API, for its OpenAPI document.

They describe; they don't validate. Ingest reads fields by hand (`intake/fields.py`), which is several times faster and
lets one bad event harm only itself.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from phospho_schemas.messages import Flag, ProjectId
from phospho_web.openapi import Error

Identifier = Annotated[str, Field(max_length=512)]
# A number is taken as its digits.
GivenIdentifier = Identifier | int | None
Content = str | dict[str, Any] | list[Any]


class Event(BaseModel):
    model_config = ConfigDict(extra="allow")

    input: Content = Field(description="what went in: text, an OpenAI request, a list of messages")
    output: Content | None = Field(None, description="what came out: text, a response, a list of messages or chunks")
    session_id: GivenIdentifier = Field(None, description="groups the events of one conversation")
    task_id: GivenIdentifier = Field(None, description="your id of this event; the same id again replaces the event")
    event_id: GivenIdentifier = Field(None, description="another name of task_id")
    user_id: GivenIdentifier = Field(None, description="the user of the app")
    version_id: GivenIdentifier = Field(None, description="the version of your app")
    client_created_at: str | float | None = Field(None, description="as created_at, which wins over it")
    created_at: str | float | None = Field(None, description="ISO 8601, or Unix seconds or smaller units")
    raw_input: Any = Field(None, description="what input was made from")
    raw_output: Any = Field(None, description="what output was made from; without output, its text is read from this")
    raw_input_type_name: str | None = None
    raw_output_type_name: str | None = None
    system_prompt: str | None = None
    flag: Flag | None = None
    metadata: dict[str, Any] | None = Field(
        None, description="anything; model, tokens_in, tokens_out and latency_ms are recognised"
    )
    project_id: ProjectId | None = Field(None, description="must be the project of the key")


class SingleEvent(Event):
    output: Content | None = Field(None, description="as in a batch; needed, unless there is raw_output")


class Feedback(BaseModel):
    score: Literal[0, 1] | None = Field(None, description="1 (positive) or 0 (negative)")
    flag: Flag | None = Field(None, description="in place of score")
    comment: str | None = Field(None, description="free text")
    notes: str | None = Field(None, description="another name of comment")
    source: str | None = Field(None, description="who judged; user by default")
    feedback_id: GivenIdentifier = Field(None, description="your id of this feedback")


class LoggedEvent(BaseModel):
    event_id: Identifier
    session_id: Identifier
    created_at: datetime


class Receipt(LoggedEvent):
    receipt_id: Identifier = Field(description="GET /api/v1/receipts/{receipt_id} says where the event is now")


class FeedbackReceipt(BaseModel):
    event_id: Identifier
    feedback_id: Identifier
    created_at: datetime
    receipt_id: Identifier


class Accepted(LoggedEvent):
    status: Literal["accepted"]
    task_id: Identifier


class Rejected(BaseModel):
    status: Literal["rejected"]
    error: Error


class BatchResults(BaseModel):
    results: list[Accepted | Rejected]
    accepted: int
    rejected: int
    receipt_id: Identifier = Field(description="GET /api/v1/receipts/{receipt_id} says where the events are now")


class LoggedEvents(BaseModel):
    logged_events: list[dict[str, Any]]


class Health(BaseModel):
    status: Literal["ok"]


class Readiness(BaseModel):
    status: Literal["ready", "not_ready"]
    checks: dict[str, Any]
