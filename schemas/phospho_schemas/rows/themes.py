"""The rows of themes: groups of similar tasks that nobody defined. No topic carries them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from phospho_schemas.messages import Count, Identifier, Message, OptionalIdentifier, ProjectId, Revision, UtcTime

MAX_TITLE_CHARACTERS = 128
ThemeTitle = Annotated[str, Field(max_length=MAX_TITLE_CHARACTERS)]
ThemeSide = Literal["input", "output"]
ThemeRunStatus = Literal["waiting", "assigning", "done"]


class ThemeModelRow(Message):
    """
    The theme model of a project, by which detection gives a task its theme. Key: project.

    `model` is JSON text, of inputs; `output_model` of outputs, where the project wants their themes. `tasks` counts the
    project's tasks when it was made, `texts` those of the sample.
    """

    project_id: ProjectId
    version: Count
    revision: Revision = 0
    tasks: Count
    texts: Count
    model: str = Field(description="the model as JSON text; empty where it has no theme")
    output_model: str = Field("", description="the same of outputs")
    created_at: UtcTime


class ThemeRow(Message):
    """
    A theme as discovery found it. Key: project, theme. People's edits are in ThemeEdit, and win.

    `version` is that of the last model that has it; a theme of an earlier one is gone. `texts` counts its tasks in the
    sample. `examples` are the ids of its most central tasks, whose texts retention may have deleted.
    """

    project_id: ProjectId
    theme_id: Identifier
    side: ThemeSide = "input"
    revision: Revision = 0
    version: Count
    title: str = ""
    phrases: list[str] = Field(default_factory=list)
    examples: list[str] = Field(default_factory=list)
    texts: Count = 0
    group_id: str = ""
    group_title: str = ""
    x: float = 0.0
    y: float = 0.0
    created_at: UtcTime


class ThemeFact(Message):
    """
    A change of the themes in a version of the model. Key: project, version, theme, kind.

    birth and death: of `theme_id`. split: it is new, a part of `other_id`. merge: it is gone into `other_id`.
    """

    project_id: ProjectId
    version: Count
    theme_id: Identifier
    kind: Literal["birth", "death", "split", "merge"]
    revision: Revision = 0
    other_id: str = ""
    share: float = 0.0
    created_at: UtcTime


class ThemeEdit(Message):
    """
    A person's edit of a theme, which survives each new model. Key: project, theme.

    `merged_into` is the theme that its tasks count for. A `split_at` after the model was made cuts it in two at the
    next discovery.
    """

    project_id: ProjectId
    theme_id: Identifier
    revision: Revision = 0
    title: ThemeTitle = ""
    is_hidden: bool = False
    is_pinned: bool = False
    merged_into: OptionalIdentifier = ""
    split_at: UtcTime | None = None
    edited_by: str = ""
    edited_at: UtcTime


class ThemeRefresh(Message):
    """A person's wish that the themes of a project be found anew. Key: project."""

    project_id: ProjectId
    revision: Revision = 0
    requested_by: str = ""
    requested_at: UtcTime


class ThemeRun(Message):
    """
    The progress of giving past tasks the themes of a model, the newest first. Key: project.

    `before_at` and `before_id` are the place of the last task that was read.
    """

    project_id: ProjectId
    version: Count
    revision: Revision = 0
    status: ThemeRunStatus
    tasks: Count = 0
    tasks_done: Count = 0
    before_at: UtcTime | None = None
    before_id: str = ""
    updated_at: UtcTime
