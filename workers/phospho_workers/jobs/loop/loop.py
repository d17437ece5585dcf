"""
What every job is, and the thread that runs one.

A job has no state that counts: it asks what the facts lack, derives it, and writes rows that replace each other
by identity. Killed at any point, or run twice at once, it comes to the same rows.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Sequence
from typing import Protocol

from phospho_store.errors import StoreUnavailable
from phospho_workers.runtime import metrics

logger = logging.getLogger(__name__)

# What a job rests at most where nothing but a change of its tables gives it work.
LONG_REST_S = 30.0
# What has changed is asked once a second for all threads; each looks at the answer so often.
_LISTEN_S = 0.25
_FIRST_BACKOFF_S = 0.5
_MAX_BACKOFF_S = 30.0
# A store that restarts is no reason to call a job unwell.
_STALE_AFTER_S = 300.0


class Job(Protocol):
    """
    `reads` has the tables whose changes may give it work.

    `interval_s` is the pause after a step that found nothing to do, and `rest_s` is the pause at most while nothing
    of that changes: for what the clock alone brings.
    """

    name: str
    interval_s: float

    @property
    def reads(self) -> Sequence[str]: ...

    @property
    def rest_s(self) -> float: ...

    def step(self) -> bool:
        """Do one bounded piece of work; True where more may wait. Blocking; raises what the store raises."""


class States(Protocol):
    """Changes, or what a test has in its place."""

    def states(self, tables: Sequence[str]) -> tuple[int, ...]:
        """Return a number a table which is another one after every insert."""


class JobThread:
    """
    Runs a job until it is closed: a step when a table that it reads has changed, or when it has rested.

    A step that fails, in whatever way, is logged and counted, and comes again after a pause that doubles up to 30 s:
    the facts that it starts from are still there, and nothing else waits for it.
    """

    def __init__(self, job: Job, changes: States) -> None:
        self._job = job
        self._changes = changes
        self._seen: tuple[int, ...] = ()
        self._is_due = True
        self._stepped_at_s = time.monotonic()
        self._closing = threading.Event()
        self._backoff_s = _FIRST_BACKOFF_S
        self._failure = ""
        self._well_at_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"phospho-{job.name}", daemon=True)
        metrics.SECONDS_SINCE_JOB_STEP.labels(job.name).set_function(self._age_s)

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
            return f"{self._job.name} does not run"
        if self._age_s() > _STALE_AFTER_S:
            return f"{self._job.name}: no step was done for {self._age_s():.0f} s. {self._failure}".strip()
        return None

    def _age_s(self) -> float:
        return time.monotonic() - self._well_at_s

    def _run(self) -> None:
        while not self._closing.is_set():
            self._closing.wait(self._turn())

    def _turn(self) -> float:
        """Do a step where one is due, and return how long to wait for the next turn."""
        try:
            wait_s = self._stepped()
        except StoreUnavailable as error:
            return self._failed("away", f"the store is away: {error}", None)
        except BaseException as error:
            # The edge of this thread. The models' native code panics with what is no Exception; no signal and no exit
            # arrives here.
            return self._failed("failed", f"{type(error).__name__}: {error}", error)
        self._backoff_s, self._failure, self._well_at_s = _FIRST_BACKOFF_S, "", time.monotonic()
        return wait_s

    def _stepped(self) -> float:
        # Asked before the step: what changes in the middle of it is a reason for another.
        states = self._changes.states(self._job.reads)
        has_rested = time.monotonic() - self._stepped_at_s >= self._job.rest_s
        if not self._is_due and states == self._seen and not has_rested:
            return _LISTEN_S
        self._is_due = self._job.step()
        self._seen, self._stepped_at_s = states, time.monotonic()
        metrics.JOB_STEPS.labels(self._job.name, "more" if self._is_due else "done").inc()
        return 0.0 if self._is_due else self._job.interval_s

    def _failed(self, outcome: str, reason: str, error: BaseException | None) -> float:
        metrics.JOB_STEPS.labels(self._job.name, outcome).inc()
        logger.warning("%s tries again: %s", self._job.name, reason, exc_info=error)
        self._is_due, self._failure = True, reason
        wait_s = self._backoff_s * random.uniform(0.5, 1.0)
        self._backoff_s = min(_MAX_BACKOFF_S, self._backoff_s * 2)
        return wait_s
