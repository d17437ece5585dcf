"""The page that asks before what can't be undone. It is a form like any other, and needs no script."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.auth.access import Access
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.layout.frames import frame_of
from phospho_dashboard.services import Services
from phospho_dashboard.web.forms import FORM_FIELD, Form
from phospho_dashboard.web.rendering import page_response, path_of

_CONFIRMED = "confirmed"


@dataclass(frozen=True)
class Question:
    """What is asked, what a yes hits, how its button reads, and the path that a no leads back to."""

    title: str
    effects: tuple[str, ...]
    label: str
    back: str


def is_confirmed(form: Form) -> bool:
    """Return whether a form was sent from the page that asks."""
    return form.text(_CONFIRMED) == "1"


class Confirming:
    """Makes the page that asks."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._access = Access(services)

    async def page(
        self, request: Request, visitor: Visitor, section: str, project_id: str, question: Question, form: Form
    ) -> Response:
        """Return a page that sends `form` to the same path again, confirmed. `section` is one of frames.PAGES."""
        projects = await self._access.projects(visitor)
        content = {
            "frame": frame_of(section, visitor, project_id, projects, self._services.settings.base_url, {}),
            "question": question,
            "action": path_of(request),
            "fields": [*form.besides(FORM_FIELD, _CONFIRMED), (_CONFIRMED, "1")],
        }
        return page_response("layout/confirm.html", content)
