"""Counts of each project for /metrics, equal to those of the views, read from few columns of the tables."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from phospho_schemas.rows.ledger import RECEIPT_RETENTION_DAYS
from phospho_store.errors import StoreError
from phospho_store.store import Store

MAX_SERIES = 1000

_MIN_TTL_S = 1.0
_MAX_TTL_S = 60.0
# At most one twentieth of the time is spent counting: 50 ms of counting are kept for a second.
_TTL_OF_DURATION = 20
_MAX_EXECUTION_S = 10

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Query:
    """A query with a column for each label and each gauge, by the end of its name; the largest come first."""

    labels: tuple[str, ...]
    gauges: Mapping[str, str]
    sql: str

    def families(self) -> list[GaugeMetricFamily]:
        """Return the gauges without a sample."""
        return [
            GaugeMetricFamily(f"phospho_project_{column}", help_text, labels=self.labels)
            for column, help_text in self.gauges.items()
        ]


# FINAL over narrow columns, without the joins of the views that change no count. A test compares the two.
_QUERIES = (
    _Query(
        ("project_id", "event"),
        {"events": "Events found in a project, by name."},
        "SELECT project_id, toString(name) AS event, count() AS events FROM events GROUP BY project_id, event",
    ),
    _Query(
        ("project_id",),
        {"tasks": "Tasks of a project.", "sessions": "Sessions of a project."},
        "SELECT project_id, count() AS tasks, uniqExact(session_id) AS sessions"
        " FROM task_rows FINAL GROUP BY project_id",
    ),
    _Query(
        ("project_id",),
        {"dead_letters": "Messages of a project that a stage could not read; no project where none was said."},
        "SELECT project_id, count() AS dead_letters FROM dead_letter_rows FINAL GROUP BY project_id",
    ),
    _Query(
        ("project_id",),
        {"missing_logs": "Accepted logs of a project that are nowhere to be found, by the ledger of 30 days."},
        "SELECT project_id, sum(missing) AS missing_logs FROM ledger_rows FINAL"
        f" WHERE hour >= now64(3) - INTERVAL {RECEIPT_RETENTION_DAYS} DAY GROUP BY project_id",
    ),
)


class ProjectGauges(Collector):
    """
    Count when scraped, in a thread of its own; a scrape waits at most `max_wait_s` and shows the counts there are.

    Counts are cached for a second, or for 20 times as long as counting took, at most a minute: a small installation
    shows the present, and a large one does not count all the time. While the store is away, the last counts stay. Each
    metric has at most MAX_SERIES series, the largest ones.
    """

    def __init__(self, store: Store, *, max_wait_s: float = 2.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._max_wait_s = max_wait_s
        self._clock = clock
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="project-gauges")
        self._running: Future[None] | None = None
        self._due_s: float | None = None
        self._families: list[GaugeMetricFamily] = []

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return the gauges without samples, so that registering reads nothing from the store."""
        return [family for query in _QUERIES for family in query.families()]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        running = self._counting()
        if running is not None and wait([running], self._max_wait_s).done:
            running.result()
        return self._families

    def close(self) -> None:
        """Wait for a running count, and start no other."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _counting(self) -> Future[None] | None:
        """Return the running count, or a new one where the last is too old; None where it is fresh."""
        with self._lock:
            if self._running is not None and not self._running.done():
                return self._running
            if self._due_s is not None and self._clock() < self._due_s:
                return None
            self._running = self._thread.submit(self._count)
            return self._running

    def _count(self) -> None:
        started_s = self._clock()
        try:
            self._families = [family for query in _QUERIES for family in self._read(query)]
        except StoreError as error:
            logger.warning("the counts of projects are old: %s", error)
        # After a failure too, so that not every scrape waits for a store that is away.
        ended_s = self._clock()
        self._due_s = ended_s + min(max(_TTL_OF_DURATION * (ended_s - started_s), _MIN_TTL_S), _MAX_TTL_S)

    def _read(self, query: _Query) -> list[GaugeMetricFamily]:
        largest = next(iter(query.gauges))
        rows = self._store.rows(
            f"{query.sql} ORDER BY {largest} DESC, project_id LIMIT {MAX_SERIES}"
            f" SETTINGS max_execution_time = {_MAX_EXECUTION_S}"
        )
        families = query.families()
        for column, family in zip(query.gauges, families, strict=True):
            for row in rows:
                family.add_metric([row[label] for label in query.labels], row[column])
        return families
