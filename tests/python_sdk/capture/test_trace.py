"""Traces: tasks grouped in a session."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import BaseModel

import phospho

Recorded = phospho.RecordingTransport


def sent(recorded: Recorded) -> list[dict[str, Any]]:
    assert phospho.flush().is_complete
    return recorded.logs


class TestTraces:
    def test_tracer_shares_session(self, recorded: Recorded) -> None:
        with phospho.tracer(metadata={"team": "blue"}) as trace:
            first = phospho.log(input="one")
            second = phospho.log(input="two", team="red")
        outside = phospho.log(input="three")

        assert first["task_id"] == trace.task_id
        assert first["session_id"] == second["session_id"] == trace.session_id
        assert second["task_id"] != trace.task_id
        assert (first["team"], second["team"], second["trace_id"]) == ("blue", "red", trace.task_id)
        assert "trace_id" not in first
        assert outside["session_id"] != trace.session_id

    def test_wrapped_call_does_not_claim_traced_task(self, recorded: Recorded) -> None:
        step = phospho.wrap(lambda question: "a step")

        with phospho.tracer(task_id="the-task"):
            step("inner")
            log = phospho.log(input="outer", output="the answer")

        assert log["task_id"] == "the-task"
        inner = next(log for log in sent(recorded) if log["input"] == "inner")
        assert inner["trace_id"] == "the-task"

    @pytest.mark.parametrize("decorate", [phospho.trace, phospho.trace(), phospho.tracer()])
    def test_each_call_of_traced_function_is_a_trace(self, recorded: Recorded, decorate: Any) -> None:
        @decorate
        def work() -> tuple[str, str]:
            first, second = phospho.log(input="one"), phospho.log(input="two")
            assert first["session_id"] == second["session_id"]
            return first["session_id"], first["task_id"]

        assert set(work()).isdisjoint(work())

    def test_concurrent_coroutines_keep_their_traces(self, recorded: Recorded) -> None:
        @phospho.trace
        async def work() -> set[str]:
            sessions = set()
            for _ in range(3):
                sessions.add(phospho.log(input="step")["session_id"])
                await asyncio.sleep(0)
            return sessions

        async def main() -> list[set[str]]:
            return await asyncio.gather(work(), work())

        first, second = asyncio.run(main())
        assert len(first) == len(second) == 1
        assert first != second

    def test_log_arguments_win_over_trace(self, recorded: Recorded) -> None:
        with phospho.tracer(session_id="s"):
            log = phospho.log(input="one", session_id="mine", task_id="mine too")

        assert (log["session_id"], log["task_id"]) == ("mine", "mine too")


@phospho.wrap
def count_up(last: int = 2) -> Iterator[int]:
    yield from range(last)


@phospho.trace
async def count_up_async(last: int = 2) -> AsyncIterator[int]:
    for value in range(last):
        yield value


class Counter:
    @phospho.trace
    def count_up(self) -> Iterator[int]:
        yield 0


class TestGeneratorFunctions:
    @pytest.mark.parametrize("decorate", [phospho.trace, phospho.trace(session_id="s"), phospho.wrap, phospho.wrap()])
    def test_inspect_sees_generator_functions(self, recorded: Recorded, decorate: Any) -> None:
        @decorate
        def generator(value: int) -> Iterator[int]:
            yield value

        @decorate
        async def async_generator(value: int) -> AsyncIterator[int]:
            yield value

        class App:
            static = staticmethod(generator)

            @decorate
            def method(self, value: int) -> Iterator[int]:
                yield value

        assert inspect.isgeneratorfunction(generator)
        assert inspect.isasyncgenfunction(async_generator)
        assert not inspect.isgeneratorfunction(async_generator)
        assert inspect.isgeneratorfunction(App().method)
        assert list(inspect.signature(generator).parameters) == ["value"]
        assert (generator.__name__, list(generator(1)), list(App.static(2))) == ("generator", [1], [2])
        assert list(App().method(3)) == [3]

    @pytest.mark.parametrize("function", [count_up, count_up_async, Counter.count_up, Counter().count_up])
    def test_generator_function_is_pickled_by_name(self, function: Any) -> None:
        copied = pickle.loads(pickle.dumps(function))

        assert getattr(copied, "__func__", copied) is getattr(function, "__func__", function)
        assert copy.deepcopy(count_up) is count_up

    def test_generator_function_passes_for_a_function(self) -> None:
        assert inspect.isfunction(count_up)
        assert inspect.isfunction(Counter.count_up)
        assert inspect.ismethod(Counter().count_up)
        assert count_up.__code__.co_name == "count_up"
        assert count_up.__defaults__ == (2,)
        assert repr(count_up).startswith("<function count_up at")
        assert "yield from" in inspect.getsource(count_up)
        assert [name for name, _ in inspect.getmembers(Counter, inspect.isfunction)] == ["count_up"]

    def test_generator_method_of_a_model_is_no_field(self) -> None:
        class Model(BaseModel):
            last: int

            @phospho.trace
            def count_up(self) -> Iterator[int]:
                yield from range(self.last)

        assert list(Model(last=2).count_up()) == [0, 1]

    def test_partial_of_a_generator_function_is_logged(self, recorded: Recorded) -> None:
        assert list(functools.partial(count_up, 3)()) == [0, 1, 2]
        assert [log["raw_output"] for log in sent(recorded)] == [[0, 1, 2]]

    def test_generator_belongs_to_the_trace_in_which_it_was_called(self, recorded: Recorded) -> None:
        @phospho.trace
        def answer() -> Iterator[str]:
            yield phospho.log("why?")["session_id"]

        with phospho.tracer(session_id="outer"):
            generator = answer()

        assert list(generator) == ["outer"]
