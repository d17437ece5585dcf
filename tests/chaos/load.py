"""Load from the SDK, REST and raw producers: the same input for every run, and the ids of accepted tasks."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import httpx
from confluent_kafka import Producer

import phospho
from fixtures.shapes import OnKafka
from phospho_schemas.topics import RAW_LOGS

BATCH = 20
_PAUSE_S = 1.0
_RETRY_PAUSE_S = 0.3
_TEXTS = ("where is my order", "I want a refund", "thank you, that helped", "this is useless, cancel it")
_FIRST_SECOND = 1_790_000_000
_TIMEOUT_S = 120.0
# Below the queue of the SDK, which drops what comes beyond.
_MAX_PENDING = 5_000
# A sender that hears nothing for longer than an outage lasts sends nothing to the server that is back.
_ANSWER_TIMEOUT_S = 15.0

Event = dict[str, object]
# Sends batches until there are no more, and returns the ids of the tasks that it was told are accepted.
# Counts the answers that it was given, and notes the slowest.
Source = Callable[[OnKafka, Iterable[Sequence[Event]], "Answers"], set[str]]


class Answers:
    """The answers to REST requests: a number by status, `none` for a request without an answer, and the slowest."""

    def __init__(self) -> None:
        self.numbers: Counter[str] = Counter()
        self.slowest_s = 0.0

    def note(self, status: str, seconds: float) -> None:
        """Count an answer."""
        self.numbers[status] += 1
        self.slowest_s = max(self.slowest_s, seconds)

    def __str__(self) -> str:
        numbers = ", ".join(f"{number} of {status}" for status, number in sorted(self.numbers.items()))
        return f"{numbers}; the slowest took {self.slowest_s:.1f} s"


def batch(source: str, number: int) -> list[Event]:
    """Return the events of a batch, which depend on the arguments alone. Two were logged before, with other texts."""
    first = number * BATCH
    new = [_event(source, task, task) for task in range(first, first + BATCH)]
    return [*new, *(_event(source, task, task + 1) for task in range(max(first - BATCH, 0), max(first - BATCH + 2, 0)))]


def _event(source: str, task: int, text: int) -> Event:
    ids = {"task_id": f"{source}-{task}", "session_id": f"{source}-{task // 5}", "user_id": f"u{task % 97}"}
    flag = {"flag": "success"} if task % 7 == 0 else {}
    times = {"created_at": _FIRST_SECOND + task}
    return ids | flag | times | {"input": _TEXTS[text % len(_TEXTS)], "output": f"answer {text}"}


class Load:
    """
    Sources that log until they are stopped, or as many batches as those of another load did.

    `accepted` has the ids of tasks that a source was told are stored, `batches` how many batches each has sent.
    """

    def __init__(self, shape: OnKafka, pause_s: float = _PAUSE_S) -> None:
        self._shape = shape
        self._pause_s = pause_s
        self._stopping = threading.Event()
        self.accepted: set[str] = set()
        self.batches: dict[str, int] = {}
        self.answers = Answers()
        self.errors: list[BaseException] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Log from all sources until the end, when each has sent what it holds."""
        threads = [threading.Thread(target=self._run, args=(name, self._endless(name))) for name in SOURCES]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join()
            self._raise_errors()

    def repeat(self, batches: Mapping[str, int]) -> None:
        """Log what another load has logged."""
        for name, number in batches.items():
            self._run(name, (batch(name, each) for each in range(number)))
        self._raise_errors()

    def _raise_errors(self) -> None:
        if self.errors:
            raise self.errors[0]

    def _endless(self, name: str) -> Iterator[list[Event]]:
        for number in itertools.count():
            if self._stopping.wait(self._pause_s):
                return
            self.batches[name] = number + 1
            yield batch(name, number)

    def _run(self, name: str, batches: Iterable[Sequence[Event]]) -> None:
        try:
            self.accepted |= SOURCES[name](self._shape, batches, self.answers)
        except BaseException as error:
            self.errors.append(error)


def _rest(shape: OnKafka, batches: Iterable[Sequence[Event]], answers: Answers) -> set[str]:
    """Send each batch until it is confirmed, to the next gateway after each failure: the ids are the same."""
    accepted = set()
    gateways = itertools.cycle([gateway.url("/") for gateway in shape.gateways.values()])
    headers = {"Authorization": f"Bearer {shape.api_key}"}
    with httpx.Client(headers=headers, timeout=_ANSWER_TIMEOUT_S) as client:
        for events in batches:
            while not _post(client, f"{next(gateways)}api/v1/events/batch", events, answers):
                time.sleep(_RETRY_PAUSE_S)
            accepted.update(str(event["task_id"]) for event in events)
    return accepted


def _post(client: httpx.Client, url: str, events: Sequence[Event], answers: Answers) -> bool:
    begun_s = time.monotonic()
    try:
        answer = client.post(url, json={"events": events})
    except httpx.TransportError:
        answers.note("none", time.monotonic() - begun_s)
        return False
    answers.note(str(answer.status_code), time.monotonic() - begun_s)
    assert answer.status_code in (200, 429, 503), f"{answer.status_code}: {answer.text}"
    return answer.status_code == 200 and answer.json()["accepted"] == len(events)


def _raw(shape: OnKafka, batches: Iterable[Sequence[Event]], _: Answers) -> set[str]:
    """Produce to the topic of raw logs, as an app that knows Kafka and no gateway."""
    delivered: set[str] = set()
    configuration = {"bootstrap.servers": shape.kafka.bootstrap_servers, "log_level": 0, "partitioner": "murmur2"}
    producer = Producer({**configuration, "acks": "all", "enable.idempotence": True, "message.timeout.ms": 0})
    for events in batches:
        for event in events:
            task = str(event["task_id"])
            for message in (event, *_feedback_on(event)):
                producer.produce(
                    RAW_LOGS.name,
                    json.dumps({"project_id": shape.project_id, **message}),
                    f"{shape.project_id}:{event['session_id']}",
                    on_delivery=lambda error, _message, task=task: error or delivered.add(task),
                )
        producer.poll(0)
    assert producer.flush(_TIMEOUT_S) == 0, "Kafka has not confirmed every message"
    return delivered


def _feedback_on(event: Event) -> list[Event]:
    """Return the feedback of an event's user, which some events have."""
    if "flag" not in event:
        return []
    ids = {"kind": "feedback", "task_id": event["task_id"], "feedback_id": f"f-{event['task_id']}"}
    return [ids | {"score": 0, "comment": str(event["output"]), "created_at": event["created_at"]}]


def _sdk(shape: OnKafka, batches: Iterable[Sequence[Event]], _: Answers) -> set[str]:
    """Log with the SDK, which queues, batches and repeats by itself."""
    client = phospho.Client(base_url=shape.base_url, api_key=shape.api_key)
    logged = set()
    for events in batches:
        for event in events:
            client.log(**event)  # type: ignore[arg-type]
            logged.add(str(event["task_id"]))
        if client.stats().queued > _MAX_PENDING:
            client.flush(_TIMEOUT_S)
    result = client.close(timeout=_TIMEOUT_S)
    assert result.is_complete, f"the SDK has not sent all: {result}"
    assert not client.stats().dropped, f"the SDK has dropped events: {client.stats()}"
    return logged


SOURCES: Mapping[str, Source] = {"rest": _rest, "raw": _raw, "sdk": _sdk}
