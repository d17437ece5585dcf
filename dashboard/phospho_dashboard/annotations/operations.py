"""The OpenAPI operations of labels and notes."""

from __future__ import annotations

from phospho_dashboard.annotations.annotations import MAX_LABELS
from phospho_dashboard.openapi.parts import LIMIT, ROWS
from phospho_schemas.messages import Label, Note
from phospho_web.openapi import TEXT, Operation, list_of, nullable, object_schema, query_parameter


def annotation_operations() -> list[Operation]:
    """Return the operations of labels and notes."""
    label = object_schema(
        ["event", "task_id", "label"],
        event=TEXT,
        task_id=TEXT,
        label={"enum": ["confirmed", "rejected", ""]},
        value=nullable({"type": "number"}),
        category=TEXT,
        comment=TEXT,
    )
    return [
        Operation(
            "get",
            "/labels",
            "List labels",
            object_schema(["labels", "next_cursor"], labels=ROWS, next_cursor=nullable(TEXT)),
            parameters=(
                query_parameter("event", TEXT, "the labels of this event alone"),
                query_parameter("cursor", TEXT),
                LIMIT,
            ),
        ),
        Operation(
            "post",
            "/labels",
            "Confirm, reject or add events",
            list_of("labels", Label),
            description="All are stored, or none. An empty label takes a label back. A confirmed event that "
            "detection did not find is added to its task. Labels correct the events that readers see, "
            "and teach detection.",
            status=201,
            body=list_of("labels", label, least=1, most=MAX_LABELS),
        ),
        Operation(
            "post",
            "/tasks/{task_id}/notes",
            "Write a note on a task",
            object_schema(["note"], note=Note),
            status=201,
            body=object_schema(["text"], text=TEXT | {"maxLength": 10_000}),
        ),
        Operation("delete", "/tasks/{task_id}/notes/{note_id}", "Delete a note", None, status=204),
    ]
