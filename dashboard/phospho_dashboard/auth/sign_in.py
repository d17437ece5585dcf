"""Signing in: from a name and a password to the token of a cookie, and from the token to the person."""

from __future__ import annotations

import hmac
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from phospho_dashboard.auth.attempts import Attempts, Familiar
from phospho_dashboard.people.directory import Directory
from phospho_dashboard.settings import SignInSettings
from phospho_schemas.people import Person, SignIn, known_name
from phospho_store.registry.registry import key_hash
from phospho_web.problems import Problem

_MAX_REMEMBERED = 10_000


@dataclass(frozen=True)
class SignedIn:
    """A person, and the sign-in of the browser that asks."""

    person: Person
    sign_in: SignIn


@dataclass(frozen=True)
class _Entry:
    """What the store said of a token; it is asked again after `fresh_until`."""

    signed_in: SignedIn
    fresh_until: datetime


class SignInDesk:
    """
    Opens, knows and ends sign-ins. Thread-safe. Everything but `cached` blocks, and raises what the store raises.

    A person who is removed, signed out elsewhere or given another role is so here within `fresh_s`.
    """

    def __init__(
        self,
        directory: Directory,
        settings: SignInSettings,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.directory = directory
        self._people, self._passwords = directory.people, directory.passwords
        self._settings = settings
        self._now = now
        self._of_person = Attempts(settings.tries_per_person, settings.tries_window_s)
        self._of_strangers = Attempts(settings.tries_from_strangers, settings.tries_window_s)
        self._familiar = Familiar()
        self._of_address = Attempts(settings.tries_per_address, settings.tries_window_s)
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def sign_in(self, name: str, password: str, address: str) -> str:
        """
        Return the token of a new sign-in. Raises Problem: 401, or 429 after too many tries.

        Nothing in the answer or in its time tells an unknown name from a wrong password.
        """
        person = self._proven(name, password, address)
        return self._opened(person)

    def set_up(self, code: str, name: str, password: str, address: str) -> str:
        """
        Make the first administrator, and return the token of their sign-in.

        Raises Problem: 401 for another code than those of `setup_codes`, 409 where somebody may sign in already, 422
        for the name or the password, 429 after too many tries.
        """
        self._count(self._of_address, address)
        given = key_hash(code)
        if not any(hmac.compare_digest(given, key_hash(known)) for known in self._settings.setup_codes):
            raise Problem(401, "wrong_code", "this is not the code that the server printed when it started")
        if self._people.everybody():
            raise Problem(409, "already_set_up", "somebody can sign in already", "ask them to add you")
        return self._opened(self.directory.add(name, "admin", password))

    def change_password(self, name: str, old: str, new: str, address: str) -> str:
        """Change one's own password, sign out everywhere, and return a new sign-in's token. Raises as `sign_in`."""
        person = self._proven(name, old, address)
        return self._opened(self._people.set_password(person, self._passwords.hashed(new), self._now()))

    def cached(self, token: str) -> SignedIn | None:
        """Return who has signed in, where it is known without a query; None says: ask `signed_in`, in a thread."""
        now = self._now()
        with self._lock:
            entry = self._entries.get(key_hash(token))
        if entry is None or now > entry.fresh_until or not self._holds(entry.signed_in, now):
            return None
        return entry.signed_in

    def signed_in(self, token: str) -> SignedIn | None:
        """Return who has signed in with a token; None where it was ended, or nobody used it for too long."""
        if (known := self.cached(token)) is not None:
            return known
        now, sign_in = self._now(), self._people.sign_in(token)
        person = self._people.person(sign_in.name) if sign_in is not None else None
        if sign_in is None or person is None or not self._holds(SignedIn(person, sign_in), now):
            self._forget(token)
            return None
        if now - sign_in.seen_at >= timedelta(seconds=self._settings.seen_every_s):
            sign_in = self._people.saw(sign_in, now)
        return self._remembered(token, SignedIn(person, sign_in), now)

    def sign_out(self, token: str) -> None:
        """End the sign-in of a token, here at once and in other processes within `fresh_s`."""
        sign_in = self._people.sign_in(token)
        if sign_in is not None:
            self._people.end(sign_in, self._now())
        self._forget(token)

    def sign_ins(self, person: Person) -> list[SignIn]:
        """Return the browsers in which a person is signed in."""
        found = self._people.sign_ins(person, self._now())
        return [one for one in found if self._holds(SignedIn(person, one), self._now())]

    def end(self, person: Person, sign_in_id: str) -> bool:
        """End one of a person's sign-ins; False where there is none of that id."""
        chosen = [one for one in self._people.sign_ins(person, self._now()) if one.sign_in_id == sign_in_id]
        for sign_in in chosen:
            self._people.end(sign_in, self._now())
            with self._lock:
                self._entries.pop(sign_in.token_hash, None)
        return bool(chosen)

    def _proven(self, name: str, password: str, address: str) -> Person:
        """Return the person whose password this is; Problem 401 or 429."""
        self._count_try(known_name(name), address)
        person = self._people.person(name)
        known_hash = person.password_hash if person is not None else ""
        if not self._passwords.matches(password, known_hash) or person is None:
            raise Problem(401, "wrong_password", "name and password do not belong together")
        self._credit(known_name(name), address)
        if self._passwords.is_dated(known_hash):
            return self._people.renew_hash(person, self._passwords.hashed(password))
        return person

    def _count_try(self, name: str, address: str) -> None:
        self._count(self._of_address, address)
        self._count(self._of_person, _pair(name, address))
        if (name, address) not in self._familiar:
            self._count(self._of_strangers, name)

    def _credit(self, name: str, address: str) -> None:
        """Take back what a good password was counted as: an office behind one address may have many people."""
        self._of_address.give_back(address)
        self._of_person.forget(_pair(name, address))
        if (name, address) not in self._familiar:
            self._of_strangers.give_back(name)
        self._familiar.add(name, address)

    def _count(self, attempts: Attempts, key: str) -> None:
        wait_s = attempts.take(key)
        if wait_s is not None:
            raise Problem(429, "too_many_tries", "too many tries", f"wait for {wait_s} seconds", wait_s)

    def _opened(self, person: Person) -> str:
        now = self._now()
        token, sign_in = self._people.open_sign_in(person.name, now, timedelta(seconds=self._settings.lifetime_s))
        self._remembered(token, SignedIn(person, sign_in), now)
        return token

    def _holds(self, signed_in: SignedIn, now: datetime) -> bool:
        sign_in, person = signed_in.sign_in, signed_in.person
        is_used = now < sign_in.seen_at + timedelta(seconds=self._settings.idle_s)
        is_of_now = sign_in.created_at >= person.signed_out_at
        return sign_in.ended_at is None and is_used and is_of_now and now < sign_in.expires_at

    def _remembered(self, token: str, signed_in: SignedIn, now: datetime) -> SignedIn:
        with self._lock:
            self._entries[key_hash(token)] = _Entry(signed_in, now + timedelta(seconds=self._settings.fresh_s))
            while len(self._entries) > _MAX_REMEMBERED:
                self._entries.popitem(last=False)
        return signed_in

    def _forget(self, token: str) -> None:
        with self._lock:
            self._entries.pop(key_hash(token), None)


def _pair(name: str, address: str) -> str:
    """Return a key of both; no address holds a space."""
    return f"{address} {name}"
