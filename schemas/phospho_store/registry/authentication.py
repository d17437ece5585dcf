"""Authentication by API key, cached so that a request costs no query."""

from __future__ import annotations

import hmac
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from phospho_schemas.messages import KeyScope
from phospho_schemas.times import utc_now
from phospho_store.errors import StoreUnavailable
from phospho_store.registry.registry import Registry, key_hash

# What the hashes of keys, passwords and sign-ins stand in: no reader's SQL may name them.
SECRET_TABLES = ("api_key_rows", "person_rows", "sign_in_rows")

_MAX_CACHED_KEYS = 10_000


@dataclass(frozen=True)
class Principal:
    """The caller. An administrator may act on every project; `project_id` is None for one."""

    project_id: str | None
    is_admin: bool = False
    scopes: frozenset[KeyScope] = field(default=frozenset({"admin"}), kw_only=True)

    def has_scope(self, scope: KeyScope) -> bool:
        """Tell whether this key may do what needs `scope`."""
        return scope in self.scopes or "admin" in self.scopes


@dataclass(frozen=True)
class _Entry:
    """
    The result of a look-up at `looked_up_s`; the store is asked again after `fresh_until_s`.

    `principal` is None for an unknown, revoked or expired key. The key expires at `expires_s`.
    """

    principal: Principal | None
    looked_up_s: float
    fresh_until_s: float
    expires_s: float = math.inf


class Authenticator:
    """
    Finds the principal of a secret. Thread-safe; blocks for one query if the cache has no fresh entry.

    A revoked key stops working within `ttl_s`. While the store is away or hangs, a key that was good at most `stale_s`
    ago stays good, so that logs are taken while ClickHouse restarts; the store is then asked every `ttl_s`.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        admin_secret: str | None = None,
        ttl_s: float = 5.0,
        stale_s: float = 600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._admin_hash = key_hash(admin_secret) if admin_secret else None
        self._ttl_s = ttl_s
        self._stale_s = stale_s
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def cached(self, secret: str) -> Principal | None:
        """Return the principal if no query is needed; if None, call `principal` in a thread."""
        hashed = key_hash(secret)
        if self._admin_hash is not None and hmac.compare_digest(hashed, self._admin_hash):
            return Principal(None, is_admin=True)
        entry = self._entry(hashed)
        return entry.principal if entry is not None and self._is_fresh(entry) else None

    def stale(self, secret: str) -> Principal | None:
        """
        Return the principal of the last look-up, at most `stale_s` ago; None if there was none.

        For a caller that got no answer from the store: until `ttl_s` from now, `cached` says the same. Never blocks.
        """
        hashed, now_s = key_hash(secret), self._clock()
        with self._lock:
            entry = self._entries.get(hashed)
            if entry is None or entry.principal is None:
                return None
            stale_until_s = min(entry.looked_up_s + self._stale_s, entry.expires_s)
            if now_s > stale_until_s:
                return None
            self._entries[hashed] = replace(entry, fresh_until_s=min(now_s + self._ttl_s, stale_until_s))
        return entry.principal

    def principal(self, secret: str) -> Principal | None:
        """
        Return the principal of a secret, or None for a key that is unknown or revoked.

        Raises StoreUnavailable where the store is away and the cache can't say.
        """
        if principal := self.cached(secret):
            return principal
        entry = self._entry(key_hash(secret))
        if entry is not None and entry.principal is None and self._is_fresh(entry):
            return None
        try:
            return self._looked_up(secret)
        except StoreUnavailable:
            if (stale := self.stale(secret)) is not None:
                return stale
            raise

    def _looked_up(self, secret: str) -> Principal | None:
        asked_s = self._clock()
        key = self._registry.key_of_secret(secret)
        principal, expires_s = None, math.inf
        if key is not None and key.revoked_at is None:
            left_s = (key.expires_at - utc_now()).total_seconds() if key.expires_at else math.inf
            if left_s > 0:
                principal = Principal(key.project_id, scopes=frozenset(key.scopes))
                expires_s = asked_s + left_s
        fresh_until_s = min(asked_s + self._ttl_s, expires_s)
        self._remember(key_hash(secret), _Entry(principal, asked_s, fresh_until_s, expires_s))
        return principal

    def _entry(self, hashed: str) -> _Entry | None:
        with self._lock:
            return self._entries.get(hashed)

    def _remember(self, hashed: str, entry: _Entry) -> None:
        with self._lock:
            self._entries[hashed] = entry
            self._entries.move_to_end(hashed)
            while len(self._entries) > _MAX_CACHED_KEYS:
                self._entries.popitem(last=False)

    def _is_fresh(self, entry: _Entry) -> bool:
        return self._clock() <= entry.fresh_until_s
