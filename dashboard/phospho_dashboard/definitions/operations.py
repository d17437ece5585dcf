"""The OpenAPI operations of definitions, their versions and backfills."""

from __future__ import annotations

from phospho_dashboard.definitions.trials import PREVIEW_TASKS
from phospho_dashboard.openapi.parts import ROWS, Definition
from phospho_schemas.messages import Backfill, EventDefinition
from phospho_web.openapi import ANY_OBJECT, NUMBER, TEXT, TIME, Error, Operation, list_of, nullable, object_schema


def definition_operations() -> list[Operation]:
    """Return the operations of definitions."""
    return [*_definitions(), *_backfills(), *_versions()]


def _definitions() -> list[Operation]:
    result = object_schema(
        ["name", "status"],
        name=nullable(TEXT),
        version=NUMBER,
        status={"enum": ["created", "changed", "unchanged", "rejected"]},
        error=Error,
    )
    return [
        Operation("get", "/definitions", "List definitions", list_of("definitions", EventDefinition)),
        Operation(
            "post",
            "/definitions",
            "Create or change definitions",
            list_of("results", result),
            description="All that are not rejected are applied, and detection picks them up within seconds. 422 "
            "if all are rejected.",
            body=list_of("definitions", Definition, least=1, most=1000),
            also={422: list_of("results", result)},
        ),
        Operation(
            "post",
            "/definitions/preview",
            "Preview a definition",
            object_schema(
                ["tasks", "found_now", "found_before", "found", "lost"],
                tasks=NUMBER,
                found_now=NUMBER,
                found_before=NUMBER,
                found=ROWS,
                lost=ROWS,
            ),
            description=f"On the last {PREVIEW_TASKS} tasks. Nothing is stored.",
            body=object_schema(["definition"], definition=Definition),
        ),
        Operation(
            "post",
            "/definitions/delete",
            "Delete definitions",
            None,
            description="All are deleted, or none. Their events stay.",
            status=204,
            body=list_of("names", TEXT, least=1, most=1000),
        ),
        Operation(
            "delete",
            "/definitions/{name}",
            "Delete a definition",
            None,
            description="Its events stay.",
            status=204,
        ),
    ]


def _backfills() -> list[Operation]:
    backfill = object_schema(["backfill"], backfill=Backfill)
    estimate = object_schema(
        ["tasks", "seconds", "events", "llm_tokens", "sampled_tasks"],
        tasks=NUMBER,
        seconds={"type": "number"},
        events=NUMBER,
        llm_tokens=NUMBER,
        sampled_tasks=NUMBER,
    )
    return [
        Operation("get", "/backfills", "Backfills, the latest first", list_of("backfills", Backfill)),
        Operation(
            "post",
            "/backfills",
            "Start a backfill",
            backfill,
            description="Run the current version of a definition over older tasks. A running backfill is not "
            "started twice. With `dry_run` nothing is started, and the answer is an estimate, with "
            "status 200.",
            status=201,
            body=object_schema(
                ["definition"],
                definition=TEXT,
                **{"from": nullable(TIME), "to": nullable(TIME)},
                dry_run={"type": "boolean"},
            ),
            also={200: object_schema(["estimate"], estimate=estimate)},
        ),
        Operation("get", "/backfills/{backfill_id}", "Progress of a backfill", backfill),
        Operation(
            "delete",
            "/backfills/{backfill_id}",
            "Cancel a backfill",
            backfill,
            description="The events that it found stay.",
        ),
    ]


def _versions() -> list[Operation]:
    return [
        Operation(
            "get",
            "/definitions/{name}/history",
            "The versions of a definition, the latest first",
            list_of("versions", EventDefinition),
        ),
        Operation(
            "post",
            "/definitions/{name}/diff",
            "Compare two versions",
            object_schema(["name", "from_version", "to_version"], name=TEXT, to_version=NUMBER),
            description="On the latest tasks: the definition in the body against the stored one, or the stored "
            "one against the version before it.",
            body=object_schema([], definition=ANY_OBJECT, tasks=NUMBER | {"minimum": 1, "maximum": 20_000}),
        ),
        Operation(
            "get",
            "/definitions/{name}/learning",
            "Classifier of a definition",
            object_schema(
                ["name", "version", "classifier_version", "quality", "tasks_to_label"],
                name=TEXT,
                version=NUMBER,
                classifier_version=nullable(NUMBER),
                quality=nullable(ANY_OBJECT),
                tasks_to_label={"type": "array", "items": TEXT},
            ),
            description="Its quality by people's labels, the threshold that they suggest, and the tasks to label next.",
        ),
    ]
