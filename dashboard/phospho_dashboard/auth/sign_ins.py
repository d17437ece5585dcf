"""Sign-ins: from a password, or a provider's identity, to the token in a cookie, and from the token to the person."""

from __future__ import annotations

import hmac
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from phospho_dashboard.auth.directory import Directory
from phospho_dashboard.auth.oidc import Identity
from phospho_dashboard.settings import SignInSettings
from phospho_schemas.rows.people import Person, SignIn, known_name
from phospho_schemas.times import utc_now
from phospho_store.registry.registry import key_hash
from phospho_web.problems import Problem

# Keys of attempts, pairs of person and address, and cached sign-ins.
_MAX_REMEMBERED = 10_000


class Attempts:
    """
    Count the attempts under a key, such as an address: at most `limit` within `window_s`. Thread-safe.

    Only the 10,000 keys used last are remembered. Anybody can make one up, so the memory of the library `limits`,
    which has no bound, won't do. An attempt is counted before its outcome is known, so many at once are limited like
    many in a row.
    """

    def __init__(self, limit: int, window_s: float) -> None:
        self._limit = limit
        self._window_s = window_s
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def count(self, key: str) -> int | None:
        """Count an attempt and return None; or, above the limit, return the seconds until the next one is free."""
        now_s = time.monotonic()
        with self._lock:
            times = self._times.setdefault(key, deque())
            self._times.move_to_end(key)
            while times and times[0] <= now_s - self._window_s:
                times.popleft()
            if len(times) >= self._limit:
                return max(1, math.ceil(times[0] + self._window_s - now_s))
            times.append(now_s)
            while len(self._times) > _MAX_REMEMBERED:
                self._times.popitem(last=False)
        return None

    def uncount(self, key: str) -> None:
        """Remove the last attempt under a key, since it has succeeded."""
        with self._lock:
            if times := self._times.get(key):
                times.pop()

    def reset(self, key: str) -> None:
        """Remove all attempts under a key, the last of which has succeeded."""
        with self._lock:
            self._times.pop(key, None)


class KnownNetworks:
    """The networks from which people have signed in: the last 10,000 pairs of person and address. Thread-safe."""

    def __init__(self) -> None:
        self._pairs: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, name: str, address: str) -> None:
        with self._lock:
            self._pairs[name, address] = None
            self._pairs.move_to_end((name, address))
            while len(self._pairs) > _MAX_REMEMBERED:
                self._pairs.popitem(last=False)

    def __contains__(self, pair: tuple[str, str]) -> bool:
        with self._lock:
            return pair in self._pairs


@dataclass(frozen=True)
class SignedIn:
    """A person, and the sign-in of their browser."""

    person: Person
    sign_in: SignIn


@dataclass(frozen=True)
class _CachedSignIn:
    """The store's answer about a token, to be asked again after `fresh_until`."""

    signed_in: SignedIn
    fresh_until: datetime


class SignIns:
    """
    Open, check and end sign-ins. Thread-safe. Every method but `cached` blocks, and raises what the store raises.

    A person who is removed, signed out elsewhere or given another role is so here within `fresh_s`.
    """

    def __init__(
        self,
        directory: Directory,
        settings: SignInSettings,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.directory = directory
        self._people, self._passwords = directory.people, directory.passwords
        self._settings = settings
        self._now = now
        self._person_attempts = Attempts(settings.tries_per_person, settings.tries_window_s)
        self._stranger_attempts = Attempts(settings.tries_from_strangers, settings.tries_window_s)
        self._address_attempts = Attempts(settings.tries_per_address, settings.tries_window_s)
        self._known_networks = KnownNetworks()
        self._cache: OrderedDict[str, _CachedSignIn] = OrderedDict()
        self._lock = threading.Lock()

    def sign_in(self, name: str, password: str, address: str) -> str:
        """
        Return the token of a new sign-in. Raises Problem: 401, or 429 after too many attempts.

        Neither the answer nor its time tells an unknown name from a wrong password.
        """
        self._check_passwords()
        return self._open(self._authenticated(name, password, address))

    def count_callback(self, address: str) -> None:
        """Count a browser that comes back from a provider. Raises Problem 429 after too many from one address."""
        _count(self._address_attempts, address)

    def sign_in_as(self, identity: Identity, address: str, record: Callable[[Person], object]) -> str:
        """Return the token of a new sign-in of the person whom a provider names. Raises as `Directory.admit`."""
        default_role = self._settings.oidc.role if self._settings.oidc else None
        person = self.directory.admit(identity, default_role, record)
        self._address_attempts.uncount(address)
        return self._open(person)

    def set_up(self, code: str, name: str, password: str, address: str) -> str:
        """
        Create the first administrator, and return the token of their sign-in.

        Raises Problem: 401 for a code that is not one of `setup_codes`, 409 where somebody may sign in already, 422
        for the name or the password, 429 after too many attempts.
        """
        self._check_passwords()
        _count(self._address_attempts, address)
        code_hash = key_hash(code)
        if not any(hmac.compare_digest(code_hash, key_hash(setup_code)) for setup_code in self._settings.setup_codes):
            raise Problem(401, "wrong_code", "wrong setup code; the server log has it")
        if self._people.everybody():
            raise Problem(409, "already_set_up", "an administrator exists already", "ask them to add you")
        return self._open(self.directory.add(name, "admin", password))

    def change_password(self, name: str, old: str, new: str, address: str) -> str:
        """Change a person's password, sign them out everywhere, and return a new token. Raises as `sign_in`."""
        self._check_passwords()
        person = self._authenticated(name, old, address)
        return self._open(self._people.set_password(person, self._passwords.hashed(new), self._now()))

    def cached(self, token: str) -> SignedIn | None:
        """Return the person of a token from the cache; None says: call `signed_in`, in a thread."""
        now = self._now()
        with self._lock:
            entry = self._cache.get(key_hash(token))
        if entry is None or now > entry.fresh_until or not self._is_valid(entry.signed_in, now):
            return None
        return entry.signed_in

    def signed_in(self, token: str) -> SignedIn | None:
        """Return the person of a token; None where the sign-in was ended, or was idle for too long."""
        if (cached := self.cached(token)) is not None:
            return cached
        now, sign_in = self._now(), self._people.sign_in(token)
        person = self._people.person(sign_in.name) if sign_in is not None else None
        if sign_in is None or person is None or not self._is_valid(SignedIn(person, sign_in), now):
            self._evict(key_hash(token))
            return None
        if now - sign_in.seen_at >= timedelta(seconds=self._settings.seen_every_s):
            sign_in = self._people.saw(sign_in, now)
        return self._add_to_cache(token, SignedIn(person, sign_in), now)

    def sign_out(self, token: str) -> None:
        """End the sign-in of a token, here at once and in other processes within `fresh_s`."""
        sign_in = self._people.sign_in(token)
        if sign_in is not None:
            self._people.end(sign_in, self._now())
        self._evict(key_hash(token))

    def of_person(self, person: Person) -> list[SignIn]:
        """Return the browsers in which a person is signed in."""
        now = self._now()
        sign_ins = self._people.sign_ins(person, now)
        return [sign_in for sign_in in sign_ins if self._is_valid(SignedIn(person, sign_in), now)]

    def end(self, person: Person, sign_in_id: str) -> bool:
        """End one of a person's sign-ins; False where there is none of that id."""
        sign_ins = self._people.sign_ins(person, self._now())
        ended = [sign_in for sign_in in sign_ins if sign_in.sign_in_id == sign_in_id]
        for sign_in in ended:
            self._people.end(sign_in, self._now())
            self._evict(sign_in.token_hash)
        return bool(ended)

    def _check_passwords(self) -> None:
        """Raise Problem 403 where people may not sign in with passwords."""
        if not self._settings.has_passwords:
            raise Problem(403, "no_passwords", "sign-in with passwords is off here", "open /sign-in")

    def _authenticated(self, name: str, password: str, address: str) -> Person:
        """Return the person with this name and password; Problem 401 or 429."""
        self._count_attempt(known_name(name), address)
        person = self._people.person(name)
        password_hash = person.password_hash if person is not None else ""
        if not self._passwords.matches(password, password_hash) or person is None:
            raise Problem(401, "wrong_password", "wrong name or password")
        self._credit_attempt(known_name(name), address)
        if self._passwords.is_dated(password_hash):
            return self._people.renew_hash(person, self._passwords.hashed(password))
        return person

    def _count_attempt(self, name: str, address: str) -> None:
        _count(self._address_attempts, address)
        _count(self._person_attempts, _pair_key(name, address))
        if (name, address) not in self._known_networks:
            _count(self._stranger_attempts, name)

    def _credit_attempt(self, name: str, address: str) -> None:
        """Uncount a good password: an office behind one address may have many people."""
        self._address_attempts.uncount(address)
        self._person_attempts.reset(_pair_key(name, address))
        if (name, address) not in self._known_networks:
            self._stranger_attempts.uncount(name)
        self._known_networks.add(name, address)

    def _open(self, person: Person) -> str:
        now = self._now()
        token, sign_in = self._people.open_sign_in(person.name, now, timedelta(seconds=self._settings.lifetime_s))
        self._add_to_cache(token, SignedIn(person, sign_in), now)
        return token

    def _is_valid(self, signed_in: SignedIn, now: datetime) -> bool:
        sign_in, person = signed_in.sign_in, signed_in.person
        is_in_use = now < sign_in.seen_at + timedelta(seconds=self._settings.idle_s)
        is_current = sign_in.created_at >= person.signed_out_at
        return sign_in.ended_at is None and is_in_use and is_current and now < sign_in.expires_at

    def _add_to_cache(self, token: str, signed_in: SignedIn, now: datetime) -> SignedIn:
        """Put a sign-in into the cache and return it."""
        with self._lock:
            self._cache[key_hash(token)] = _CachedSignIn(signed_in, now + timedelta(seconds=self._settings.fresh_s))
            while len(self._cache) > _MAX_REMEMBERED:
                self._cache.popitem(last=False)
        return signed_in

    def _evict(self, token_hash: str) -> None:
        with self._lock:
            self._cache.pop(token_hash, None)


def _count(attempts: Attempts, key: str) -> None:
    wait_s = attempts.count(key)
    if wait_s is not None:
        raise Problem(
            status=429,
            code="too_many_tries",
            message="too many tries",
            hint=f"wait for {wait_s} seconds",
            retry_after_s=wait_s,
        )


def _pair_key(name: str, address: str) -> str:
    """Return one key for both; no address holds a space."""
    return f"{address} {name}"
