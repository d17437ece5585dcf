"""The OpenAPI operations of dead letters."""

from __future__ import annotations

from phospho_dashboard.openapi.parts import LIMIT, ROWS
from phospho_web.openapi import ANY_OBJECT, TEXT, Operation, nullable, object_schema, query_parameter


def dead_letter_operations() -> list[Operation]:
    """Return the operations of dead letters."""
    return [
        Operation(
            "get",
            "/dead-letters",
            "List dead letters",
            object_schema(["dead_letters", "next_cursor"], dead_letters=ROWS, next_cursor=nullable(TEXT)),
            parameters=(query_parameter("cursor", TEXT), LIMIT),
        ),
        Operation(
            "get",
            "/dead-letters/{dead_letter_id}",
            "One dead letter, with its bytes",
            object_schema(["dead_letter"], dead_letter=ANY_OBJECT),
        ),
        Operation(
            "post",
            "/dead-letters/{dead_letter_id}/replay",
            "Replay a dead letter",
            object_schema(
                ["dead_letter_id", "status", "topic", "project_id", "task_id"],
                dead_letter_id=TEXT,
                status=TEXT,
                topic=TEXT,
                project_id=TEXT,
                task_id=TEXT,
            ),
            description="As it came, or mended. Twice is one task.",
            status=202,
            body=object_schema([], payload=TEXT),
        ),
    ]
