"""The people who may sign in, and their sign-ins: what every process that serves pages reads."""

from __future__ import annotations

import secrets
import threading
from datetime import datetime, timedelta

from phospho_schemas.ids import derived_id
from phospho_schemas.rows.people import Person, Roles, SignIn, known_name
from phospho_store.errors import Conflict
from phospho_store.registry.registry import key_hash
from phospho_store.repository import Repository
from phospho_store.store import Store


class People(Repository):
    """
    People and sign-ins. A bad name is a ValidationError.

    Names are compared in lower case. Times are given: nothing here reads a clock. A change is one of the row that was
    read: where another has been made since, as while a password was hashed, it raises Conflict and changes nothing.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._lock = threading.Lock()

    def everybody(self) -> list[Person]:
        """Return all people who were not removed, by name."""
        return self._read(Person, "person_rows", "WHERE removed_at IS NULL ORDER BY name LIMIT 10000")

    def person(self, name: str) -> Person | None:
        """Return the person of that name, or None; one who was removed is none."""
        latest = self._latest(name)
        return latest if latest is not None and latest.removed_at is None else None

    def add(self, name: str, roles: Roles, password_hash: str, now: datetime) -> Person:
        """Add a person, anew where one of that name was removed. What an earlier one had signed in to is signed out."""
        with self._lock:
            latest = self._latest(name)
            if latest is not None and latest.removed_at is None:
                raise Conflict("person_exists", f"{latest.name!r} may sign in already")
            person = Person(
                name=known_name(name),
                role=roles.everywhere,
                project_roles=dict(roles.by_project),
                password_hash=password_hash,
                created_at=now,
                signed_out_at=now,
            )
            return self._save_one("person_rows", person, latest.revision if latest else 0)

    def set_roles(self, person: Person, roles: Roles) -> Person:
        """Change what a person may do."""
        return self._changed(person, {"role": roles.everywhere, "project_roles": dict(roles.by_project)})

    def set_password(self, person: Person, password_hash: str, now: datetime) -> Person:
        """Change a password, and sign the person out everywhere."""
        return self._changed(person, {"password_hash": password_hash, "signed_out_at": now})

    def renew_hash(self, person: Person, password_hash: str) -> Person:
        """Store the same password under another hash, as when argon2's parameters have risen."""
        return self._changed(person, {"password_hash": password_hash})

    def sign_out(self, person: Person, now: datetime) -> Person:
        """Sign a person out everywhere."""
        return self._changed(person, {"signed_out_at": now})

    def remove(self, person: Person, now: datetime) -> None:
        """Remove a person, who is signed out everywhere with it."""
        self._changed(person, {"removed_at": now, "signed_out_at": now, "password_hash": ""})

    def open_sign_in(self, name: str, now: datetime, lifetime: timedelta) -> tuple[str, SignIn]:
        """Return the token of a new sign-in, 256 random bits that are shown this once, and what is stored of it."""
        token = secrets.token_urlsafe(32)
        hashed = key_hash(token)
        sign_in = SignIn(
            token_hash=hashed,
            sign_in_id="sign_in_" + derived_id(hashed)[:16],
            name=known_name(name),
            created_at=now,
            seen_at=now,
            expires_at=now + lifetime,
        )
        return token, self._save_one("sign_in_rows", sign_in)

    def sign_in(self, token: str) -> SignIn | None:
        """Return the sign-in with that token, ended or expired or neither, or None."""
        return self._first(SignIn, "sign_in_rows", "WHERE token_hash = {hash:String}", hash=key_hash(token))

    def sign_ins(self, person: Person, now: datetime) -> list[SignIn]:
        """Return a person's sign-ins that have neither ended nor expired, the one seen last first: at most 1,000."""
        rest = "WHERE name = {name:String} AND ended_at IS NULL ORDER BY seen_at DESC LIMIT 1000"
        sign_ins = self._read(SignIn, "sign_in_rows", rest, name=person.name)
        return [entry for entry in sign_ins if entry.expires_at > now and entry.created_at >= person.signed_out_at]

    def saw(self, sign_in: SignIn, now: datetime) -> SignIn:
        """Store that the browser was seen, and return the sign-in as it is now."""
        return self._sign_in_changed(sign_in, {"seen_at": now})

    def end(self, sign_in: SignIn, now: datetime) -> None:
        """End a sign-in, for ever. Twice is once."""
        self._sign_in_changed(sign_in, {"ended_at": now})

    def _changed(self, person: Person, changes: dict[str, object]) -> Person:
        with self._lock:
            latest = self._latest(person.name)
            if latest is None or latest.revision != person.revision:
                raise Conflict("changed_meanwhile", f"{person.name!r} was changed in the meantime", "try again")
            return self._save_one("person_rows", person.model_copy(update=changes), person.revision)

    def _sign_in_changed(self, sign_in: SignIn, changes: dict[str, object]) -> SignIn:
        return self._save_one("sign_in_rows", sign_in.model_copy(update=changes), sign_in.revision)

    def _latest(self, name: str) -> Person | None:
        return self._first(Person, "person_rows", "WHERE name = {name:String}", name=known_name(name))
