"""The people who may use the pages, their roles, and their sign-ins."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from phospho_schemas.messages import Identifier, Message, Revision, UtcTime

Role = Literal["viewer", "editor", "admin"]
# A role may do what those before it may.
ROLES: tuple[Role, ...] = ("viewer", "editor", "admin")
MAX_NAME_CHARACTERS = 254

PersonName = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS, pattern=r"^[^\s\x00-\x1f\x7f]+$")]


class Person(Message):
    """
    Somebody who may sign in. Key: name, in lower case; the greatest revision wins.

    `password_hash` is argon2's, with its salt and parameters; empty for a person who signs in through a proxy. Sign-ins
    before `signed_out_at` are invalid.
    """

    name: PersonName
    role: Role
    password_hash: str = Field("", repr=False)
    revision: Revision = 0
    created_at: UtcTime
    signed_out_at: UtcTime
    removed_at: UtcTime | None = None


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


def may_act_as(role: Role, needed: Role) -> bool:
    """Return whether a role includes the role `needed`."""
    return ROLES.index(role) >= ROLES.index(needed)
