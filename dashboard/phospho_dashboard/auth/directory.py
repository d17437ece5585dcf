"""The directory of the people who may sign in, as admins change it, and the hashes of their passwords."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pydantic import ValidationError

from phospho_schemas.people import ROLES, Person, Role, known_name
from phospho_schemas.times import utc_now
from phospho_store.registry.people import People
from phospho_web.problems import Problem

MIN_CHARACTERS = 12
MAX_CHARACTERS = 256


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

    def add(self, name: str, role: str, password: str) -> Person:
        """Add a person; one who comes through a proxy has an empty password. Raises Problem 409 or 422."""
        hashed = self.passwords.hashed(password) if password else ""
        try:
            return self.people.add(name, checked_role(role), hashed, self._now())
        except ValidationError:
            hint = "an e-mail address or a short name: at most 254 characters, without spaces"
            raise Problem(422, "invalid_name", "invalid name", hint) from None

    def admit(self, name: str, role: Role | None, default_role: Role | None) -> Person:
        """
        Return the person whom a provider names, added where need be, and with `role` where it is given.

        Raises Problem 403 for a person who is not listed and gets no role, or 409 for the last admin.
        """
        person = self.people.person(name)
        if person is None:
            new_role = role or default_role
            if new_role is None:
                raise Problem(403, "unknown_person", f"{name!r} may not see these pages", "ask an admin to add you")
            return self.add(name, new_role, "")
        return self._with_role(person, role) if role and role != person.role else person

    def change(self, name: str, role: str = "", password: str = "") -> Person:
        """Change what is not empty; a new password signs the person out everywhere. Raises Problem 404, 409 or 422."""
        person = self.person(name)
        hashed = self.passwords.hashed(password) if password else ""
        if role and checked_role(role) != person.role:
            person = self._with_role(person, checked_role(role))
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

    def _with_role(self, person: Person, role: Role) -> Person:
        with self._admins:
            self._check_not_last_admin(person)
            return self.people.set_role(person, role)

    def _check_not_last_admin(self, person: Person) -> None:
        admins = [admin.name for admin in self.people.everybody() if admin.role == "admin"]
        if admins == [person.name]:
            raise Problem(409, "last_admin", f"{person.name!r} is the only admin", "make another person admin first")


def checked_role(text: str) -> Role:
    """Return a role; Problem 422 for any other text."""
    role = next((role for role in ROLES if role == text), None)
    if role is None:
        raise Problem(422, "invalid_role", f"there is no role {text[:50]!r}", f"one of: {', '.join(ROLES)}")
    return role


def public_person(person: Person) -> dict[str, Any]:
    """Return the public fields of a person."""
    fields = person.model_dump(mode="json", include={"name", "role", "created_at"})
    return fields | {"has_password": bool(person.password_hash)}
