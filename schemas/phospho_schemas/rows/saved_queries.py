"""Queries that people save for their project."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from phospho_schemas.messages import Identifier, Message, ProjectId, Revision, UtcTime

QueryChart = Literal["auto", "line", "bar", "stack", "none"]
MAX_NAME_CHARACTERS = 128


class SavedQuery(Message):
    """
    A query that a person saved. Key: project, query; the greatest revision wins.

    The id derives from the name: saving under the same name replaces the query.
    """

    project_id: ProjectId
    query_id: Identifier
    revision: Revision = 0
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS)]
    sql: Annotated[str, Field(min_length=1)]
    chart: QueryChart = "auto"
    is_deleted: bool = False
    created_by: str = ""
    created_at: UtcTime
