"""The OpenAPI operations of users' SQL."""

from __future__ import annotations

from phospho_dashboard.sql.api import MEDIA_TYPES
from phospho_dashboard.sql.guard import VIEWS
from phospho_web.openapi import TEXT, Operation, object_schema


def sql_operations() -> list[Operation]:
    """Return the operation of users' SQL."""
    return [_sql()]


def _sql() -> Operation:
    return Operation(
        "post",
        "/sql",
        "Run a SQL query",
        {},
        description=f"One SELECT over {', '.join(VIEWS)}, of one's own project: read-only, and limited in "
        "time, memory and rows by ClickHouse itself. The answer is in the requested format.",
        success="The rows.",
        answer_types=tuple(sorted({media_type.partition(";")[0] for media_type in MEDIA_TYPES.values()})),
        body=object_schema(["query"], query=TEXT, format={"enum": list(MEDIA_TYPES), "default": "JSON"}),
    )
