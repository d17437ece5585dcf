"""The form that forgets a user, from their page, and the signed report of it."""

from __future__ import annotations

from functools import partial

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from phospho_dashboard.layout.pages import Confirmation, ConfirmationPage, ProjectPage, is_confirmed
from phospho_dashboard.privacy.reports import ReportSigner, forgotten_report
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.web.forms import Form
from phospho_dashboard.web.routes import form_route
from phospho_dashboard.web.urls import item_url
from phospho_store.forgetting.forget import Forgetting
from phospho_web.problems import Problem


class ForgetForm(Endpoints):
    """The form of the page of a user, for administrators."""

    def __init__(self, services: Services, signer: ReportSigner) -> None:
        super().__init__(services)
        self._forgetting = Forgetting(services.store, services.clock)
        self._signer = signer
        self._page = ProjectPage(services, "users", "privacy/forgotten.html")
        self._confirmation_page = ConfirmationPage(services, "users")

    def routes(self) -> list[BaseRoute]:
        """Return the route of the form."""
        return [form_route("/users/forget", self.forget)]

    async def forget(self, request: Request) -> Response:
        """Ask first; then forget the user and show the signed report."""
        visitor, form = await self._access.form_visitor(request, "admin")
        project_id = await self._access.project_id(request, visitor, form.text("project") or None)
        self._signer.check()
        user_id = _user_id(form)
        if not is_confirmed(form):
            question = _confirmation(project_id, user_id)
            return await self._confirmation_page.render(
                request, visitor, form, project_id=project_id, confirmation=question
            )
        forgotten = await self._slow_threads.run(
            project_id, partial(self._forgetting.forget, project_id, "user", user_id)
        )
        signed = self._signer.signed(forgotten_report(forgotten, project_id, {"user_id": user_id}, visitor.author))
        report = orjson.dumps(signed, option=orjson.OPT_INDENT_2).decode()
        return await self._page.render(
            request, visitor, {"project_id": project_id, "forgotten": forgotten, "report": report}
        )


def _user_id(form: Form) -> str:
    user_id = form.raw("user")
    if not user_id:
        raise Problem(422, "invalid_user", "no user is named")
    return user_id


def _confirmation(project_id: str, user_id: str) -> Confirmation:
    effects = (
        "Deletes all that was logged about this user up to now: tasks, sessions, feedback, labels, notes and dead"
        " letters, and what was learnt from them.",
        "This can't be undone. Takes seconds. The next page has a signed report to keep.",
    )
    return Confirmation(f"Forget user {user_id}?", effects, "Forget user", item_url("/users", user_id, project_id))
