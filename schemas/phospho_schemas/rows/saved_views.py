"""Views of lists that people save for their project."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from phospho_schemas.messages import Identifier, Message, ProjectId, Revision, UtcTime

ViewPage = Literal["tasks", "sessions"]
MAX_NAME_CHARACTERS = 128
MAX_QUERY_CHARACTERS = 4000


class SavedView(Message):
    """
    The filters, the order and the columns of a list, as the query of its address. Key: project, view.

    The greatest revision wins. The id derives from page and name: saving under the same name replaces the view.
    """

    project_id: ProjectId
    view_id: Identifier
    revision: Revision = 0
    page: ViewPage
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS)]
    query: str = Field(max_length=MAX_QUERY_CHARACTERS, description="query of the list's address, without the project")
    is_deleted: bool = False
    created_by: str = ""
    created_at: UtcTime
