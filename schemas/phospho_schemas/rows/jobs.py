"""The rows that jobs derive from stored tasks, and those that they work on. No topic carries them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from phospho_schemas.messages import (
    Count,
    DetectedEvent,
    Identifier,
    Message,
    OptionalIdentifier,
    ProjectId,
    Revision,
    UtcTime,
)

BackfillStatus = Literal["running", "judging", "done", "cancelled", "superseded", "failed"]
AnswerValue = Literal["yes", "no", ""]
CallOutcome = Literal["reserved", "answered", "no_answer", "refused", "failed", "skipped"]


class SessionAnalysisRow(Message):
    """
    The events of a finished session, or of one turn that was read with those before it.

    Key: project, session, turn (empty for the session), state. `state` is the hash of the tasks of the session, or of
    the turn and those before it, with their revisions (phospho_store.sql.sessions): once it differs from the present
    state, the events no longer hold. `revision` is the greatest of the tasks that were read.
    """

    project_id: ProjectId
    session_id: Identifier
    turn: OptionalIdentifier = ""
    state: Revision
    revision: Revision
    definitions_revision: Revision = 0
    task_id: Identifier
    tasks: Count
    user_id: OptionalIdentifier = ""
    version_id: OptionalIdentifier = ""
    created_at: UtcTime
    events: list[DetectedEvent] = Field(default_factory=list)


class SessionClosing(Message):
    """A session that somebody closed. Key: project, session. A task of a greater revision reopens it."""

    project_id: ProjectId
    session_id: Identifier
    revision: Revision = 0
    created_by: str = ""
    created_at: UtcTime


class Backfill(Message):
    """
    One run of one version of a definition over the tasks of a time. Key: project, backfill; the greatest revision wins.

    `after` is the last task that is done, in the order of ids: there it goes on after a kill. While it is `judging`,
    all tasks are read, and a judge is asked about those in doubt.
    """

    project_id: ProjectId
    backfill_id: Identifier
    revision: Revision = 0
    name: Annotated[str, Field(min_length=1, max_length=128)]
    definition_version: Count
    from_at: UtcTime | None = None
    to_at: UtcTime | None = None
    status: BackfillStatus = "running"
    detail: str = Field(default="", description="why the backfill failed")
    after: str = ""
    tasks: int = Field(default=0, ge=0)
    tasks_done: int = Field(default=0, ge=0)
    events_found: int = Field(default=0, ge=0)
    created_by: str = ""
    created_at: UtcTime
    updated_at: UtcTime


class ClassifierRow(Message):
    """
    The classifier trained on the labels of one definition. Key: project, name, version; the greatest version is used.

    `classifier` and `quality` are JSON text; `labels_digest` identifies the labels.
    """

    project_id: ProjectId
    name: Annotated[str, Field(min_length=1, max_length=128)]
    version: Count
    revision: Revision = 0
    definition_version: Count
    labels_digest: str
    classifier: str
    quality: str = "{}"
    created_at: UtcTime


class StudentRow(Message):
    """
    The student of a project: its map from the static embedding into the space of a sentence encoder. Key: project.

    `student` and `quality` are JSON text; `student` is empty where none was worth it. `tasks` counts the project's
    tasks when it was learnt.
    """

    project_id: ProjectId
    version: Count
    revision: Revision = 0
    encoder: str
    tasks: Count
    student: str
    quality: str = "{}"
    created_at: UtcTime


class JudgementRow(Message):
    """
    A judgement on one version of a definition and one content. Key: project, name, version, content.

    It holds for every task that says the same. Empty where the judge was asked and gave no answer: it is not asked
    again, and what detection found stands. `task_id` is the task that it was asked about.
    """

    project_id: ProjectId
    name: Annotated[str, Field(min_length=1, max_length=128)]
    definition_version: Count
    content: str
    revision: Revision = 0
    answer: AnswerValue
    score: float = Field(1.0, ge=0, le=1)
    value: float | None = None
    category: str = ""
    judge: Literal["encoder", "llm"]
    model: str = ""
    task_id: Identifier
    call_id: str = ""
    created_at: UtcTime


class LlmCallRow(Message):
    """
    One call of an LLM and what it cost. Key: project, call.

    It is stored before the call, as reserved, with the most that it may cost, and replaced by what it did cost.
    """

    project_id: ProjectId
    call_id: Identifier
    revision: Revision = 0
    outcome: CallOutcome
    reason: str = Field(default="", description="why there is no answer; never holds a text of a task")
    left_alone_until: UtcTime | None = None
    model: str
    task_id: str = ""
    definitions: Count
    tokens_in: Count
    tokens_out: Count
    usd: float = Field(ge=0)
    created_at: UtcTime
