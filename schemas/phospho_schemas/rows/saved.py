"""Queries, and views of lists, that people save for their project under a name."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from phospho_schemas.messages import Identifier, Message, ProjectId, Revision, UtcTime

QueryChart = Literal["auto", "line", "bar", "stack", "none"]
ViewPage = Literal["tasks", "sessions"]
MAX_NAME_CHARACTERS = 128
MAX_QUERY_CHARACTERS = 4000

_Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS)]


class SavedQuery(Message):
    """
    A query that a person saved. Key: project, query; the greatest revision wins.

    The id derives from the name: saving under the same name replaces the query.
    """

    project_id: ProjectId
    query_id: Identifier
    revision: Revision = 0
    name: _Name
    sql: Annotated[str, Field(min_length=1)]
    chart: QueryChart = "auto"
    is_deleted: bool = False
    created_by: str = ""
    created_at: UtcTime

    @property
    def saved_id(self) -> str:
        return self.query_id


class SavedView(Message):
    """
    The filters, the order and the columns of a list, as the query of its address. Key: project, view.

    The greatest revision wins. The id derives from page and name: saving under the same name replaces the view.
    """

    project_id: ProjectId
    view_id: Identifier
    revision: Revision = 0
    page: ViewPage
    name: _Name
    query: str = Field(max_length=MAX_QUERY_CHARACTERS, description="query of the list's address, without the project")
    is_deleted: bool = False
    created_by: str = ""
    created_at: UtcTime

    @property
    def saved_id(self) -> str:
        return self.view_id
