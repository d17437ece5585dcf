"""The sender with any transport: whatever it returns or raises, no event stays in flight and flush ends."""

from __future__ import annotations

import asyncio
import logging
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

import phospho
from phospho import Outcome
from phospho._delivery import sender_thread

Make = Callable[..., phospho.Client]


class Faulty(phospho.RecordingTransport):
    """Calls *fault* instead of sending, *times* times. Then it records events."""

    def __init__(self, fault: Callable[[Any], Any], times: int = 1) -> None:
        super().__init__()
        self._fault = fault
        self._faults_left = times

    def send(self, events: Sequence[Any]) -> list[Outcome]:
        if self._faults_left > 0:
            self._faults_left -= 1
            self.attempts += 1
            return self._fault(events)  # type: ignore[no-any-return]
        return super().send(events)


class Unhashable(str):
    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    "answer",
    [
        lambda events: None,
        lambda events: [],
        lambda events: [Outcome.accepted()] * (len(events) + 1),
        lambda events: "ok",
        lambda events: 200,
        lambda events: (Outcome.accepted() for _ in events),
        lambda events: ["yes"] * len(events),
        lambda events: [None] * len(events),
        lambda events: [("accepted", "", "", None)] * len(events),
        lambda events: [Outcome("sent")] * len(events),
        lambda events: [Outcome("retry", code=Unhashable("a"))] * len(events),
        lambda events: [Outcome("retry", code=["a"])] * len(events),  # type: ignore[arg-type]
        lambda events: [Outcome("retry", message=ValueError("a"))] * len(events),  # type: ignore[arg-type]
        lambda events: [Outcome.retry("a", "b", "soon")] * len(events),  # type: ignore[arg-type]
        lambda events: [Outcome.retry("a", "b", float("nan"))] * len(events),
        lambda events: [Outcome.retry("a", "b", float("inf"))] * len(events),
    ],
)
def test_invalid_answer_of_transport_costs_only_its_batch(make_client: Make, answer: Callable[[Any], Any]) -> None:
    client = make_client(transport=Faulty(answer), tick=5)

    lost = {client.log(input=f"lost {number}")["task_id"] for number in range(3)}
    assert {event_id for event_id, _ in client.flush(5).rejected} == lost
    later = client.log(input="later")

    assert client.flush(5).sent == (later["task_id"],)
    assert client.stats().dropped == {"rejected:bad_outcome": 3}
    assert (client.stats().queued, client.log_queue.held_bytes) == (0, 0)


def test_invalid_outcome_costs_only_its_event(make_client: Make) -> None:
    client = make_client(transport=Faulty(lambda events: [Outcome.accepted(), "yes", Outcome.accepted()]), tick=5)

    ids = [client.log(input=str(number))["task_id"] for number in range(3)]
    result = client.flush(5)

    assert result.sent == (ids[0], ids[2])
    assert [event_id for event_id, _ in result.rejected] == [ids[1]]


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError("a bug"), SystemExit(1), GeneratorExit(), asyncio.CancelledError(), RecursionError()],
    ids=repr,
)
def test_transport_exception_costs_an_attempt(make_client: Make, error: BaseException) -> None:
    def fail(events: Any) -> Any:
        raise error

    client = make_client(transport=Faulty(fail, times=2))

    log = client.log(input="Hello")

    assert client.flush(5).sent == (log["task_id"],)
    assert client.stats().errors == {"transport": 2}
    assert client.consumer.is_running


def test_transport_exception_without_text_costs_an_attempt(make_client: Make) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text for you")

    def fail(events: Any) -> Any:
        raise MuteError

    client = make_client(transport=Faulty(fail))
    client.log(input="Hello")

    assert client.flush(5).is_complete


def test_transport_may_change_its_list(make_client: Make) -> None:
    class Emptying(phospho.RecordingTransport):
        def send(self, events: Any) -> list[Outcome]:
            outcomes = super().send(events)
            events.clear()
            return outcomes

    client = make_client(transport=Emptying())
    client.log(input="Hello")

    assert client.flush(5).is_complete


def test_sender_fault_settles_all_events_in_flight(make_client: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The groups of a round are in flight together: a fault in one must settle the others too."""
    transport = Faulty(_raise, times=4)
    client = make_client(transport=transport, tick=0.01)
    first = client.log(input="first")
    while transport.attempts < 3:  # from now on what is logged meanwhile joins as a second group
        time.sleep(0.001)
    faults = iter([ZeroDivisionError("a bug of ours")])

    def faulty(groups: Any) -> Any:
        if len(groups) > 1:
            for fault in faults:
                raise fault
        return deliver_round(groups)

    deliver_round = client.consumer._send_round
    monkeypatch.setattr(client.consumer, "_send_round", faulty)
    monkeypatch.setattr(transport, "_faults_left", 10**9)
    second = client.log(input="second")

    result = client.flush(5)

    assert {event_id for event_id, _ in result.rejected} == {first["task_id"], second["task_id"]}
    assert client.stats().dropped == {"fault": 2}
    assert client.stats().queued == 0
    transport._faults_left = 0
    client.log(input="later")
    assert client.flush(5).is_complete


def _raise(events: Any) -> Any:
    raise OSError("away")


def test_transport_close_error_is_counted(make_client: Make) -> None:
    class Stuck(phospho.RecordingTransport):
        def close(self) -> None:
            raise RuntimeError("will not close")

    unused, used = make_client(transport=Stuck()), make_client(transport=Stuck())
    used.log(input="Hello")

    assert used.close().is_complete
    assert unused.close().is_complete
    assert used.stats().errors == unused.stats().errors == {"transport": 1}


def test_reasons_of_server_take_bounded_memory(make_client: Make) -> None:
    transport = phospho.RecordingTransport(answer=lambda event: Outcome.rejected(event.id + "x" * 1000, "why"))
    client = make_client(transport=transport)

    for number in range(300):
        client.log(input=str(number))
    client.flush(10)

    dropped = client.stats().dropped
    assert len(dropped) <= 101
    assert dropped["other"] == 200
    assert max(map(len, dropped)) <= 100


def test_stats_document_every_drop_reason() -> None:
    documentation = phospho.Stats.__doc__ or ""

    for reason in ("queue_full", "too_large", "invalid", "closed", "fault", "rejected:<code>"):
        assert f"| `{reason}` |" in documentation
    for code in ("not_encodable", "bad_outcome"):
        assert f"`{code}`" in documentation


def client_on(transport: Any, **options: Any) -> phospho.Client:
    return phospho.Client(api_key="k", project_id="p", transport=transport, **options)


def test_stream_with_id_of_waiting_log_keeps_sender_alive() -> None:
    transport = phospho.RecordingTransport()
    client = client_on(transport, tick=0.05)
    client.log("asked", task_id="T")

    def slow() -> Any:
        for word in ("an", "swer"):
            time.sleep(0.1)
            yield word

    stream = phospho.MutableGenerator(slow(), stop=lambda _: False)
    client.log("asked", stream, task_id="T", stream=True)
    assert "".join(stream) == "answer"
    for number in range(5):
        client.log(f"later {number}")

    result = client.flush(10)

    assert result.is_complete
    assert len(transport.logs) >= 6


def test_first_send_imports_no_module() -> None:
    """A fork of the app during an import would leave the child waiting for the lock of the import system."""
    code = (
        "import sys, phospho\n"
        "client = phospho.Client(api_key='k', base_url='http://127.0.0.1:9', exit_timeout_s=0)\n"
        "before = set(sys.modules)\n"
        "client.log('x'); client.flush(0.5)\n"
        "late = sorted(set(sys.modules) - before)\n"
        "assert not late, late\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 0, done.stderr


def test_event_that_cannot_be_json_holds_up_no_other(server: Any) -> None:
    client = phospho.Client(api_key="k", base_url=server.url)
    poisoned = client.log("poisoned", metadata={"a": {}})
    client.log("good")
    client.log_queue.events[poisoned["task_id"]].content["metadata"]["a"]["later"] = object()

    result = client.flush(10)

    assert not result.pending
    assert client.stats().dropped == {"rejected:not_encodable": 1}
    assert "good" in [log["input"] for log in server.logs]


def test_flush_accepts_infinite_timeout() -> None:
    client = client_on(phospho.RecordingTransport())
    client.log("x")

    assert client.flush(float("inf")).is_complete
    assert client.flush(threading.TIMEOUT_MAX * 2).is_complete


def test_logs_that_a_frozen_process_holds_up_are_warned_of() -> None:
    program = (
        "import os, phospho, signal, subprocess, sys, time\n"
        "from phospho._delivery import sender_thread\n"
        "sender_thread.HELD_UP_S = 0.5\n"
        "phospho.init(transport=phospho.RecordingTransport(), tick=0.2)\n"
        "for _ in range(2):\n"
        "    phospho.log('why?')\n"
        "    subprocess.Popen(['sh', '-c', f'sleep 1; kill -CONT {os.getpid()}'])\n"
        "    os.kill(os.getpid(), signal.SIGSTOP)\n"
        "    time.sleep(0.5)\n"
    )

    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert output.stderr.count("phospho: logs were held up for 0 s") == 1, output.stderr


def test_freeze_is_warned_of_without_the_lock(make_client: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_thread, "HELD_UP_S", -1.0)  # any wait is too long
    client = make_client(transport=phospho.RecordingTransport(), tick=0.05)

    class LoggingHandler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            thread = threading.Thread(target=client.log, args=("from a handler",))
            thread.start()
            thread.join(5)
            returned.put(not thread.is_alive())

    returned: queue.Queue[bool] = queue.Queue()
    handler = LoggingHandler()
    phospho.logger.addHandler(handler)
    try:
        client.log("why?")
        assert returned.get(timeout=30)
    finally:
        phospho.logger.removeHandler(handler)
