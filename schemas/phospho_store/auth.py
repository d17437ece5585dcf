"""Who is asking: the look-up of API keys, cached so that a request costs no query."""

from __future__ import annotations

import hmac
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from phospho_store.errors import StoreUnavailable
from phospho_store.registry import Registry, key_hash

_MAX_CACHED_KEYS = 10_000


@dataclass(frozen=True)
class Principal:
    """Who asks. An administrator may act on every project; `project_id` is None for one."""

    project_id: str | None
    is_admin: bool = False


@dataclass(frozen=True)
class _Entry:
    project_id: str | None
    looked_up_s: float


class Authenticator:
    """
    Tells the principal of a secret. Thread-safe; blocks for one query where the cache has no fresh answer.

    A revoked key stops working within `ttl_s`. While the store is away, a key that was good at most `stale_s` ago
    stays good, so that logs are taken while ClickHouse restarts.
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
        """Return the principal where it is known without a query; None says: ask `principal`, in a thread."""
        hashed = key_hash(secret)
        if self._admin_hash is not None and hmac.compare_digest(hashed, self._admin_hash):
            return Principal(None, is_admin=True)
        entry = self._entry(hashed)
        if entry is None or entry.project_id is None or self._age_s(entry) > self._ttl_s:
            return None
        return Principal(entry.project_id)

    def principal(self, secret: str) -> Principal | None:
        """
        Return who has this secret, or None for a key that is unknown or revoked.

        Raises StoreUnavailable where the store is away and the cache can't say.
        """
        if known := self.cached(secret):
            return known
        hashed = key_hash(secret)
        entry = self._entry(hashed)
        if entry is not None and self._age_s(entry) <= self._ttl_s:
            return None
        project_id = self._looked_up(secret, entry)
        return Principal(project_id) if project_id is not None else None

    def _looked_up(self, secret: str, entry: _Entry | None) -> str | None:
        try:
            key = self._registry.key_of_secret(secret)
        except StoreUnavailable:
            if entry is not None and entry.project_id is not None and self._age_s(entry) <= self._stale_s:
                return entry.project_id
            raise
        project_id = key.project_id if key is not None and key.revoked_at is None else None
        self._remember(key_hash(secret), _Entry(project_id, self._clock()))
        return project_id

    def _entry(self, hashed: str) -> _Entry | None:
        with self._lock:
            return self._entries.get(hashed)

    def _remember(self, hashed: str, entry: _Entry) -> None:
        with self._lock:
            self._entries[hashed] = entry
            self._entries.move_to_end(hashed)
            while len(self._entries) > _MAX_CACHED_KEYS:
                self._entries.popitem(last=False)

    def _age_s(self, entry: _Entry) -> float:
        return self._clock() - entry.looked_up_s
