"""Traces: tasks grouped in a session."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

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

    def test_generator_belongs_to_the_trace_in_which_it_was_called(self, recorded: Recorded) -> None:
        @phospho.trace
        def answer() -> Iterator[str]:
            yield phospho.log("why?")["session_id"]

        with phospho.tracer(session_id="outer"):
            generator = answer()

        assert list(generator) == ["outer"]
