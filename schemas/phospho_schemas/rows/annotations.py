"""Labels of events and notes on tasks, which people write."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from phospho_schemas.messages import Identifier, Message, ProjectId, Revision, UtcTime

LabelValue = Literal["confirmed", "rejected", ""]


class Label(Message):
    """
    A person's label of one event of one task: confirmed (it is there) or rejected; empty takes it back.

    Key: project, event name, task. The greatest revision wins. It corrects what readers see, and trains the classifier.
    """

    project_id: ProjectId
    event_name: Annotated[str, Field(min_length=1, max_length=128)]
    task_id: Identifier
    revision: Revision = 0
    event_id: str = ""
    label: LabelValue
    value: float | None = None
    category: str = ""
    comment: str = Field("", max_length=4000)
    created_by: str = ""
    created_at: UtcTime


class Review(Message):
    """
    A person's own label of an event of a task, which stays when others label it too. Key: project, event, task, author.

    The greatest revision wins. Without a label, the person has the task in hand until `held_until`.
    """

    project_id: ProjectId
    event_name: Annotated[str, Field(min_length=1, max_length=128)]
    task_id: Identifier
    created_by: str
    revision: Revision = 0
    label: LabelValue
    held_until: UtcTime
    created_at: UtcTime


class Note(Message):
    """A person's note on a task. Key: project, task, note. The greatest revision wins."""

    project_id: ProjectId
    task_id: Identifier
    note_id: Identifier
    revision: Revision = 0
    text: str = Field(max_length=10_000)
    created_by: str = ""
    is_deleted: bool = False
    created_at: UtcTime
