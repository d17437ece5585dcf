"""What jobs do, as the OpenAPI document describes it: backfills, versions, sessions that are over, webhooks."""

from __future__ import annotations

from phospho_dashboard.openapi.parts import ROWS
from phospho_dashboard.webhooks.webhooks import MAX_EVENT_NAMES, MAX_URL_CHARACTERS
from phospho_schemas.messages import Backfill, EventDefinition
from phospho_web.openapi import ANY_OBJECT, NUMBER, TEXT, TIME, Operation, list_of, nullable, object_of


def job_operations() -> list[Operation]:
    """Return the operations of what jobs do."""
    return [*_backfills(), *_versions(), *_webhooks()]


def _backfills() -> list[Operation]:
    one = object_of(["backfill"], backfill=Backfill)
    estimate = object_of(
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
            "Run a definition over the tasks of the past",
            one,
            description="Its current version, over the tasks of a time. What runs already is not started twice. With "
            "`dry_run` "
            "nothing is started, and the answer, a 200, is what it would cost.",
            status=201,
            body=object_of(
                ["definition"],
                definition=TEXT,
                **{"from": nullable(TIME), "to": nullable(TIME)},
                dry_run={"type": "boolean"},
            ),
            also={200: object_of(["estimate"], estimate=estimate)},
        ),
        Operation("get", "/backfills/{backfill_id}", "How far a backfill is", one),
        Operation("delete", "/backfills/{backfill_id}", "Stop a backfill", one, description="What it has done stays."),
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
            "What another version finds",
            object_of(["name", "from_version", "to_version"], name=TEXT, to_version=NUMBER),
            description="On the latest tasks: a definition that is given against the stored one, or the stored one "
            "against the "
            "version before it.",
            body=object_of([], definition=ANY_OBJECT, tasks=NUMBER | {"minimum": 1, "maximum": 20_000}),
        ),
        Operation(
            "get",
            "/definitions/{name}/learning",
            "What labels taught a definition",
            object_of(
                ["name", "version", "classifier_version", "quality", "tasks_to_label"],
                name=TEXT,
                version=NUMBER,
                classifier_version=nullable(NUMBER),
                quality=nullable(ANY_OBJECT),
                tasks_to_label={"type": "array", "items": TEXT},
            ),
            description="How good it is by people's labels, a threshold that they suggest, and the tasks to label "
            "next.",
        ),
        Operation(
            "post",
            "/sessions/{session_id}/close",
            "Say that a session is over",
            object_of(["closing"], closing=ANY_OBJECT),
            description="Definitions of whole sessions are looked for at once; a later task opens it again.",
        ),
    ]


def _webhooks() -> list[Operation]:
    wanted = object_of(
        ["url"],
        url=TEXT | {"maxLength": MAX_URL_CHARACTERS},
        events={"type": "array", "items": TEXT | {"minLength": 1, "maxLength": 128}, "maxItems": MAX_EVENT_NAMES},
        evidence={"type": "boolean"},
    )
    return [
        Operation(
            "get", "/webhooks", "Webhooks, with the states of their deliveries", list_of("webhooks", ROWS["items"])
        ),
        Operation(
            "post",
            "/webhooks",
            "Add a webhook",
            object_of(["webhook", "secret"], webhook=ANY_OBJECT, secret=TEXT),
            description="It is told of what is found from now on, with `evidence` in the words of the task that show "
            "it. Its "
            "secret is in this answer and never again.",
            status=201,
            body=wanted,
        ),
        Operation("delete", "/webhooks/{webhook_id}", "Remove a webhook", None, status=204),
        Operation(
            "post",
            "/webhooks/{webhook_id}/test",
            "Send a webhook a test message",
            object_of(["is_delivered", "status"], is_delivered={"type": "boolean"}, status=NUMBER, detail=TEXT),
        ),
        Operation(
            "post",
            "/webhooks/{webhook_id}/send-again",
            "Send again what was given up",
            object_of(["deliveries"], deliveries=NUMBER),
            description="The latest 1,000 deliveries of those; their tries begin anew.",
            status=202,
        ),
    ]
