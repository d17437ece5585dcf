"""The API of webhooks, /api/v1/webhooks."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.services import ROWS, ApiEndpoints, Services
from phospho_dashboard.webhooks.webhooks import (
    MAX_EVENT_NAMES,
    MAX_URL_CHARACTERS,
    NewWebhook,
    Webhooks,
    WebhookSending,
    public_webhook,
)
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import ANY_OBJECT, NUMBER, TEXT, list_of, object_schema
from phospho_web.problems import Problem
from phospho_web.requests import text_field
from phospho_web.responses import json_response

_NEW_WEBHOOK = object_schema(
    ["url"],
    url=TEXT | {"maxLength": MAX_URL_CHARACTERS},
    events={"type": "array", "items": TEXT | {"minLength": 1, "maxLength": 128}, "maxItems": MAX_EVENT_NAMES},
    evidence={"type": "boolean"},
)


class WebhooksApi(ApiEndpoints):
    """The endpoints of webhooks. A secret is only in the answer that adds the webhook."""

    def __init__(self, services: Services, sending: WebhookSending) -> None:
        super().__init__(services)
        self._webhooks = Webhooks(sending, services.registry)

    @api_endpoint(
        "get", "/webhooks", "List webhooks, with the states of their deliveries", list_of("webhooks", ROWS["items"])
    )
    async def webhooks(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request)
        return json_response({"webhooks": await self._threads.run(self._webhooks.rows, project_id, visitor)})

    @api_endpoint(
        "post",
        "/webhooks",
        "Add a webhook",
        object_schema(["webhook", "secret"], webhook=ANY_OBJECT, secret=TEXT),
        description="It receives each event that is found from now on, with `evidence` also the words of the "
        "task that show it. The secret is only in this answer.",
        status=201,
        body=_NEW_WEBHOOK,
    )
    async def add(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request, "admin")
        new = _new_webhook(await self._body(request), visitor.author)
        webhook, secret = await self._threads.run(self._webhooks.add, project_id, new)
        return json_response({"webhook": public_webhook(webhook), "secret": secret}, 201)

    @api_endpoint("delete", "/webhooks/{webhook_id}", "Remove a webhook", None, status=204)
    async def remove(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "admin")
        await self._threads.run(self._webhooks.remove, project_id, request.path_params["webhook_id"])
        return Response(status_code=204)

    @api_endpoint(
        "post",
        "/webhooks/{webhook_id}/test",
        "Send a webhook a test message",
        object_schema(["is_delivered", "status"], is_delivered={"type": "boolean"}, status=NUMBER, detail=TEXT),
    )
    async def test(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "admin")
        attempt = await self._slow_threads.run(
            project_id, self._webhooks.test, project_id, request.path_params["webhook_id"]
        )
        detail = {"detail": attempt.detail} if attempt.detail else {}
        return json_response({"is_delivered": attempt.is_success, "status": attempt.status} | detail)

    @api_endpoint(
        "post",
        "/webhooks/{webhook_id}/send-again",
        "Send dead deliveries again",
        object_schema(["deliveries"], deliveries=NUMBER),
        description="The latest 1,000, with new tries.",
        status=202,
    )
    async def send_again(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "admin")
        deliveries = await self._threads.run(self._webhooks.send_again, project_id, request.path_params["webhook_id"])
        return json_response({"deliveries": deliveries}, 202)


def _new_webhook(content: dict[str, Any], author: str) -> NewWebhook:
    """Return the webhook that a body describes; Problem 422."""
    url, names = text_field(content, "url", max_length=MAX_URL_CHARACTERS), content.get("events", [])
    if not _are_names(names):
        raise Problem(422, "invalid_field", f"'events' must be a list of at most {MAX_EVENT_NAMES} names")
    with_evidence = content.get("evidence", False)
    if not isinstance(with_evidence, bool):
        raise Problem(422, "invalid_field", "'evidence' must be true or false")
    return NewWebhook(url, names, with_evidence, author)


def _are_names(names: Any) -> bool:
    is_list = isinstance(names, list) and len(names) <= MAX_EVENT_NAMES
    return is_list and all(isinstance(name, str) and 0 < len(name) <= 128 for name in names)
