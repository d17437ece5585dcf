"""Visitors: the people and the keys that ask, what each may do, and the proof that a person sent a form."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field, replace

from starlette.requests import Request

from phospho_dashboard.web.origins import is_same_site
from phospho_schemas.rows.people import GivenRole, Role, Roles, may_act_as
from phospho_store.registry.authentication import Principal
from phospho_web.problems import Problem, missing_scope

LOCAL_USER = "local user"

_VIEWER = Roles("viewer")
_ALLOWED_ACTIONS = {"viewer": "see this", "editor": "change what was found", "admin": "change settings"}


@dataclass(frozen=True)
class Visitor(Principal):
    """
    A person with roles, or a key. A viewer reads, an editor acts on tasks and definitions, an admin sets all else.

    `name` is a person's, and empty for a key. A key of the scope admin may do everything in its own project, except
    what needs `is_admin`; one of the scope read is a viewer. An admin of all projects `is_admin` too.
    `needed` is the role that the request needs in its project.
    `form_token` must come with every action of a person, since a browser sends their cookie, and a proxy their name,
    with requests that another site made. It is empty for a key, which no browser sends by itself.
    """

    name: str = ""
    roles: Roles = _VIEWER
    needed: GivenRole = "viewer"
    form_token: str = field(default="", repr=False)
    has_signed_in: bool = False

    @property
    def author(self) -> str:
        """The name that labels, flags, notes and webhooks of this visitor carry."""
        return self.name or "api key"

    def readable_projects(self, project_id: str) -> list[str]:
        """Return the project, and for an administrator "": that of messages that named no project."""
        return [project_id, ""] if self.is_admin else [project_id]

    @property
    def sees_installation(self) -> bool:
        """True for those who may see all projects by default, and so what belongs to none."""
        return self.project_id is None and may_act_as(self.roles.everywhere, "viewer")

    def may_in(self, project_id: str, role: Role) -> bool:
        """Tell whether this visitor may do in a project what needs `role`."""
        return may_act_as(self.roles.in_project(project_id), role)

    def needing(self, role: GivenRole) -> Visitor:
        """Return this visitor for a request that needs `role`; Problem 403 where they have it in no project."""
        self._check(self.roles.highest, role)
        return replace(self, needed=role)

    def check_in(self, project_id: str) -> None:
        """Raise Problem 403 where the request needs a higher role than the one in this project."""
        self._check(self.roles.in_project(project_id), self.needed)

    def _check(self, role: GivenRole, needed: GivenRole) -> None:
        if not may_act_as(role, needed):
            if not self.name:
                raise missing_scope("admin")
            message = f"only {_PLURAL[needed]} may {_ALLOWED_ACTIONS[needed]}"
            raise Problem(403, "role_needed", message, f"you are {_SINGULAR[role]} here; an admin can change that")


_PLURAL = {"viewer": "viewers, editors and admins", "editor": "editors and admins", "admin": "admins"}
_SINGULAR = {"none": "nobody", "viewer": "a viewer", "editor": "an editor", "admin": "an admin"}


def key_visitor(principal: Principal) -> Visitor:
    """Return the visitor of a key. Raises Problem 403 for a key that may only log."""
    if not principal.has_scope("read"):
        raise missing_scope("read")
    role: Role = "admin" if principal.has_scope("admin") else "viewer"
    return Visitor(principal.project_id, principal.is_admin, scopes=principal.scopes, roles=Roles(role))


def person_visitor(name: str, roles: Roles, form_token: str, *, has_signed_in: bool = False) -> Visitor:
    """Return the visitor of a person."""
    return Visitor(
        project_id=None,
        is_admin=roles.everywhere == "admin",
        name=name,
        roles=roles,
        form_token=form_token,
        has_signed_in=has_signed_in,
    )


def check_installation(visitor: Visitor) -> None:
    """Raise Problem 403 for a project's key or admin: people belong to the whole installation."""
    if not visitor.is_admin:
        message = "only admins of all projects can see people"
        raise Problem(403, "admin_only", message, "ask one of them, or use the administrator's key")


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
        raise _forged_form("the form is from before you signed in, or before the server was started again")


def check_site(request: Request) -> None:
    """Raise Problem 403 for a form that was not sent from one of our pages."""
    if not is_same_site(request):
        raise _forged_form("the form was sent from another site")


def _forged_form(message: str) -> Problem:
    return Problem(403, "forged_form", message, "open the page again, and send the form from there")
