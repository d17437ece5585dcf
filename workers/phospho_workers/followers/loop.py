"""
What every follower is, and the thread that runs one.

A follower has no state that counts: it asks what the facts lack, derives it, and writes rows that replace each other
by identity. Killed at any point, or run twice at once, it comes to the same rows.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from typing import Protocol

from phospho_store.errors import StoreUnavailable
from phospho_workers.runtime import metrics

logger = logging.getLogger("phospho.follower")

_FIRST_BACKOFF_S = 0.5
_MAX_BACKOFF_S = 30.0
# A store that restarts is no reason to call a follower unwell.
_STALE_AFTER_S = 300.0


class Follower(Protocol):
    """`interval_s` is the pause after a step that found nothing to do."""

    name: str
    interval_s: float

    def step(self) -> bool:
        """Do one bounded piece of work; True where more may wait. Blocking; raises what the store raises."""


class FollowerThread:
    """
    Runs a follower until it is closed.

    A step that fails is logged and counted, and comes again after a pause that doubles up to 30 s: the facts that it
    starts from are still there, and nothing else waits for it.
    """

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._closing = threading.Event()
        self._backoff_s = _FIRST_BACKOFF_S
        self._failure = ""
        self._last_done_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"phospho-{follower.name}", daemon=True)
        metrics.SECONDS_SINCE_FOLLOWED.labels(follower.name).set_function(self._age_s)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self, timeout_s: float = 30.0) -> None:
        """Let the step in hand end, and stop."""
        self._closing.set()
        self._thread.join(timeout_s)

    def check(self) -> str | None:
        """Return what is wrong, or None."""
        if not self._thread.is_alive():
            return f"{self._follower.name} does not run"
        if self._age_s() > _STALE_AFTER_S:
            return f"{self._follower.name}: no step was done for {self._age_s():.0f} s. {self._failure}".strip()
        return None

    def _age_s(self) -> float:
        return time.monotonic() - self._last_done_s

    def _run(self) -> None:
        while not self._closing.is_set():
            self._closing.wait(self._stepped())

    def _stepped(self) -> float:
        """Do one step and return how long to wait for the next."""
        name = self._follower.name
        try:
            is_more = self._follower.step()
        except StoreUnavailable as error:
            return self._failed("away", f"the store is away: {error}", None)
        except Exception as error:
            # The edge of this thread.
            return self._failed("failed", f"{type(error).__name__}: {error}", error)
        metrics.FOLLOWER_STEPS.labels(name, "more" if is_more else "done").inc()
        self._backoff_s, self._failure, self._last_done_s = _FIRST_BACKOFF_S, "", time.monotonic()
        return 0.0 if is_more else self._follower.interval_s

    def _failed(self, outcome: str, reason: str, error: Exception | None) -> float:
        metrics.FOLLOWER_STEPS.labels(self._follower.name, outcome).inc()
        logger.warning("%s tries again: %s", self._follower.name, reason, exc_info=error)
        self._failure = reason
        wait_s = self._backoff_s * random.uniform(0.5, 1.0)
        self._backoff_s = min(_MAX_BACKOFF_S, self._backoff_s * 2)
        return wait_s
