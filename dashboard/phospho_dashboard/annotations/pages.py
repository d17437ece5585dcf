"""The forms beside a task: confirm, reject or add an event, flag the task, write a note."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from phospho_dashboard.annotations.annotations import MAX_NOTE_CHARACTERS, Acting
from phospho_dashboard.auth.access import Access
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.services import Services
from phospho_dashboard.web.forms import Form
from phospho_dashboard.web.origins import local_path
from phospho_dashboard.web.rendering import paged

_MAX_COMMENT_CHARACTERS = 4000

_Act = Callable[[Visitor, str, Form], Awaitable[object]]


def acting_routes(services: Services) -> list[Route]:
    """Return the routes of the forms beside a task. A task's id, which may be any text, is a field and not a path."""
    pages = ActingPages(services)
    return [
        Route("/acts/label", paged(pages.label), methods=["POST"]),
        Route("/acts/flag", paged(pages.flag), methods=["POST"]),
        Route("/acts/note", paged(pages.note), methods=["POST"]),
        Route("/acts/delete-note", paged(pages.delete_note), methods=["POST"]),
    ]


class ActingPages:
    """What the forms do; each leads back to the page that it was sent from."""

    def __init__(self, services: Services) -> None:
        self._threads = services.threads
        self._access = Access(services)
        self._acting = Acting(services)

    async def label(self, request: Request) -> Response:
        async def act(visitor: Visitor, project_id: str, form: Form) -> None:
            label = {"event": form.text("event"), "task_id": form.raw("task_id"), "label": form.text("label")}
            await self._threads.run(self._acting.label, project_id, visitor, [label])

        return await self._acted(request, act)

    async def flag(self, request: Request) -> Response:
        async def act(visitor: Visitor, project_id: str, form: Form) -> None:
            comment = form.text("comment", _MAX_COMMENT_CHARACTERS)
            await self._acting.flag(project_id, visitor, form.raw("task_id"), form.text("flag"), comment)

        return await self._acted(request, act)

    async def note(self, request: Request) -> Response:
        async def act(visitor: Visitor, project_id: str, form: Form) -> None:
            text = form.text("text", MAX_NOTE_CHARACTERS)
            await self._threads.run(self._acting.note, project_id, visitor, form.raw("task_id"), text)

        return await self._acted(request, act)

    async def delete_note(self, request: Request) -> Response:
        async def act(visitor: Visitor, project_id: str, form: Form) -> None:
            task_id, note_id = form.raw("task_id"), form.text("note_id")
            await self._threads.run(self._acting.delete_note, project_id, visitor, task_id, note_id)

        return await self._acted(request, act)

    async def _acted(self, request: Request, act: _Act) -> Response:
        visitor, form = await self._access.of_form(request, "editor")
        project_id = await self._access.project_id(visitor, form.text("project") or None)
        await act(visitor, project_id, form)
        return RedirectResponse(local_path(form.raw("next", 4000)), 303)
