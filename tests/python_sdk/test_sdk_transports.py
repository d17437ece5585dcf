"""Transports of the app's own: whatever they return, raise or do, no event is left in flight and flush ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

import phospho
from phospho import Outcome

Make = Callable[..., phospho.Client]


class Faulty(phospho.RecordingTransport):
    """Does *fault* instead of sending, *times* times; then it is well."""

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
def test_nonsense_for_an_answer_costs_a_batch_and_not_the_sender(
    make_client: Make, answer: Callable[[Any], Any]
) -> None:
    client = make_client(transport=Faulty(answer), tick=5)

    lost = {client.log(input=f"lost {number}")["task_id"] for number in range(3)}
    assert {event_id for event_id, _ in client.flush(5).rejected} == lost
    later = client.log(input="later")

    assert client.flush(5).sent == (later["task_id"],)
    assert client.stats().dropped == {"rejected:bad_outcome": 3}
    assert (client.stats().queued, client.log_queue.held_bytes) == (0, 0)


def test_one_outcome_that_is_nonsense_costs_its_event_alone(make_client: Make) -> None:
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
def test_an_exception_of_any_kind_costs_an_attempt(make_client: Make, error: BaseException) -> None:
    def fail(events: Any) -> Any:
        raise error

    client = make_client(transport=Faulty(fail, times=2))

    log = client.log(input="Hello")

    assert client.flush(5).sent == (log["task_id"],)
    assert client.stats().errors == {"transport": 2}
    assert client.consumer.is_running


def test_an_exception_that_has_no_text_costs_an_attempt(make_client: Make) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text for you")

    def fail(events: Any) -> Any:
        raise MuteError

    client = make_client(transport=Faulty(fail))
    client.log(input="Hello")

    assert client.flush(5).is_complete


def test_a_transport_may_do_what_it_likes_with_its_list(make_client: Make) -> None:
    class Emptying(phospho.RecordingTransport):
        def send(self, events: Any) -> list[Outcome]:
            outcomes = super().send(events)
            events.clear()
            return outcomes

    client = make_client(transport=Emptying())
    client.log(input="Hello")

    assert client.flush(5).is_complete


def test_a_fault_of_the_sender_itself_settles_all_that_is_in_flight(
    make_client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The groups of a round are in flight together: a fault in one must not strand the others."""
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


def test_a_transport_that_can_not_be_closed_does_not_reach_the_app(make_client: Make) -> None:
    class Stuck(phospho.RecordingTransport):
        def close(self) -> None:
            raise RuntimeError("will not close")

    unused, used = make_client(transport=Stuck()), make_client(transport=Stuck())
    used.log(input="Hello")

    assert used.close().is_complete
    assert unused.close().is_complete
    assert used.stats().errors == unused.stats().errors == {"transport": 1}


def test_reasons_that_a_server_makes_up_take_bounded_memory(make_client: Make) -> None:
    transport = phospho.RecordingTransport(answer=lambda event: Outcome.rejected(event.id + "x" * 1000, "why"))
    client = make_client(transport=transport)

    for number in range(300):
        client.log(input=str(number))
    client.flush(10)

    dropped = client.stats().dropped
    assert len(dropped) <= 101
    assert dropped["other"] == 200
    assert max(map(len, dropped)) <= 100


def test_every_reason_for_a_drop_is_told() -> None:
    told = phospho.Stats.__doc__ or ""

    for reason in ("queue_full", "too_large", "invalid", "closed", "fault", "rejected:<code>"):
        assert f"| `{reason}` |" in told
    for code in ("not_encodable", "bad_outcome"):
        assert f"`{code}`" in told
