"""The API of webhooks, /api/v1/webhooks."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from phospho_dashboard.services import Services
from phospho_dashboard.web.routes import api_route
from phospho_dashboard.webhooks.sending import WebhookSending
from phospho_dashboard.webhooks.webhooks import (
    MAX_EVENT_NAMES,
    MAX_URL_CHARACTERS,
    NewWebhook,
    Webhooks,
    public_webhook,
)
from phospho_web.bodies import read_object, text_field
from phospho_web.problems import Problem
from phospho_web.responses import json_response


def webhook_api_routes(services: Services, sending: WebhookSending) -> list[BaseRoute]:
    """Return the routes of webhooks."""
    webhooks = WebhooksApi(services, sending)
    return [
        api_route("GET", "/webhooks", webhooks.webhooks),
        api_route("POST", "/webhooks", webhooks.add),
        api_route("DELETE", "/webhooks/{webhook_id}", webhooks.remove),
        api_route("POST", "/webhooks/{webhook_id}/test", webhooks.test),
        api_route("POST", "/webhooks/{webhook_id}/send-again", webhooks.send_again),
    ]


class WebhooksApi:
    """The endpoints of webhooks. A secret is only in the answer that adds the webhook."""

    def __init__(self, services: Services, sending: WebhookSending) -> None:
        self._webhooks = Webhooks(sending, services.registry)
        self._threads = services.threads
        self._slow_threads = services.slow_threads
        self._access = services.access
        self._max_body_bytes = services.settings.max_body_bytes

    async def webhooks(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request)
        return json_response({"webhooks": await self._threads.run(self._webhooks.rows, project_id, visitor)})

    async def add(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request, "admin")
        new = _new_webhook(await read_object(request, self._max_body_bytes), visitor.author)
        webhook, secret = await self._threads.run(self._webhooks.add, project_id, new)
        return json_response({"webhook": public_webhook(webhook), "secret": secret}, 201)

    async def remove(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "admin")
        await self._threads.run(self._webhooks.remove, project_id, request.path_params["webhook_id"])
        return Response(status_code=204)

    async def test(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "admin")
        attempt = await self._slow_threads.run(self._webhooks.test, project_id, request.path_params["webhook_id"])
        detail = {"detail": attempt.detail} if attempt.detail else {}
        return json_response({"is_delivered": 200 <= attempt.status < 300, "status": attempt.status} | detail)

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
