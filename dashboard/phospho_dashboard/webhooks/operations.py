"""The OpenAPI operations of webhooks."""

from __future__ import annotations

from phospho_dashboard.openapi.parts import ROWS
from phospho_dashboard.webhooks.webhooks import MAX_EVENT_NAMES, MAX_URL_CHARACTERS
from phospho_web.openapi import ANY_OBJECT, NUMBER, TEXT, Operation, list_of, object_schema


def webhook_operations() -> list[Operation]:
    """Return the operations of webhooks."""
    new_webhook = object_schema(
        ["url"],
        url=TEXT | {"maxLength": MAX_URL_CHARACTERS},
        events={"type": "array", "items": TEXT | {"minLength": 1, "maxLength": 128}, "maxItems": MAX_EVENT_NAMES},
        evidence={"type": "boolean"},
    )
    return [
        Operation(
            "get", "/webhooks", "List webhooks, with the states of their deliveries", list_of("webhooks", ROWS["items"])
        ),
        Operation(
            "post",
            "/webhooks",
            "Add a webhook",
            object_schema(["webhook", "secret"], webhook=ANY_OBJECT, secret=TEXT),
            description="It receives each event that is found from now on, with `evidence` also the words of the "
            "task that show it. The secret is only in this answer.",
            status=201,
            body=new_webhook,
        ),
        Operation("delete", "/webhooks/{webhook_id}", "Remove a webhook", None, status=204),
        Operation(
            "post",
            "/webhooks/{webhook_id}/test",
            "Send a webhook a test message",
            object_schema(["is_delivered", "status"], is_delivered={"type": "boolean"}, status=NUMBER, detail=TEXT),
        ),
        Operation(
            "post",
            "/webhooks/{webhook_id}/send-again",
            "Send dead deliveries again",
            object_schema(["deliveries"], deliveries=NUMBER),
            description="The latest 1,000, with new tries.",
            status=202,
        ),
    ]
