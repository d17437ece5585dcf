"""
A job, and the thread that runs it.

A job keeps no state that a restart would miss: it reads which rows are missing, derives them, and writes rows that
replace each other by identity. Killed at any point, or run twice at once, it comes to the same rows.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from phospho_store.errors import StoreError, StoreUnavailable
from phospho_store.sql import compose
from phospho_store.store import Store
from phospho_workers.runtime import metrics

# The longest pause of a job to which only a change of its tables gives work.
MAX_PAUSE_S = 30.0
# An insert is stamped when it begins and visible when it has ended: rows of the last minute are read again.
OVERLAP_MS = 60_000

logger = logging.getLogger(__name__)

# The store is asked for changes once a second for all threads; each thread looks at the answer this often.
_POLL_INTERVAL_S = 0.25
_FIRST_BACKOFF_S = 0.5
_MAX_BACKOFF_S = 30.0
# Longer than a restart of the store takes, which makes no job unhealthy.
_STALE_AFTER_S = 300.0

_MAX_AGE_S = 1.0

# A part of a table never changes, and its name is never used twice. A merge makes another name as well: that costs a
# job one step without work. ClickHouse answers from memory.
_STATES = """
SELECT toString(table) AS table, groupBitXor(sipHash64(name)) AS state FROM $parts
WHERE database = currentDatabase() AND active GROUP BY table
"""


class Job(Protocol):
    """
    A loop that derives rows from ClickHouse, one bounded step at a time.

    `pause_s` is the pause after a step that left no work. After it, the next step comes with the next insert into one
    of `tables`, and at the latest after `max_pause_s`: for work that becomes due by the clock alone.

    Processes share the projects: a job takes `holds` (`leases.Holds`) and works only on projects for which it is True.
    """

    name: str
    pause_s: float

    @property
    def tables(self) -> Sequence[str]: ...

    @property
    def max_pause_s(self) -> float: ...

    def step(self) -> bool:
        """Do one bounded piece of work; True where more may wait. Blocking; raises what the store raises."""


@runtime_checkable
class FinishingJob(Protocol):
    """A job that has work under way between its steps, such as requests whose outcomes it will store."""

    def finish(self) -> None:
        """End the work that is under way, within seconds. Blocking; raises what the store raises."""


class JobThread:
    """
    Run a job until it is closed: a step when one of its tables has changed, or after its longest pause.

    A step that fails, in whatever way, is logged and counted, and is retried after a pause that doubles up to 30 s:
    the facts that it starts from are still there, and no other job waits for it.
    """

    def __init__(self, job: Job, changes: TableChanges) -> None:
        self._job = job
        self._changes = changes
        self._seen_states: tuple[int, ...] = ()
        self._has_more = True
        self._stepped_at_s = time.monotonic()
        self._closing = threading.Event()
        self._backoff_s = _FIRST_BACKOFF_S
        self._failure = ""
        self._succeeded_at_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"phospho-{job.name}", daemon=True)
        metrics.JOB_STEP_AGE_SECONDS.labels(job.name).set_function(self._age_s)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self, timeout_s: float = 30.0) -> None:
        """Let the current step and the work under way end, and stop."""
        self._closing.set()
        self._thread.join(timeout_s)

    def check(self) -> str | None:
        """Return why the job is unhealthy, or None."""
        if not self._thread.is_alive():
            return f"{self._job.name} does not run"
        if self._age_s() > _STALE_AFTER_S:
            return f"{self._job.name}: no step has succeeded for {self._age_s():.0f} s. {self._failure}".strip()
        return None

    def _age_s(self) -> float:
        return time.monotonic() - self._succeeded_at_s

    def _run(self) -> None:
        while not self._closing.is_set():
            self._closing.wait(self._poll())
        if isinstance(self._job, FinishingJob):
            try:
                self._job.finish()
            except StoreError as error:
                logger.warning("%s could not finish: %s", self._job.name, error)

    def _poll(self) -> float:
        """Do a step where one is due, and return how long to wait before the next poll."""
        try:
            wait_s = self._step_if_due()
        except StoreUnavailable as error:
            return self._back_off("away", f"the store is away: {error}")
        except BaseException as error:
            # The edge of this thread. The models' native code panics with a BaseException that is no Exception; no
            # signal and no exit arrives here.
            return self._back_off("failed", f"{type(error).__name__}: {error}", error)
        self._backoff_s, self._failure, self._succeeded_at_s = _FIRST_BACKOFF_S, "", time.monotonic()
        return wait_s

    def _step_if_due(self) -> float:
        # Read before the step: an insert in the middle of it is a reason for another step.
        states = self._changes.states(self._job.tables)
        is_overdue = time.monotonic() - self._stepped_at_s >= self._job.max_pause_s
        if not self._has_more and states == self._seen_states and not is_overdue:
            return _POLL_INTERVAL_S
        self._has_more = self._job.step()
        self._seen_states, self._stepped_at_s = states, time.monotonic()
        metrics.JOB_STEPS.labels(self._job.name, "more" if self._has_more else "done").inc()
        return 0.0 if self._has_more else self._job.pause_s

    def _back_off(self, outcome: str, reason: str, error: BaseException | None = None) -> float:
        metrics.JOB_STEPS.labels(self._job.name, outcome).inc()
        logger.warning("%s tries again: %s", self._job.name, reason, exc_info=error)
        self._has_more, self._failure = True, reason
        wait_s = self._backoff_s * random.uniform(0.5, 1.0)
        self._backoff_s = min(_MAX_BACKOFF_S, self._backoff_s * 2)
        return wait_s


class TableChanges:
    """
    The state of each table: a number that differs after every insert that readers see.

    Thread-safe. The store is asked once a second however many jobs ask, an exclusive one only after a write: a query
    to an embedded ClickHouse costs 5 ms of CPU.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._states: Mapping[str, int] = {}
        self._read_at_s = float("-inf")
        self._writes = -1
        self._lock = threading.Lock()

    def states(self, tables: Sequence[str]) -> tuple[int, ...]:
        """Return the states of these tables, at most a second old. Blocking; raises what the store raises."""
        with self._lock:
            # Read before the states: a write in between is a reason to ask again.
            now_s, writes = self._clock(), self._store.writes()
            is_unchanged = self._store.is_exclusive and writes == self._writes
            if not is_unchanged and now_s - self._read_at_s >= _MAX_AGE_S:
                self._states = {
                    row["table"]: row["state"] for row in self._store.rows(compose(_STATES, parts=self._store.parts))
                }
                self._read_at_s, self._writes = now_s, writes
            return tuple(self._states.get(table, 0) for table in tables)
