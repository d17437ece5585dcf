"""From just before a log is posted to the moment when a reader sees the task together with its analysis."""

from __future__ import annotations

import http.client
import statistics
import threading
import time
import uuid
from collections.abc import Sequence
from typing import Any

import orjson

from benchmarks.pipeline.readers import Reader
from benchmarks.processes import BenchmarkFailed
from benchmarks.sizes import KEY

_EVERY_S = 0.1
_POLL_S = 0.02
_MAX_WAIT_S = 60.0
_BEFORE_THE_FIRST_S = 2.0


class Probes:
    """
    Posts a task every 100 ms, and asks ClickHouse every 20 ms which of those on their way can be seen.

    A delay is taken when the answer to the poll is there, so it holds the poll's own time.
    """

    def __init__(self, reader: Reader, port: int) -> None:
        self._reader = reader
        self._port = port
        self._posted_s: dict[str, float] = {}
        self._delays_s: list[float] = []
        self._lock = threading.Lock()

    def duration_s(self, probes: int) -> float:
        """Return how long `run` takes, without the delay of the last probe."""
        return _BEFORE_THE_FIRST_S + probes * _EVERY_S

    def run(self, probes: int) -> list[float]:
        """Return the delays in seconds. Raises BenchmarkFailed where a probe is not seen within 60 s."""
        poster = threading.Thread(target=self._post_all, args=(probes,), daemon=True)
        time.sleep(_BEFORE_THE_FIRST_S)
        poster.start()
        while poster.is_alive() or self._on_their_way():
            self._poll(self._on_their_way())
        if len(self._delays_s) != probes:
            raise BenchmarkFailed(f"{len(self._delays_s)} of {probes} probes were seen")
        return self._delays_s

    def _post_all(self, probes: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_MAX_WAIT_S)
        began_s = time.monotonic()
        for index in range(probes):
            time.sleep(max(0.0, began_s + index * _EVERY_S - time.monotonic()))
            self._post(connection)

    def _post(self, connection: http.client.HTTPConnection) -> None:
        task_id = f"probe-{uuid.uuid4()}"
        event = {"task_id": task_id, "session_id": task_id, "input": "Book me a flight to Paris", "output": "Booked."}
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        with self._lock:
            self._posted_s[task_id] = time.monotonic()
        connection.request("POST", "/api/v1/events", orjson.dumps(event), headers)
        answer = connection.getresponse()
        if answer.status != 201:
            raise BenchmarkFailed(f"a probe was answered {answer.status}: {answer.read()[:300]!r}")
        answer.read()

    def _on_their_way(self) -> list[str]:
        with self._lock:
            return list(self._posted_s)

    def _poll(self, task_ids: Sequence[str]) -> None:
        began_s = time.monotonic()
        seen = self._reader.queryable(task_ids) if task_ids else []
        now_s = time.monotonic()
        with self._lock:
            self._delays_s += [now_s - self._posted_s.pop(task_id) for task_id in seen]
            oldest_s = min(self._posted_s.values(), default=now_s)
        if now_s - oldest_s > _MAX_WAIT_S:
            raise BenchmarkFailed(f"a probe was not seen within {_MAX_WAIT_S:g} s")
        time.sleep(max(0.0, began_s + _POLL_S - now_s))


def summary(delays_s: Sequence[float]) -> dict[str, Any]:
    """Return the percentiles of delays, in seconds."""
    percentiles = statistics.quantiles(delays_s, n=100, method="inclusive")
    return {
        "probes": len(delays_s),
        "min_s": min(delays_s),
        "p50_s": percentiles[49],
        "p90_s": percentiles[89],
        "p99_s": percentiles[98],
        "max_s": max(delays_s),
    }
