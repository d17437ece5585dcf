"""The page that asks for a confirmation before something that can't be undone. It is a form, and needs no script."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.auth.form_tokens import FORM_FIELD
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.layout.frames import read_frame
from phospho_dashboard.services import Services
from phospho_dashboard.web.forms import Form
from phospho_dashboard.web.rendering import page_response, path_of

_CONFIRMED = "confirmed"


@dataclass(frozen=True)
class Confirmation:
    """The question, the effects of a yes, the label of its button, and the path that a no leads back to."""

    title: str
    effects: tuple[str, ...]
    label: str
    back: str


def is_confirmed(form: Form) -> bool:
    """Tell whether a form was sent from the page of confirmation."""
    return form.text(_CONFIRMED) == "1"


class ConfirmationPage:
    """The page of confirmation for the forms of one of `frames.SECTIONS`."""

    def __init__(self, services: Services, section: str) -> None:
        self._services = services
        self._section = section

    async def render(
        self, request: Request, visitor: Visitor, form: Form, *, project_id: str, confirmation: Confirmation
    ) -> Response:
        """Return a page that sends `form` to the same path again, confirmed."""
        content = {
            "frame": await read_frame(self._services, self._section, visitor, project_id),
            "confirmation": confirmation,
            "action": path_of(request),
            "fields": [*form.without(FORM_FIELD, _CONFIRMED), (_CONFIRMED, "1")],
        }
        return page_response("layout/confirm.html", content)
