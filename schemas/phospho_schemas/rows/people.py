"""The people who may use the pages, their roles, and their sign-ins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from phospho_schemas.messages import Identifier, Message, ProjectId, Revision, UtcTime

Role = Literal["viewer", "editor", "admin"]
# A role may do what those before it may.
ROLES: tuple[Role, ...] = ("viewer", "editor", "admin")
# The roles that a person can be given: with "none" a project is as if it weren't there.
GivenRole = Literal["none", "viewer", "editor", "admin"]
GIVEN_ROLES: tuple[GivenRole, ...] = ("none", *ROLES)
MAX_NAME_CHARACTERS = 254

PersonName = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS, pattern=r"^[^\s\x00-\x1f\x7f]+$")]


@dataclass(frozen=True)
class Roles:
    """A role for all projects, and roles of single projects, which replace it there; an admin of all is one in each."""

    everywhere: GivenRole
    by_project: Mapping[str, GivenRole] = field(default_factory=dict)

    def in_project(self, project_id: str) -> GivenRole:
        """Return the role in a project."""
        return "admin" if self.everywhere == "admin" else self.by_project.get(project_id, self.everywhere)

    @property
    def highest(self) -> GivenRole:
        """The highest of all roles, which says what a person may do in some project."""
        return max((self.everywhere, *self.by_project.values()), key=GIVEN_ROLES.index)

    def __str__(self) -> str:
        return ", ".join([self.everywhere, *(f"{role} in {project}" for project, role in self.by_project.items())])


class Person(Message):
    """
    Somebody who may sign in. Key: name, in lower case; the greatest revision wins.

    `role` holds for all projects but those of `project_roles`.

    `password_hash` is argon2's, with its salt and parameters; empty for a person who signs in through a proxy. Sign-ins
    before `signed_out_at` are invalid.
    """

    name: PersonName
    role: GivenRole
    project_roles: dict[ProjectId, GivenRole] = Field(default_factory=dict)
    password_hash: str = Field("", repr=False)
    revision: Revision = 0
    created_at: UtcTime
    signed_out_at: UtcTime
    removed_at: UtcTime | None = None

    @property
    def roles(self) -> Roles:
        return Roles(self.role, self.project_roles)


class SignIn(Message):
    """
    A person's sign-in in one browser. Only the SHA-256 of the cookie's token is stored.

    `ended_at` holds against every later row that only says that the browser was seen.
    """

    token_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(repr=False)
    sign_in_id: Identifier
    name: PersonName
    revision: Revision = 0
    created_at: UtcTime
    seen_at: UtcTime
    expires_at: UtcTime = Field(description="whatever happens until then")
    ended_at: UtcTime | None = None


def known_name(name: str) -> str:
    """Return a name as it is stored and compared: without space around it, in lower case."""
    return name.strip().lower()


def may_act_as(role: GivenRole, needed: GivenRole) -> bool:
    """Return whether a role includes the role `needed`."""
    return GIVEN_ROLES.index(role) >= GIVEN_ROLES.index(needed)
