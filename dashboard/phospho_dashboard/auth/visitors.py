"""Who looks at a page or asks the API: a person with a role, or a key."""

from __future__ import annotations

from dataclasses import dataclass, field

from phospho_schemas.people import Role, may_act_as
from phospho_store.registry.authentication import Principal
from phospho_web.problems import Problem

LOCAL_USER = "local user"

_NEEDED_FOR = {"viewer": "see this", "editor": "change what was found", "admin": "change settings"}


@dataclass(frozen=True)
class Visitor(Principal):
    """
    Who asks, and what they may do: a viewer reads, an editor acts on tasks and definitions, an admin sets all else.

    `name` is a person's, empty for a key. A key may do everything in its own project, save what `is_admin` is for.
    `form_token` has to come with whatever acts on a person's behalf, since a browser sends their cookie, and a proxy
    their name, with requests that another site made; it is empty for a key, which no browser sends by itself.
    """

    name: str = ""
    role: Role = "viewer"
    form_token: str = field(default="", repr=False)
    has_signed_in: bool = False

    def may(self, needed: Role) -> bool:
        """Tell whether this role may do what needs the role `needed`."""
        return may_act_as(self.role, needed)

    def check(self, needed: Role) -> None:
        """Raise Problem 403 where `may` says no."""
        if not self.may(needed):
            message = f"only {_AS_PLURAL[needed]} may {_NEEDED_FOR[needed]}"
            raise Problem(403, "role_needed", message, f"you are {_AS_ONE[self.role]}; an admin can change that")


_AS_PLURAL = {"viewer": "viewers", "editor": "editors and admins", "admin": "admins"}
_AS_ONE = {"viewer": "a viewer", "editor": "an editor", "admin": "an admin"}


def key_visitor(principal: Principal) -> Visitor:
    """Return the visitor that a key is."""
    return Visitor(principal.project_id, principal.is_admin, role="admin")


def person_visitor(name: str, role: Role, form_token: str, *, has_signed_in: bool = False) -> Visitor:
    """Return the visitor that a person is: roles hold for every project."""
    return Visitor(None, role == "admin", name, role, form_token, has_signed_in)


def check_install(visitor: Visitor) -> None:
    """Raise Problem 403 for a key, which is one project's: people are of the whole installation."""
    if not visitor.is_admin:
        raise Problem(403, "admin_only", "a project's key can't see people", "use the administrator's key")
