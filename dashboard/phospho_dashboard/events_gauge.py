"""Counts of each project for /metrics, out of the same views that the pages and SQL read."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from phospho_store.errors import StoreError
from phospho_store.store import Store

MAX_SERIES = 1000

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Gauge:
    name: str
    help: str
    labels: tuple[str, ...]
    sql: str


# Each query returns its labels and `value`. The largest come first, so that those beyond MAX_SERIES are the small ones.
_GAUGES = (
    _Gauge(
        "phospho_project_events",
        "Events found in a project, by name.",
        ("project_id", "event"),
        "SELECT project_id, toString(name) AS event, count() AS value FROM events GROUP BY project_id, event",
    ),
    _Gauge(
        "phospho_project_tasks",
        "Tasks of a project.",
        ("project_id",),
        "SELECT project_id, count() AS value FROM tasks GROUP BY project_id",
    ),
    _Gauge(
        "phospho_project_sessions",
        "Sessions of a project.",
        ("project_id",),
        "SELECT project_id, count() AS value FROM sessions GROUP BY project_id",
    ),
    _Gauge(
        "phospho_project_dead_letters",
        "Messages of a project that a stage could not read; an empty project where the message did not say.",
        ("project_id",),
        "SELECT project_id, count() AS value FROM dead_letters GROUP BY project_id",
    ),
)


class ProjectGauges(Collector):
    """
    Reads the counts when it is scraped, at most every `ttl_s`; between, and while the store is away, the last ones.

    Each metric has at most MAX_SERIES series: the largest ones.
    """

    def __init__(self, store: Store, ttl_s: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._ttl_s = max(ttl_s, 1.0)
        self._clock = clock
        self._lock = threading.Lock()
        self._read_at_s: float | None = None
        self._families: list[GaugeMetricFamily] = []

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return the names alone, so that registering asks nothing of the store."""
        return [GaugeMetricFamily(gauge.name, gauge.help, labels=gauge.labels) for gauge in _GAUGES]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        with self._lock:
            if self._read_at_s is None or self._clock() - self._read_at_s >= self._ttl_s:
                self._read()
            return self._families

    def _read(self) -> None:
        try:
            self._families = [self._family(gauge) for gauge in _GAUGES]
        except StoreError as error:
            _log.warning("the counts of projects are old: %s", error)
        # After a failure too: a store that is away is not asked at every scrape.
        self._read_at_s = self._clock()

    def _family(self, gauge: _Gauge) -> GaugeMetricFamily:
        rows = self._store.rows(f"{gauge.sql} ORDER BY value DESC, project_id LIMIT {MAX_SERIES}")
        family = GaugeMetricFamily(gauge.name, gauge.help, labels=gauge.labels)
        for row in rows:
            family.add_metric([row[label] for label in gauge.labels], row["value"])
        return family
