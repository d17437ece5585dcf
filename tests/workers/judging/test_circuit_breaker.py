"""A server that does not answer is left alone, tried once, and trusted again when it answers."""

from __future__ import annotations

from phospho_workers.judging.llm_client import CircuitBreaker


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def opened(clock: Clock, failures: int = 3) -> CircuitBreaker:
    circuit = CircuitBreaker(max_failures=failures, first_pause_s=5, max_pause_s=15, clock=clock)
    for _ in range(failures):
        assert circuit.enter()
        circuit.failed()
    return circuit


def test_it_opens_after_so_many_failures_in_a_row_and_not_before() -> None:
    circuit = CircuitBreaker(max_failures=2, clock=Clock())
    for outcome in (circuit.failed, circuit.succeeded, circuit.failed):
        assert circuit.enter()
        outcome()
    assert not circuit.is_open
    circuit.failed()
    assert (circuit.is_open, circuit.enter()) == (True, False)


def test_breaker_closes_after_one_successful_call() -> None:
    clock = Clock()
    circuit = opened(clock)
    clock.now_s = 5.0
    assert (circuit.enter(), circuit.enter()) == (True, False)
    circuit.succeeded()
    assert (circuit.enter(), circuit.enter()) == (True, True)


def test_breaker_doubles_the_pause_up_to_its_maximum() -> None:
    clock = Clock()
    circuit = opened(clock)
    for pause_s in (5, 10, 15, 15):
        clock.now_s += pause_s - 0.1
        assert not circuit.enter()
        clock.now_s += 0.1
        assert circuit.enter()
        circuit.failed()


def test_a_server_may_ask_for_a_longer_pause_within_the_bound() -> None:
    for asked_s, pause_s in ((12, 12), (1e9, 15), (1, 5)):
        clock = Clock()
        circuit = CircuitBreaker(max_failures=1, first_pause_s=5, max_pause_s=15, clock=clock)
        circuit.enter()
        circuit.failed(asked_s)
        clock.now_s = pause_s - 0.1
        assert circuit.is_open
        clock.now_s = pause_s
        assert not circuit.is_open


def test_breaker_ignores_failures_of_calls_in_flight() -> None:
    clock = Clock()
    circuit = opened(clock)
    for _ in range(10):
        circuit.failed()
    clock.now_s = 5.0
    assert not circuit.is_open
