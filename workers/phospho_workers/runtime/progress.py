"""The state of a worker process: its partitions, its last progress, and its fatal failure."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from phospho_workers.runtime.records import Partition

logger = logging.getLogger(__name__)


class Progress:
    """
    State that the consumer's thread and the event loop write and health checks read.

    `epoch` counts assignments and revocations: a batch that was read under another epoch may have another owner.
    `failure` is the reason for which the process must end. It is set once, and nothing is committed after it.
    """

    def __init__(self) -> None:
        self.assigned: set[Partition] = set()
        self.epoch = 0
        self.failure = ""
        self._last_progress_s = time.monotonic()
        self._on_failure: Callable[[], None] = lambda: None

    def record(self) -> None:
        """Record that a batch was done, or that a poll returned none."""
        self._last_progress_s = time.monotonic()

    def age_s(self) -> float:
        """Return the seconds since the last progress."""
        return time.monotonic() - self._last_progress_s

    def fail(self, name: str, error: BaseException) -> None:
        """Log a fatal error and end the process. The first failure stays."""
        logger.error("%s failed and stops; its batch is not committed", name, exc_info=error)
        if not self.failure:
            self.failure = f"{type(error).__name__}: {error}"
            self._on_failure()

    def failure_event(self) -> asyncio.Event:
        """Return an event of the running loop that is set on failure, from any thread."""
        failed, loop = asyncio.Event(), asyncio.get_running_loop()

        def set_event() -> None:
            loop.call_soon_threadsafe(failed.set)

        self._on_failure = set_event
        if self.failure:
            failed.set()
        return failed
