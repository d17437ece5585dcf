"""The pages of dead letters: the list, and one to look at, mend and replay."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.dead_letters.bulk import BulkActions
from phospho_dashboard.dead_letters.letters import REASONS, STATUSES, DeadLetters, Selection, selection_of
from phospho_dashboard.dead_letters.replay import ReplayMessage, publish_replay
from phospho_dashboard.layout.pages import SettingsPage
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.web.routes import form_route, page_and_twin
from phospho_web.cursors import decoded_cursor, page_limit
from phospho_web.problems import Problem

_PATH = "/settings/dead-letters"
_LIST_PARAMETERS = ("cursor", "limit", "reason", "stage", "status", "since")
# A longer text slows a browser's textarea down. It is mended in a file, with the command.
_MAX_EDITED_CHARACTERS = 100_000


class DeadLetterPages(Endpoints):
    """The pages, their twins and the form that replays."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._dead_letters = DeadLetters(services.store, services.clock)
        self._bulk = BulkActions(services)
        self._list_page = SettingsPage(services, "dead-letters", "dead_letters/dead_letters.html")
        self._page = SettingsPage(services, "dead-letters", "dead_letters/dead_letter.html")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of dead letters."""
        return [
            *page_and_twin(_PATH, self.read_list, self.render_list, _LIST_PARAMETERS),
            *page_and_twin(f"{_PATH}/{{dead_letter_id}}", self.read, self.render),
            form_route(_PATH, self.act_on_many),
            form_route(f"{_PATH}/{{dead_letter_id}}", self.replay),
        ]

    async def read_list(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor, projects = await self._reader(request)
        return visitor, await self._list(request, projects)

    async def _list(self, request: Request, projects: list[str]) -> dict[str, Any]:
        before = decoded_cursor(request.query_params.get("cursor"))
        limit = page_limit(request.query_params.get("limit"))
        selection = selection_of(request.query_params)
        page = await self._threads.run(self._dead_letters.page, projects, before, limit, selection)
        return page | {"counts": await self._threads.run(self._dead_letters.counts, projects)}

    async def render_list(self, request: Request, visitor: Visitor, content: dict[str, Any]) -> Response:
        query = {name: request.query_params.get(name, "") for name in ("reason", "stage", "status")}
        choices = {"query": query, "reasons": ["", *REASONS], "statuses": ["", *STATUSES]}
        position = {"is_first_page": not request.query_params.get("cursor"), "outcome": None}
        return await self._list_page.render(request, visitor, position | choices | content)

    async def act_on_many(self, request: Request) -> Response:
        """Replay or drop the waiting letters of a stage and reason."""
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        selection = Selection(form.text("reason"), form.text("stage"), "waiting")
        act = self._bulk.drop if form.text("action") == "drop" else self._bulk.replay
        outcome = await act(visitor, project_id, selection)
        content = await self._list(request, visitor.readable_projects(project_id))
        return await self.render_list(request, visitor, content | {"outcome": outcome})

    async def read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor, projects = await self._reader(request)
        return visitor, await self._content(request, projects)

    async def render(
        self,
        request: Request,
        visitor: Visitor,
        content: dict[str, Any],
        *,
        edit: str | None = None,
        replayed: ReplayMessage | None = None,
        problem: Problem | None = None,
    ) -> Response:
        payload = content["dead_letter"]["payload"]
        form = {
            "payload": payload if edit is None else edit,
            "is_editable": len(payload) <= _MAX_EDITED_CHARACTERS,
            "replayed": replayed,
        }
        return await self._page.render(request, visitor, content | form, problem=problem)

    async def replay(self, request: Request) -> Response:
        """Replay a message as it came, or as the form mends it, and name its task; or drop it."""
        visitor, form = await self._access.form_visitor(request)
        projects = visitor.readable_projects(await self._access.query_project(request, visitor))
        if form.text("action") == "drop":
            return await self._drop(request, visitor, projects)
        edit = form.raw("payload", self._services.settings.max_body_bytes) if form.text("is_mended") else None
        dead_letter_id = request.path_params["dead_letter_id"]
        try:
            message = await publish_replay(
                self._services, visitor, projects=projects, dead_letter_id=dead_letter_id, edit=edit
            )
        except Problem as problem:
            if problem.status == 404:
                raise
            content = await self._content(request, projects)
            return await self.render(request, visitor, content, edit=edit, problem=problem)
        return await self.render(request, visitor, await self._content(request, projects), replayed=message)

    async def _drop(self, request: Request, visitor: Visitor, projects: list[str]) -> Response:
        content = await self._content(request, projects)
        await self._threads.run(self._dead_letters.act, [content["dead_letter"]], "dropped", visitor.author)
        return await self.render(request, visitor, await self._content(request, projects))

    async def _reader(self, request: Request) -> tuple[Visitor, list[str]]:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        return visitor, visitor.readable_projects(project_id)

    async def _content(self, request: Request, projects: list[str]) -> dict[str, Any]:
        dead_letter_id = request.path_params["dead_letter_id"]
        letter = await self._threads.run(self._dead_letters.dead_letter, projects, dead_letter_id)
        return {"dead_letter": letter}
