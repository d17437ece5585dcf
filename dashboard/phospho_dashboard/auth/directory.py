"""The directory of the people who may sign in, as admins change it, and the hashes of their passwords."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pydantic import ValidationError

from phospho_dashboard.auth.oidc import Identity
from phospho_schemas.rows.people import GIVEN_ROLES, GivenRole, Person, Role, Roles, known_name
from phospho_schemas.times import utc_now
from phospho_store.registry.people import People
from phospho_web.problems import Problem

MIN_CHARACTERS = 12
MAX_CHARACTERS = 256
# Instead of a role in a project: the one for all projects holds there again.
DEFAULT_ROLE = "default"


class Passwords:
    """
    Hash and check passwords. Blocking: argon2-cffi's defaults, those of RFC 9106 for little memory, take some 50 ms
    and 64 MiB a call.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()

    def hashed(self, password: str) -> str:
        """Return the hash to store. Raises Problem 422 for one that is too short or too long."""
        if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
            message = f"a password has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters"
            raise Problem(422, "invalid_password", message, "a few random words work well")
        return self._hasher.hash(password)

    def matches(self, password: str, password_hash: str) -> bool:
        """
        Tell whether a password has this hash.

        An empty hash, of nobody or of a person without a password, takes as long as any other.
        """
        try:
            self._hasher.verify(password_hash or self._hash_of_nobody, password[:MAX_CHARACTERS])
        except (VerificationError, InvalidHashError):
            return False
        return bool(password_hash)

    def is_dated(self, password_hash: str) -> bool:
        """Tell whether a hash was made with other parameters than the present ones."""
        return self._hasher.check_needs_rehash(password_hash)

    @cached_property
    def _hash_of_nobody(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe(32))


class Directory:
    """Add, change and remove people. Blocking; raises what the store raises, and Problem."""

    def __init__(self, people: People, passwords: Passwords, now: Callable[[], datetime] = utc_now) -> None:
        self.people = people
        self.passwords = passwords
        self._now = now
        # Two admins may not make each other something else at the same moment.
        self._admins = threading.Lock()

    def everybody(self) -> list[dict[str, Any]]:
        """Return all people by name, without the hashes of their passwords."""
        return [public_person(person) for person in self.people.everybody()]

    def person(self, name: str) -> Person:
        """Return the person of that name; Problem 404 where there is none."""
        person = self.people.person(name)
        if person is None:
            raise Problem(404, "unknown_person", f"there is no person {known_name(name)!r}")
        return person

    def add(self, name: str, role: str, password: str, project_roles: Mapping[str, str] | None = None) -> Person:
        """Add a person; one who comes through a proxy has an empty password. Raises Problem 409 or 422."""
        roles = changed_roles(Roles("none"), role, project_roles or {})
        hashed = self.passwords.hashed(password) if password else ""
        try:
            return self.people.add(name, roles, hashed, self._now())
        except ValidationError:
            hint = "an e-mail address or a short name: at most 254 characters, without spaces"
            raise Problem(422, "invalid_name", "invalid name", hint) from None

    def admit(self, identity: Identity, default_role: Role | None, record: Callable[[Person], object]) -> Person:
        """
        Return the person whom a provider names, added where need be, and with the roles of their groups.

        `record` is called with a person whose roles are new.

        Raises Problem 403 for a person without any role, or 409 for the last admin.
        """
        person = self.people.person(identity.name)
        listed = person.roles if person is not None else Roles(default_role or "none")
        roles = identity.roles_after(listed)
        if person is None and roles.highest != "none":
            person = self.add(identity.name, roles.everywhere, "", roles.by_project)
            record(person)
        elif person is not None and roles != listed:
            person = self._with_roles(person, roles)
            record(person)
        if person is None or roles.highest == "none":
            message = f"{identity.name!r} may not see these pages"
            raise Problem(403, "unknown_person", message, "ask an admin to add you")
        return person

    def change(
        self, name: str, role: str = "", password: str = "", project_roles: Mapping[str, str] | None = None
    ) -> Person:
        """
        Change what is not empty. A new password signs the person out everywhere.

        Raises Problem 404, 409 or 422.
        """
        person = self.person(name)
        hashed = self.passwords.hashed(password) if password else ""
        roles = changed_roles(person.roles, role, project_roles or {})
        if roles != person.roles:
            person = self._with_roles(person, roles)
        return self.people.set_password(person, hashed, self._now()) if hashed else person

    def sign_out(self, name: str) -> None:
        """Sign a person out everywhere. Raises Problem 404."""
        self.people.sign_out(self.person(name), self._now())

    def remove(self, name: str) -> None:
        """Remove a person, signed out everywhere. Raises Problem 404, or 409 for the last admin."""
        person = self.person(name)
        with self._admins:
            self._check_not_last_admin(person)
            self.people.remove(person, self._now())

    def _with_roles(self, person: Person, roles: Roles) -> Person:
        with self._admins:
            if roles.everywhere != "admin":
                self._check_not_last_admin(person)
            return self.people.set_roles(person, roles)

    def _check_not_last_admin(self, person: Person) -> None:
        admins = [admin.name for admin in self.people.everybody() if admin.role == "admin"]
        if admins == [person.name]:
            raise Problem(409, "last_admin", f"{person.name!r} is the only admin", "make another person admin first")


def changed_roles(roles: Roles, everywhere: str, by_project: Mapping[str, str]) -> Roles:
    """
    Return roles with those that are given, of which an empty one changes nothing.

    An admin of all projects has no others. Raises Problem 422.
    """
    role = checked_role(everywhere) if everywhere else roles.everywhere
    given = {project_id: checked_role(text) for project_id, text in by_project.items() if text != DEFAULT_ROLE}
    if role == "admin" and given:
        message = "an admin of all projects is an admin in each of them"
        raise Problem(422, "admin_everywhere", message, "give them another role for all projects first")
    others = {project_id: held for project_id, held in roles.by_project.items() if project_id not in by_project}
    return Roles(role, {} if role == "admin" else others | given)


def checked_role(text: str) -> GivenRole:
    """Return a role; Problem 422 for any other text."""
    role = next((role for role in GIVEN_ROLES if role == text), None)
    if role is None:
        raise Problem(422, "invalid_role", f"there is no role {text[:50]!r}", f"one of: {', '.join(GIVEN_ROLES)}")
    return role


def public_person(person: Person) -> dict[str, Any]:
    """Return the public fields of a person."""
    fields = person.model_dump(mode="json", include={"name", "role", "project_roles", "created_at"})
    return fields | {"has_password": bool(person.password_hash)}
