"""The forms beside a task: confirm, reject or add an event, flag the task, write a note."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from phospho_dashboard.annotations.annotations import MAX_NOTE_CHARACTERS, Annotations, FeedbackReader
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.web.forms import Form
from phospho_dashboard.web.origins import local_path
from phospho_dashboard.web.routes import form_route

_MAX_COMMENT_CHARACTERS = 4000

_Action = Callable[[Visitor, str, Form], Awaitable[object]]


class AnnotationForms(Endpoints):
    """The actions of the forms; each leads back to the page that it was sent from."""

    def __init__(self, services: Services, read_feedback: FeedbackReader | None) -> None:
        super().__init__(services)
        self._annotations = Annotations(services, read_feedback)

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the forms. A task's id, which may be any text, is a field and not a path."""
        return [
            form_route("/annotations/label", self.label),
            form_route("/annotations/flag", self.flag),
            form_route("/annotations/note", self.note),
            form_route("/annotations/delete-note", self.delete_note),
        ]

    async def label(self, request: Request) -> Response:
        async def save(visitor: Visitor, project_id: str, form: Form) -> None:
            label = {"event": form.text("event"), "task_id": form.raw("task_id"), "label": form.text("label")}
            await self._threads.run(self._annotations.save_labels, project_id, visitor, [label])

        return await self._submit(request, save)

    async def flag(self, request: Request) -> Response:
        async def publish(visitor: Visitor, project_id: str, form: Form) -> None:
            flag, comment = form.text("flag"), form.text("comment", _MAX_COMMENT_CHARACTERS)
            await self._annotations.flag(project_id, visitor, form.raw("task_id"), flag=flag, comment=comment)

        return await self._submit(request, publish)

    async def note(self, request: Request) -> Response:
        async def save(visitor: Visitor, project_id: str, form: Form) -> None:
            text = form.text("text", MAX_NOTE_CHARACTERS)
            await self._threads.run(self._annotations.save_note, project_id, visitor, form.raw("task_id"), text)

        return await self._submit(request, save)

    async def delete_note(self, request: Request) -> Response:
        async def delete(visitor: Visitor, project_id: str, form: Form) -> None:
            task_id, note_id = form.raw("task_id"), form.text("note_id")
            await self._threads.run(self._annotations.delete_note, project_id, visitor, task_id, note_id)

        return await self._submit(request, delete)

    async def _submit(self, request: Request, action: _Action) -> Response:
        visitor, form = await self._access.form_visitor(request, "editor")
        project_id = await self._access.project_id(request, visitor, form.text("project") or None)
        await action(visitor, project_id, form)
        return RedirectResponse(local_path(form.raw("next", 4000)), 303)
