"""Form tokens: the proof that a form was sent from one of our pages, against forged requests of other sites."""

from __future__ import annotations

import hashlib
import hmac

from starlette.requests import Request

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.web.origins import is_same_site
from phospho_web.problems import Problem

FORM_FIELD = "form_token"
FORM_HEADER = "x-phospho-form"


def form_token(secret: str, name: str) -> str:
    """Return the token in a person's forms, derived from a secret of their browser or of this server."""
    return hmac.new(secret.encode(), f"form of {name}".encode(), hashlib.sha256).hexdigest()


def check_form(request: Request, visitor: Visitor, token: str) -> None:
    """
    Raise Problem 403 where another site may have made a person's browser send this form.

    There are two proofs, each enough by itself: the page's origin, and a token that only the page could read. A key
    needs neither, since no browser sends one by itself.
    """
    if not visitor.form_token:
        return
    check_site(request)
    if not hmac.compare_digest(token.encode("utf-8", "replace"), visitor.form_token.encode()):
        raise _forged("the form is from before you signed in, or before the server was started again")


def check_site(request: Request) -> None:
    """Raise Problem 403 for a form that was not sent from one of our pages."""
    if not is_same_site(request):
        raise _forged("the form was sent from another site")


def _forged(message: str) -> Problem:
    return Problem(403, "forged_form", message, "open the page again, and send the form from there")
