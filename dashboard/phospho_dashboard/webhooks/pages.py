"""The page of a project's webhooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.layout.pages import SettingsPage
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.web.forms import Form
from phospho_dashboard.web.routes import form_route, page_route, twin_route
from phospho_dashboard.web.urls import with_query
from phospho_dashboard.webhooks.webhooks import (
    MAX_EVENT_NAMES,
    MAX_URL_CHARACTERS,
    NewWebhook,
    Webhooks,
    WebhookSending,
)
from phospho_web.problems import Problem
from phospho_web.responses import json_response

_PATH = "/settings/webhooks"


class WebhookPages(Endpoints):
    """The page, its twin and its forms."""

    def __init__(self, services: Services, sending: WebhookSending) -> None:
        super().__init__(services)
        self._webhooks = Webhooks(sending, services.registry)
        self._page = SettingsPage(services, "webhooks", "webhooks/webhooks.html")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of webhooks."""
        return [
            page_route(_PATH, self.page),
            twin_route(_PATH, self.twin),
            form_route(_PATH, self.add),
            form_route(f"{_PATH}/remove", self.remove),
            form_route(f"{_PATH}/send-again", self.send_again),
            form_route(f"{_PATH}/test", self.test),
        ]

    async def page(self, request: Request) -> Response:
        return await self._render(request, await self._access.page_visitor(request))

    async def twin(self, request: Request) -> Response:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        return json_response(await self._threads.run(self._content, project_id, visitor))

    async def add(self, request: Request) -> Response:
        """Add a webhook, and show its secret: this page, which no cache keeps, is the only place that has it."""
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "admin")
        new = _new_webhook(form, visitor.author)
        try:
            webhook, secret = await self._threads.run(self._webhooks.add, project_id, new)
        except Problem as problem:
            return await self._render(request, visitor, problem=problem, typed=new)
        return await self._render(request, visitor, new={"url": webhook.url, "secret": secret}, status=201)

    async def remove(self, request: Request) -> Response:
        return await self._submit(request, self._webhooks.remove)

    async def send_again(self, request: Request) -> Response:
        return await self._submit(request, self._webhooks.send_again)

    async def test(self, request: Request) -> Response:
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "admin")
        webhook_id = form.text("webhook_id")
        attempt = await self._slow_threads.run(project_id, self._webhooks.test, project_id, webhook_id)
        test = {"webhook_id": webhook_id, "is_delivered": attempt.is_success, "detail": attempt.reason}
        return await self._render(request, visitor, test=test)

    async def _submit(self, request: Request, action: Callable[[str, str], object]) -> Response:
        _, project_id, form = await self._access.form_visitor_and_project(request, "admin")
        await self._threads.run(action, project_id, form.text("webhook_id"))
        return RedirectResponse(with_query(_PATH, {"project": project_id}), 303)

    async def _render(
        self,
        request: Request,
        visitor: Visitor,
        *,
        new: dict[str, Any] | None = None,
        test: dict[str, Any] | None = None,
        typed: NewWebhook | None = None,
        problem: Problem | None = None,
        status: int = 200,
    ) -> Response:
        project_id = await self._access.query_project(request, visitor)
        content: dict[str, Any] = {"project_id": project_id, "webhooks": None, "names": []}
        try:
            content |= await self._threads.run(self._content, project_id, visitor)
            content["names"] = await self._threads.run(self._event_names, project_id)
        except Problem as no_secret_key:
            problem = problem or no_secret_key
        content |= {"new": new, "test": test, "typed": typed or NewWebhook("", (), with_evidence=False, author="")}
        return await self._page.render(request, visitor, content, problem=problem, status=status)

    def _content(self, project_id: str, visitor: Visitor) -> dict[str, Any]:
        rows, dead = self._webhooks.rows(project_id, visitor), self._webhooks.dead_deliveries(project_id)
        webhooks = [row | {"dead_deliveries": dead.get(row["webhook_id"], [])} for row in rows]
        return {"project_id": project_id, "webhooks": webhooks}

    def _event_names(self, project_id: str) -> list[str]:
        return [definition.name for definition in self._registry.definitions(project_id)]


def _new_webhook(form: Form, author: str) -> NewWebhook:
    names = form.texts("event", 128)[:MAX_EVENT_NAMES]
    return NewWebhook(form.text("url", MAX_URL_CHARACTERS), names, bool(form.text("evidence")), author)
