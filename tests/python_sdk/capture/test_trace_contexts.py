"""Traces that are entered, left and shared in other contexts, and traced generators."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import phospho
from phospho._capture import trace

Recorded = phospho.RecordingTransport


def sessions(recorded: Recorded) -> list[tuple[str, str]]:
    assert phospho.flush().is_complete
    return [(log["input"], log["session_id"]) for log in recorded.logs]


def drive_in_copied_contexts(generator: Iterator[Any]) -> list[Any]:
    """Iterate as a framework's thread pool does: each step in a context of its own."""
    values, done = [], object()
    while (value := contextvars.copy_context().run(next, generator, done)) is not done:
        values.append(value)
    return values


def test_generator_keeps_trace_in_every_context(recorded: Recorded) -> None:
    def endpoint() -> Iterator[str]:
        with phospho.tracer(session_id="s", metadata={"team": "blue"}) as trace:
            phospho.log(input="first")
            yield trace.task_id
            assert phospho.log(input="second")["trace_id"] == trace.task_id
            yield "end"

    drive_in_copied_contexts(endpoint())

    assert sessions(recorded) == [("first", "s"), ("second", "s")]
    assert "trace_id" not in phospho.log(input="outside")


def test_inner_trace_wins_in_generator(recorded: Recorded) -> None:
    def log_in_own_trace() -> None:
        with phospho.tracer(session_id="inner"):
            phospho.log(input="inner")

    def endpoint() -> Iterator[int]:
        with phospho.tracer(session_id="outer"):
            yield 1
            log_in_own_trace()
            phospho.log(input="outer")
            yield 2

    drive_in_copied_contexts(endpoint())

    assert sessions(recorded) == [("inner", "inner"), ("outer", "outer")]


async def test_async_generator_left_early_closes_its_trace(recorded: Recorded) -> None:
    errors: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context))

    async def answer() -> AsyncIterator[int]:
        with phospho.tracer(session_id="s"):
            phospho.log(input="inside")
            yield 1
            yield 2

    async for _ in answer():
        break
    gc.collect()
    await asyncio.sleep(0.01)

    assert (sessions(recorded), errors) == ([("inside", "s")], [])


async def test_tracer_is_shared_by_tasks_and_threads(recorded: Recorded) -> None:
    shared = phospho.tracer(session_id="shared")
    turn = asyncio.Event()

    async def first() -> None:
        with shared:
            await turn.wait()
            phospho.log(input="task")

    async def second() -> None:
        with shared:
            turn.set()

    def in_thread() -> None:
        with shared:
            phospho.log(input="thread")

    await asyncio.gather(first(), second())
    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()

    assert sessions(recorded) == [("task", "shared"), ("thread", "shared")]
    assert "trace_id" not in phospho.log(input="outside")


async def test_tracer_is_left_in_another_task(recorded: Recorded) -> None:
    tracer = phospho.tracer(session_id="s")

    await asyncio.create_task(asyncio.to_thread(tracer.__enter__))
    await asyncio.create_task(asyncio.to_thread(tracer.__exit__, None, None, None))
    tracer.__exit__(None, None, None)

    assert "trace_id" not in phospho.log(input="outside", session_id="x")


def test_tracer_counts_in_no_frame_that_gets_the_memory_of_its_own(recorded: Recorded) -> None:
    tracer = phospho.tracer(session_id="s")

    # Frames are objects once they have an id; these have one size.
    def begin() -> int:
        tracer.__enter__()
        return id(sys._getframe())

    def session_of(number: int) -> tuple[int, str]:
        return id(sys._getframe()), phospho.log(input=str(number))["session_id"]

    contextvars.Context().run(begin)
    logged = [contextvars.Context().run(session_of, number) for number in range(100)]
    tracer.__exit__()

    assert "s" not in dict(logged).values()


def test_tracer_left_in_another_thread_is_left_in_the_first(recorded: Recorded) -> None:
    def answer() -> Iterator[int]:
        with phospho.tracer(session_id="s"):
            yield 1

    with ThreadPoolExecutor(1) as pool:
        generator = answer()
        pool.submit(next, generator).result()
        generator.close()

        assert pool.submit(phospho.log, input="later").result()["session_id"] != "s"


class Local:
    """A local variable of a frame, which counts as alive while something refers to it."""


@pytest.mark.parametrize("is_isolated", [False, True])
def test_tracers_never_left_let_go_of_frames(monkeypatch: pytest.MonkeyPatch, is_isolated: bool) -> None:
    monkeypatch.setattr(trace, "_OPEN_IN_FRAME", {})
    alive: weakref.WeakSet[Local] = weakref.WeakSet()

    def enter() -> None:
        local = Local()
        alive.add(local)
        phospho.tracer().__enter__()

    def run() -> None:
        for _ in range(trace.MAX_OPEN + 200):
            contextvars.Context().run(enter) if is_isolated else enter()

    contextvars.Context().run(run)
    gc.collect()

    assert len(alive) <= trace.MAX_OPEN


def test_tracers_never_left_in_a_loop_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "_OPEN_IN_FRAME", {})

    def run() -> None:
        for _ in range(trace.MAX_OPEN + 200):
            phospho.tracer().__enter__()
        assert len(trace._OPEN.get()) == len(trace._OPEN_IN_FRAME[sys._getframe()]) == trace.MAX_OPEN

    contextvars.Context().run(run)


def test_abandoned_tracers_leave_the_context() -> None:
    def run() -> None:
        for _ in range(3):
            tracer = phospho.tracer()
            tracer.__enter__()
            contextvars.Context().run(tracer.__exit__)
        with phospho.tracer() as inner:
            assert trace._OPEN.get() == (inner,)

    contextvars.Context().run(run)


def traced_functions() -> list[Callable[[], Any]]:
    @phospho.trace(session_id="s")
    def generator() -> Iterator[int]:
        phospho.log(input="first")
        yield 1
        phospho.log(input="second")
        yield 2

    @phospho.trace(session_id="s")
    async def async_generator() -> AsyncIterator[int]:
        phospho.log(input="first")
        yield 1
        phospho.log(input="second")
        yield 2

    async def drain() -> list[int]:
        return [value async for value in async_generator()]

    class Agent:
        @phospho.trace(session_id="s")
        @classmethod
        def answer(cls) -> list[int]:
            phospho.log(input="first")
            phospho.log(input="second")
            return [1, 2]

    return [lambda: list(generator()), lambda: asyncio.run(drain()), Agent.answer]


@pytest.mark.parametrize("number", range(3))
def test_traced_function_is_traced_to_its_end(recorded: Recorded, number: int) -> None:
    assert traced_functions()[number]() == [1, 2]
    assert sessions(recorded) == [("first", "s"), ("second", "s")]


def test_trace_of_generator_leaves_out_its_caller(recorded: Recorded) -> None:
    @phospho.trace(session_id="s")
    def answer() -> Iterator[int]:
        phospho.log(input="first")
        yield 1
        phospho.log(input="second")

    @phospho.trace(session_id="s")
    async def answer_async() -> AsyncIterator[int]:
        phospho.log(input="first")
        yield 1
        phospho.log(input="second")

    async def ask() -> None:
        async for _ in answer_async():
            phospho.log(input="between")

    for _ in answer():
        phospho.log(input="between")
    asyncio.run(ask())

    inside = [text for text, session_id in sessions(recorded) if session_id == "s"]
    assert inside == ["first", "second"] * 2


def test_traced_generator_gets_what_is_sent_and_thrown(recorded: Recorded) -> None:
    @phospho.trace
    def echo() -> Iterator[Any]:
        received = yield "ready"
        try:
            yield received
        except ValueError as error:
            yield str(error)
        return "done"

    generator: Any = echo()
    assert (next(generator), generator.send("hi"), generator.throw(ValueError("no"))) == ("ready", "hi", "no")
    with pytest.raises(StopIteration, match="done"):
        next(generator)


@pytest.mark.parametrize("arguments", [{"metadata": "text"}, {"task_id": 7}, {"session_id": object()}])
def test_tracer_takes_any_argument(recorded: Recorded, arguments: dict[str, Any]) -> None:
    with phospho.tracer(**arguments):
        phospho.log(input="why?")

    assert len(sessions(recorded)) == 1
