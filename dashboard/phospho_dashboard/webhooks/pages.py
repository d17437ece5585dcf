"""The page of a project's webhooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from phospho_dashboard.annotations.annotations import author
from phospho_dashboard.auth.access import Access
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.job_tools import Attempt
from phospho_dashboard.layout.settings_frame import SettingsFrames
from phospho_dashboard.services import Services
from phospho_dashboard.web.rendering import paged
from phospho_dashboard.web.urls import with_query
from phospho_dashboard.webhooks.webhooks import MAX_EVENT_NAMES, MAX_URL_CHARACTERS, WebhookDesk
from phospho_web.problems import Problem
from phospho_web.responses import json_response, with_json_errors

_PATH = "/settings/webhooks"


def webhook_routes(services: Services) -> list[Route]:
    """Return the routes of webhooks."""
    pages = WebhookPages(services)
    return [
        Route(_PATH, paged(pages.page)),
        Route(f"{_PATH}.json", with_json_errors(pages.twin)),
        Route(_PATH, paged(pages.add), methods=["POST"]),
        Route(f"{_PATH}/remove", paged(pages.remove), methods=["POST"]),
        Route(f"{_PATH}/send-again", paged(pages.send_again), methods=["POST"]),
        Route(f"{_PATH}/test", paged(pages.test), methods=["POST"]),
    ]


class WebhookPages:
    """The page, its twin and what its forms do."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._registry = services.registry
        self._threads = services.threads
        # A receiver may take ten seconds: nobody who waits for a page may wait for it.
        self._slow_threads = services.slow_threads
        self._access = Access(services)
        self._frames = SettingsFrames(services)
        self._desk = WebhookDesk(services.tools, services.registry)

    async def page(self, request: Request) -> Response:
        return await self._shown(request, await self._access.of_page(request))

    async def twin(self, request: Request) -> Response:
        visitor = await self._access.of_page(request)
        project_id = await self._frames.project_id(request, visitor)
        return json_response(await self._threads.run(self._content, project_id, visitor))

    async def add(self, request: Request) -> Response:
        """Add a webhook, and show its secret: this page, which no cache keeps, is the only place where it stands."""
        visitor, form = await self._access.of_form(request, "admin")
        project_id = await self._frames.project_id(request, visitor)
        url, names = form.text("url", MAX_URL_CHARACTERS), form.texts("event", 128)[:MAX_EVENT_NAMES]
        evidence = bool(form.text("evidence"))
        try:
            webhook, secret = await self._threads.run(
                self._desk.added, project_id, url, names, author(visitor), evidence
            )
        except Problem as problem:
            typed = {"url": url, "names": names, "evidence": evidence}
            return await self._shown(request, visitor, problem=problem, typed=typed)
        return await self._shown(request, visitor, new={"url": webhook.url, "secret": secret}, status=201)

    async def remove(self, request: Request) -> Response:
        return await self._acted(request, self._desk.removed)

    async def send_again(self, request: Request) -> Response:
        return await self._acted(request, self._desk.sent_again)

    async def test(self, request: Request) -> Response:
        visitor, form = await self._access.of_form(request, "admin")
        project_id, webhook_id = await self._frames.project_id(request, visitor), form.text("webhook_id")
        attempt = await self._slow_threads.run(self._desk.tried, project_id, webhook_id)
        return await self._shown(request, visitor, tried={"webhook_id": webhook_id, **_told(attempt)})

    async def _acted(self, request: Request, act: Callable[[str, str], object]) -> Response:
        visitor, form = await self._access.of_form(request, "admin")
        project_id = await self._frames.project_id(request, visitor)
        await self._threads.run(act, project_id, form.text("webhook_id"))
        return RedirectResponse(with_query(_PATH, {"project": project_id}), 303)

    async def _shown(
        self,
        request: Request,
        visitor: Visitor,
        *,
        new: dict[str, Any] | None = None,
        tried: dict[str, Any] | None = None,
        typed: dict[str, Any] | None = None,
        problem: Problem | None = None,
        status: int = 200,
    ) -> Response:
        project_id = await self._frames.project_id(request, visitor)
        content: dict[str, Any] = {"project_id": project_id, "webhooks": None, "names": []}
        try:
            content |= await self._threads.run(self._content, project_id, visitor)
            content["names"] = await self._threads.run(self._names, project_id)
        except Problem as without_key:
            problem = problem or without_key
        content |= {"new": new, "tried": tried, "typed": typed or {"url": "", "names": [], "evidence": False}}
        return await self._frames.shown(
            request, visitor, "webhooks", "webhooks/webhooks.html", content, problem, status
        )

    def _content(self, project_id: str, visitor: Visitor) -> dict[str, Any]:
        listed, dead = self._desk.listed(project_id, visitor), self._desk.dead(project_id)
        with_dead = [one | {"dead_deliveries": dead.get(one["webhook_id"], [])} for one in listed]
        return {"project_id": project_id, "webhooks": with_dead}

    def _names(self, project_id: str) -> list[str]:
        return [definition.name for definition in self._registry.definitions(project_id)]


def _told(attempt: Attempt) -> dict[str, Any]:
    """Return what a page says of an attempt."""
    is_delivered = 200 <= attempt.status < 300
    return {"is_delivered": is_delivered, "detail": attempt.detail or f"it answered HTTP {attempt.status}"}
