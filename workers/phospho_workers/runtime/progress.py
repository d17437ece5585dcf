"""What a worker process knows of itself: is it alive, which partitions it has, and why it must stop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)


class Progress:
    """
    Written by the consumer's thread and the event loop, read by health checks.

    `epoch` counts assignments and revocations: what was read under another epoch may be another's by now.
    `failure` is why the process must end; it is set once, and nothing may be committed after it.
    """

    def __init__(self) -> None:
        self.assigned: set[tuple[str, int]] = set()
        self.epoch = 0
        self.failure = ""
        self._last_s = time.monotonic()
        self._on_failure: Callable[[], None] = lambda: None

    def note(self) -> None:
        """Remember that a batch was done, or that there was none."""
        self._last_s = time.monotonic()

    def age_s(self) -> float:
        """Return the seconds since the last progress."""
        return time.monotonic() - self._last_s

    def fail(self, name: str, error: BaseException) -> None:
        """Say that the process must end, and why. The first reason stays."""
        logger.error("%s stops: what it has in hand was not committed", name, exc_info=error)
        if not self.failure:
            self.failure = f"{type(error).__name__}: {error}"
            self._on_failure()

    def when_failed(self) -> asyncio.Event:
        """Return an event of the running loop that is set on failure, from whichever thread it comes."""
        failed, loop = asyncio.Event(), asyncio.get_running_loop()

        def tell() -> None:
            loop.call_soon_threadsafe(failed.set)

        self._on_failure = tell
        if self.failure:
            failed.set()
        return failed
