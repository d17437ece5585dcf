"""Load from the SDK, REST and raw producers, and what each of them was told is accepted."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
from confluent_kafka import Producer

import phospho
from fixtures.shapes import OnKafka
from phospho_schemas.topics import RAW_LOGS

_BATCH = 20
_PAUSE_S = 0.1
_TEXTS = ("where is my order", "I want a refund", "thank you, that helped", "this is useless, cancel it")


def event(source: str, number: int) -> dict[str, object]:
    """Return an event that depends on its arguments alone."""
    ids = {"task_id": f"{source}-{number}", "session_id": f"{source}-{number // 5}", "user_id": f"u{number % 97}"}
    return ids | {"input": _TEXTS[number % 4], "output": f"answer {number}", "created_at": 1_790_000_000 + number}


class Load:
    """Sources that log until they are stopped. `accepted` has the ids of tasks that a source was told are stored."""

    def __init__(self, cluster: OnKafka) -> None:
        self._cluster = cluster
        self._stopping = threading.Event()
        self.accepted: set[str] = set()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Log from all sources until the end, when each has sent what it holds."""
        sources = (self._rest, self._raw, self._sdk)
        threads = [threading.Thread(target=source) for source in sources]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join()

    def _batches(self, source: str) -> Iterator[list[dict[str, object]]]:
        for first in itertools.count(0, _BATCH):
            if self._stopping.wait(_PAUSE_S):
                return
            yield [event(source, number) for number in range(first, first + _BATCH)]

    def _rest(self) -> None:
        headers = {"Authorization": f"Bearer {self._cluster.api_key}"}
        with httpx.Client(base_url=self._cluster.base_url, headers=headers, timeout=60) as client:
            for events in self._batches("rest"):
                self._repeat(lambda events=events: _post(client, events))  # type: ignore[misc]
                self.accepted.update(str(each["task_id"]) for each in events)

    def _repeat(self, attempt: Callable[[], bool]) -> None:
        """Repeat a request that was not confirmed, as a client does: the ids are the same."""
        while not attempt():
            self._stopping.wait(0.5)

    def _raw(self) -> None:
        delivered: list[str] = []
        configuration = {"bootstrap.servers": self._cluster.kafka.bootstrap_servers, "log_level": 0}
        producer = Producer({**configuration, "acks": "all", "enable.idempotence": True})
        for events in self._batches("raw"):
            for each in events:
                message = {"project_id": self._cluster.project_id, **each}
                key = f"{self._cluster.project_id}:{each['session_id']}"
                producer.produce(
                    RAW_LOGS.name,
                    json.dumps(message),
                    key,
                    on_delivery=lambda error, _, task=str(each["task_id"]): error or delivered.append(task),
                )
            producer.poll(0)
        producer.flush(120)
        self.accepted.update(delivered)

    def _sdk(self) -> None:
        client = phospho.Client(base_url=self._cluster.base_url, api_key=self._cluster.api_key)
        logged: set[str] = set()
        for events in self._batches("sdk"):
            for each in events:
                client.log(**{name: each[name] for name in ("task_id", "session_id", "user_id", "input", "output")})
                logged.add(str(each["task_id"]))
        result = client.close(timeout=120)
        self.accepted.update(logged - set(result.pending) - {task for task, _ in result.rejected})


def _post(client: httpx.Client, events: list[dict[str, object]]) -> bool:
    try:
        answer = client.post("/api/v1/events/batch", json={"events": events})
    except httpx.TransportError:
        return False
    return answer.status_code == 200 and answer.json()["accepted"] == len(events)
