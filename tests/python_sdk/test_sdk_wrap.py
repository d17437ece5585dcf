"""`phospho.wrap`, streams and traces: what is logged, and that the app's functions stay what they are."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import phospho

Recorded = phospho.RecordingTransport


def sent(recorded: Recorded) -> list[dict[str, Any]]:
    assert phospho.flush().is_complete
    return recorded.logs


class TestFunctions:
    def test_one_argument_is_the_input_itself(self, recorded: Recorded) -> None:
        @phospho.wrap
        def answer(question: str) -> str:
            """Answer it."""
            return f"You asked: {question}"

        assert answer("why?") == "You asked: why?"

        assert [(log["input"], log["output"]) for log in sent(recorded)] == [("why?", "You asked: why?")]
        assert (answer.__name__, answer.__doc__) == ("answer", "Answer it.")

    def test_several_arguments_are_logged_by_name(self, recorded: Recorded) -> None:
        @phospho.wrap
        def answer(question: str, mood: str, *rest: int) -> str:
            return "42"

        answer("why?", "good", 1, 2)

        assert sent(recorded)[0]["raw_input"] == {"question": "why?", "mood": "good", "2": 1, "3": 2}
        assert recorded.logs[0]["input"] == "why?"

    def test_the_receiver_of_a_method_is_not_part_of_the_input(self, recorded: Recorded) -> None:
        class Agent:
            @phospho.wrap
            def answer(self, question: str) -> str:
                return "42"

        assert Agent().answer("why?") == "42"

        assert sent(recorded)[0]["input"] == "why?"

    def test_ids_among_the_arguments_are_the_ids_of_the_task(self, recorded: Recorded) -> None:
        @phospho.wrap(version_id="v2")
        def answer(question: str, session_id: str, user_id: str) -> str:
            return "42"

        answer("why?", session_id="s1", user_id="u1")

        log = sent(recorded)[0]
        assert (log["session_id"], log["user_id"], log["version_id"]) == ("s1", "u1", "v2")

    def test_extractors_and_metadata_go_with_the_decorator(self, recorded: Recorded) -> None:
        @phospho.wrap(output_to_str_function=lambda output: output["text"], metadata={"team": "blue"}, beta=True)
        def answer(question: str) -> dict[str, str]:
            return {"text": "42"}

        answer("why?")

        log = sent(recorded)[0]
        assert (log["output"], log["metadata"], log["beta"]) == ("42", {"team": "blue"}, True)
        assert log["latency_ms"] >= 0

    def test_an_error_of_the_function_is_the_apps_and_is_logged_with_the_input(self, recorded: Recorded) -> None:
        raised = LookupError("no answer")

        @phospho.wrap(metadata={"team": "blue"})
        def fail(question: str) -> str:
            raise raised

        with pytest.raises(LookupError) as caught:
            fail("why?")

        assert caught.value is raised
        [log] = sent(recorded)
        assert (log["input"], log["output"], log["error"]) == ("why?", None, "LookupError: no answer")
        assert log["metadata"] == {"team": "blue"}

    @pytest.mark.parametrize("is_awaited_inside", [True, False])
    def test_a_coroutine_that_fails_or_is_cancelled_is_logged_with_its_error(
        self, recorded: Recorded, is_awaited_inside: bool
    ) -> None:
        async def work(question: str) -> str:
            if question == "fail":
                raise LookupError
            await asyncio.Event().wait()
            return "never"

        wrapped = phospho.wrap(work if is_awaited_inside else lambda question: work(question))

        async def main() -> list[Any]:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(wrapped("wait"), 0.01)
            return await asyncio.gather(wrapped("fail"), return_exceptions=True)

        assert [type(result) for result in asyncio.run(main())] == [LookupError]
        assert {log["input"]: log["error"] for log in sent(recorded)} == {
            "wait": "CancelledError",
            "fail": "LookupError",
        }

    def test_an_error_that_cannot_be_read_is_named(self, recorded: Recorded) -> None:
        class Unreadable(Exception):
            def __str__(self) -> str:
                raise RuntimeError("not me")

        @phospho.wrap
        def fail(question: str) -> str:
            raise Unreadable

        with pytest.raises(Unreadable):
            fail("why?")

        assert sent(recorded)[0]["error"] == "Unreadable"

    def test_class_and_static_methods_stay_what_they_are(self, recorded: Recorded) -> None:
        class Agent:
            @phospho.wrap
            @classmethod
            def made(cls, question: str) -> str:
                return f"{cls.__name__}: {question}"

            @phospho.wrap(metadata={"team": "blue"})
            @staticmethod
            def answer(question: str) -> str:
                return "42"

        assert (Agent.made("why?"), Agent().answer("how?")) == ("Agent: why?", "42")
        assert [log["input"] for log in sent(recorded)] == ["why?", "how?"]

    @pytest.mark.parametrize("wrap", [phospho.wrap, phospho.wrap(stream=True)])
    def test_what_is_no_function_is_refused_at_once(self, wrap: Any) -> None:
        with pytest.raises(TypeError, match="takes a function, not int"):
            wrap(5)

    def test_without_init_the_function_works_all_the_same(self) -> None:
        @phospho.wrap
        def answer(question: str) -> str:
            return "42"

        assert answer("why?") == "42"

    def test_a_coroutine_function_stays_one(self, recorded: Recorded) -> None:
        @phospho.wrap
        async def answer(question: str) -> str:
            await asyncio.sleep(0)
            return "42"

        assert inspect.iscoroutinefunction(answer)
        assert asyncio.run(answer("why?")) == "42"
        assert sent(recorded)[0]["output"] == "42"

    def test_a_function_that_returns_an_awaitable_is_logged_when_it_is_awaited(self, recorded: Recorded) -> None:
        async def later() -> str:
            return "42"

        @phospho.wrap
        def answer(question: str) -> Any:
            return later()

        async def main() -> str:
            return await answer("why?")

        assert asyncio.run(main()) == "42"
        assert [(log["input"], log["output"]) for log in sent(recorded)] == [("why?", "42")]

    def test_builtins_without_a_signature_can_be_wrapped(self, recorded: Recorded) -> None:
        assert phospho.wrap(max)(1, 3) == 3

        assert sent(recorded)[0]["output"] == "3"


class TestGenerators:
    def test_a_generator_is_logged_when_it_ends(self, recorded: Recorded) -> None:
        @phospho.wrap
        def answer(question: str) -> Iterator[str]:
            yield "4"
            yield "2"

        generator = answer("why?")

        assert next(generator) == "4"
        assert sent(recorded) == []
        assert list(generator) == ["2"]
        assert sent(recorded)[0]["output"] == "42"

    def test_what_is_sent_to_a_generator_and_what_it_returns_pass_through(self, recorded: Recorded) -> None:
        @phospho.wrap
        def echo(start: str) -> Any:
            received = yield start
            while received:
                received = yield f"<{received}>"
            return "the end"

        generator = echo("hello")

        assert [next(generator), generator.send("a"), generator.send("b")] == ["hello", "<a>", "<b>"]
        with pytest.raises(StopIteration) as end:
            next(generator)
        assert end.value.value == "the end"
        assert sent(recorded)[0]["output"] == "hello<a><b>"

    def test_a_generator_that_the_app_leaves_is_logged_as_far_as_it_came(self, recorded: Recorded) -> None:
        closed = threading.Event()

        @phospho.wrap
        def answer(question: str) -> Iterator[str]:
            try:
                yield "4"
                yield "2"
            finally:
                closed.set()

        for _ in answer("why?"):
            break
        gc.collect()

        assert closed.is_set()
        assert sent(recorded)[0]["output"] == "4"

    def test_a_generator_that_breaks_is_logged_with_its_error(self, recorded: Recorded) -> None:
        @phospho.wrap
        def answer(question: str) -> Iterator[str]:
            yield "4"
            raise ConnectionError("cut off")

        with pytest.raises(ConnectionError):
            list(answer("why?"))

        assert (sent(recorded)[0]["output"], recorded.logs[0]["error"]) == ("4", "ConnectionError: cut off")

    def test_an_async_generator_is_logged_when_it_ends(self, recorded: Recorded) -> None:
        @phospho.wrap
        async def answer(question: str) -> AsyncIterator[str]:
            yield "4"
            yield "2"

        async def main() -> list[str]:
            return [word async for word in answer("why?")]

        assert asyncio.run(main()) == ["4", "2"]
        assert sent(recorded)[0]["output"] == "42"

    def test_a_generator_that_breaks_at_once_is_logged_with_its_error(self, recorded: Recorded) -> None:
        @phospho.wrap
        def answer(question: str) -> Iterator[str]:
            raise ConnectionError("cut off")
            yield "never"

        with pytest.raises(ConnectionError):
            list(answer("why?"))

        [log] = sent(recorded)
        assert (log["input"], log["output"], log["error"]) == ("why?", None, "ConnectionError: cut off")

    @pytest.mark.parametrize("is_closed", [True, False])
    def test_an_async_generator_that_the_app_leaves_has_no_error(self, recorded: Recorded, is_closed: bool) -> None:
        @phospho.wrap
        async def answer(question: str) -> AsyncIterator[str]:
            yield "4"
            await asyncio.sleep(0)
            yield "2"

        async def main() -> None:
            words: Any = answer("why?")
            async for _ in words:
                break
            if is_closed:
                await words.aclose()

        asyncio.run(main())

        [log] = sent(recorded)
        assert log["output"] == "4"
        assert "error" not in log
        assert phospho.stats().errors == {}

    def test_what_is_sent_to_an_async_generator_passes_through(self, recorded: Recorded) -> None:
        @phospho.wrap
        async def echo(start: str) -> Any:
            received = yield start
            yield f"<{received}>"

        async def main() -> list[str]:
            words: Any = echo("hello")
            return [await words.__anext__(), await words.asend("a"), *[word async for word in words]]

        assert asyncio.run(main()) == ["hello", "<a>"]
        assert sent(recorded)[0]["output"] == "hello<a>"

    def test_an_async_generator_that_is_cancelled_is_logged_with_its_error(self, recorded: Recorded) -> None:
        @phospho.wrap
        async def answer(question: str) -> AsyncIterator[str]:
            yield "4"
            await asyncio.Event().wait()

        async def main() -> None:
            async for _ in answer("why?"):
                pass

        with pytest.raises(asyncio.TimeoutError):
            asyncio.run(asyncio.wait_for(main(), 0.05))

        assert (sent(recorded)[0]["output"], recorded.logs[0]["error"]) == ("4", "CancelledError")

    def test_stop_ends_the_output_and_its_value_is_passed_on(self, recorded: Recorded) -> None:
        @phospho.wrap(stop=lambda word: word == "END")
        def answer(question: str) -> Iterator[str]:
            yield from ("4", "2", "END", "and what follows")

        assert list(answer("why?")) == ["4", "2", "END", "and what follows"]
        assert sent(recorded)[0]["output"] == "42"

    def test_a_list_with_stream_is_joined(self, recorded: Recorded) -> None:
        @phospho.wrap(stream=True)
        def answer(question: str) -> list[str]:
            return ["4", "2"]

        assert list(answer("why?")) == ["4", "2"]
        assert sent(recorded)[0]["output"] == "42"

    def test_a_stop_that_fails_is_counted_and_the_stream_goes_on(self, recorded: Recorded) -> None:
        @phospho.wrap(stop=lambda word: word["missing"])
        def answer(question: str) -> Iterator[str]:
            yield "42"

        assert list(answer("why?")) == ["42"]
        assert sent(recorded)[0]["output"] == "42"
        assert phospho.stats().errors == {"stop": 1}


class FakeStream:
    """An iterator of a client library: an object with a class of its own."""

    def __init__(self, values: list[Any]) -> None:
        self._iterator = iter(values)

    def __iter__(self) -> Iterator[Any]:
        yield from self._iterator

    def __next__(self) -> Any:
        return next(self._iterator)


class FakeAsyncStream:
    def __init__(self, values: list[Any]) -> None:
        self._iterator = iter(values)

    def __aiter__(self) -> FakeAsyncStream:
        return self

    async def __anext__(self) -> Any:
        for value in self._iterator:
            return value
        raise StopAsyncIteration


class TestStreams:
    def test_the_queue_shows_a_stream_as_it_grows(self, recorded: Recorded) -> None:
        chunks = [{"response": "4"}, {"response": "2"}]
        stream = FakeStream(chunks)

        log = phospho.log(input="why?", output=stream, stream=True)

        assert log["task_id"] not in phospho.log_queue.events
        assert next(stream) == chunks[0]
        event = phospho.log_queue.events[log["task_id"]]
        assert (event.to_log, event.content["raw_output"], event.content["output"]) == (False, chunks[0], "4")
        assert next(stream) == chunks[1]
        assert (event.content["raw_output"], event.content["output"]) == (chunks, "42")
        assert list(stream) == []
        assert sent(recorded)[0]["output"] == "42"

    def test_an_object_stays_of_its_class_and_others_are_not_touched(self, recorded: Recorded) -> None:
        watched, other = FakeStream(["42"]), FakeStream(["not logged"])

        phospho.log(input="why?", output=watched, stream=True)

        assert isinstance(watched, FakeStream)
        assert type(watched).__name__ == "FakeStream"
        assert (list(watched), list(other)) == (["42"], ["not logged"])
        assert [log["output"] for log in sent(recorded)] == ["42"]

    def test_wrapping_an_iterable_alone_logs_nothing(self, recorded: Recorded) -> None:
        stream = FakeStream(["42"])

        phospho._wrap_iterable(stream)

        assert list(stream) == ["42"]
        assert sent(recorded) == []

    def test_an_async_object_is_watched_too(self, recorded: Recorded) -> None:
        async def main() -> list[Any]:
            stream = FakeAsyncStream(["4", "2"])
            phospho.log(input="why?", output=stream, stream=True)
            return [word async for word in stream]

        assert asyncio.run(main()) == ["4", "2"]
        assert sent(recorded)[0]["output"] == "42"

    def test_an_iterable_that_is_no_iterator_is_watched(self, recorded: Recorded) -> None:
        class Iterable:
            def __iter__(self) -> Iterator[str]:
                return iter(["4", "2"])

        stream = Iterable()
        phospho.log(input="why?", output=stream, stream=True)

        assert list(stream) == ["4", "2"]
        assert sent(recorded)[0]["output"] == "42"

    def test_a_stream_without_chunks_is_its_input(self, recorded: Recorded) -> None:
        stream = FakeStream([])
        phospho.log(input="why?", output=stream, stream=True)

        assert list(stream) == []
        assert [(log["input"], log["output"]) for log in sent(recorded)] == [("why?", None)]

    def test_a_stream_that_is_let_go_is_logged_as_far_as_it_came(self, recorded: Recorded) -> None:
        stream = FakeStream(["4", "2"])
        phospho.log(input="why?", output=stream, stream=True)
        next(stream)

        del stream
        gc.collect()

        assert sent(recorded)[0]["output"] == "4"

    @pytest.mark.parametrize("is_stream", [True, False])
    def test_a_bare_generator_is_left_whole_and_the_log_says_what_to_do(
        self, recorded: Recorded, caplog: pytest.LogCaptureFixture, is_stream: bool
    ) -> None:
        generator = (word for word in ["4", "2"])

        with caplog.at_level(logging.WARNING, logger="phospho"):
            phospho.log(input="why?", output=generator, stream=is_stream)

        assert list(generator) == ["4", "2"]
        assert "phospho.MutableGenerator" in caplog.text
        assert [(log["input"], log["output"]) for log in sent(recorded)] == [("why?", None)]

    def test_mutable_generators_end_after_the_value_that_stops_them(self) -> None:
        async def words() -> AsyncIterator[Any]:
            for word in ("4", None, "2"):
                yield word

        async def main() -> list[Any]:
            return [word async for word in phospho.MutableAsyncGenerator(words(), stop=lambda word: word is None)]

        stopped = phospho.MutableGenerator(iter(["4", None, "2"]), stop=lambda word: word is None)
        assert list(stopped) == ["4", None]
        assert list(stopped) == []
        assert asyncio.run(main()) == ["4", None]

    def test_the_value_that_stops_is_the_apps_and_its_tokens_are_logged_at_once(self, recorded: Recorded) -> None:
        lines = [{"response": "42"}, {"response": "bye", "done": True, "prompt_eval_count": 3, "eval_count": 5}]
        stream = phospho.MutableGenerator(iter(lines), stop=lambda line: line.get("done", False))
        phospho.log(input="why?", output=stream, stream=True)

        assert [next(stream), next(stream)] == lines

        [log] = sent(recorded)
        assert (log["output"], log["prompt_tokens"], log["completion_tokens"]) == ("42", 3, 5)

    def test_closing_a_stream_logs_what_has_come(self, recorded: Recorded) -> None:
        stream = phospho.MutableGenerator(iter(["4", "2"]))
        phospho.log(input="why?", output=stream, stream=True)
        next(stream)

        stream.close()

        assert sent(recorded)[0]["output"] == "4"
        assert list(stream) == []

    def test_leaving_the_block_of_a_stream_logs_what_has_come(self, recorded: Recorded) -> None:
        class Stream(FakeStream):
            def __enter__(self) -> Stream:
                return self

            def __exit__(self, *exception: object) -> None:
                pass

        stream = Stream(["4", "2"])
        phospho.log(input="why?", output=stream, stream=True)
        with stream:
            next(stream)

        assert sent(recorded)[0]["output"] == "4"

    def test_closing_an_async_stream_logs_what_has_come(self, recorded: Recorded) -> None:
        async def words() -> AsyncIterator[str]:
            yield "4"
            yield "2"

        async def main() -> list[dict[str, Any]]:
            stream = phospho.MutableAsyncGenerator(words())
            phospho.log(input="why?", output=stream, stream=True)
            await stream.__anext__()
            await stream.aclose()
            return sent(recorded)

        assert asyncio.run(main())[0]["output"] == "4"


class TestTasksLoggedAgain:
    @pytest.fixture(autouse=True)
    def slow_sender(self) -> None:
        self.transport = phospho.RecordingTransport()
        phospho.init(transport=self.transport, tick=60)

    def test_outputs_are_joined_while_the_task_waits(self) -> None:
        phospho._log_single_event(input="why?", output="4", task_id="t", to_log=False)
        assert phospho.flush().is_complete
        assert self.transport.logs == []

        phospho._log_single_event(input="why?", output="2", task_id="t")

        log = sent(self.transport)[0]
        assert (log["output"], log["raw_output"]) == ("42", ["4", "2"])

    def test_the_last_output_stays_when_they_are_not_to_be_joined(self) -> None:
        first = phospho.log(input="why?", output="41", task_id="t")
        phospho.log(input="why?", output="42", task_id="t", concatenate_raw_outputs_if_task_id_exists=False)

        log = sent(self.transport)[0]
        assert (log["output"], log["client_created_at"]) == ("42", first["client_created_at"])

    def test_an_output_that_comes_later_completes_the_task(self) -> None:
        task_id = phospho.new_task()
        phospho.log(input="why?", task_id=task_id)
        phospho.log(input="why?", output="42", task_id=task_id)

        assert [(log["task_id"], log["output"]) for log in sent(self.transport)] == [(task_id, "42")]


class TestTraces:
    def test_what_is_logged_inside_shares_a_session(self, recorded: Recorded) -> None:
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

    def test_wrapped_calls_inside_leave_the_task_to_the_log(self, recorded: Recorded) -> None:
        step = phospho.wrap(lambda question: "a step")

        with phospho.tracer(task_id="the-task"):
            step("inner")
            log = phospho.log(input="outer", output="the answer")

        assert log["task_id"] == "the-task"
        inner = next(log for log in sent(recorded) if log["input"] == "inner")
        assert inner["trace_id"] == "the-task"

    @pytest.mark.parametrize("decorate", [phospho.trace, phospho.trace(), phospho.tracer()])
    def test_each_call_of_a_traced_function_is_a_trace(self, recorded: Recorded, decorate: Any) -> None:
        @decorate
        def work() -> tuple[str, str]:
            one, two = phospho.log(input="one"), phospho.log(input="two")
            assert one["session_id"] == two["session_id"]
            return one["session_id"], one["task_id"]

        assert set(work()).isdisjoint(work())

    def test_a_traced_coroutine_keeps_its_trace_beside_others(self, recorded: Recorded) -> None:
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

    def test_what_a_log_names_wins(self, recorded: Recorded) -> None:
        with phospho.tracer(session_id="s"):
            log = phospho.log(input="one", session_id="mine", task_id="mine too")

        assert (log["session_id"], log["task_id"]) == ("mine", "mine too")


class TestFeedback:
    @pytest.mark.parametrize(
        ("arguments", "flag"),
        [
            ({"flag": "success"}, "success"),
            ({"flag": "failure"}, "failure"),
            ({"raw_flag": "👍"}, "success"),
            ({"raw_flag": "🙂"}, "success"),
            ({"raw_flag": "success"}, "success"),
            ({"raw_flag": "👎"}, "failure"),
            ({"raw_flag": "anything else"}, "failure"),
            ({"raw_flag": 4, "raw_flag_to_flag": lambda stars: "success" if stars > 3 else "failure"}, "success"),
            ({"flag": "failure", "raw_flag": "👍"}, "failure"),
        ],
    )
    def test_a_verdict_is_made_of_whatever_a_person_gave(
        self, recorded: Recorded, arguments: dict[str, Any], flag: str
    ) -> None:
        task = phospho.user_feedback("task-1", notes="why", **arguments)
        phospho.flush()

        assert task is not None
        assert task.id == "task-1"
        feedback = recorded.feedback[0]
        assert (feedback["task_id"], feedback["flag"], feedback["comment"], feedback["source"]) == (
            "task-1",
            flag,
            "why",
            "user",
        )

    def test_a_function_that_fails_sends_nothing(self, recorded: Recorded) -> None:
        assert phospho.user_feedback("task-1", raw_flag=1, raw_flag_to_flag=lambda flag: flag["x"]) is None
        assert phospho.stats().errors == {"raw_flag_to_flag": 1}

    def test_no_flag_at_all_sends_nothing(self, recorded: Recorded) -> None:
        assert phospho.user_feedback("task-1") is None
        assert phospho.stats().logged == 0


def test_a_wrapped_function_never_raises_for_what_was_lost_before() -> None:
    refuse = phospho.RecordingTransport(answer=lambda event: phospho.Outcome.rejected("no", "why"))
    phospho.init(transport=refuse, tick=0.001, raise_error_on_fail_to_send=True)
    answer = phospho.wrap(lambda question: "42")

    answer("why?")
    with pytest.raises(phospho.SendError):
        phospho.flush()
    answer("why?")

    with pytest.raises(phospho.SendError):
        phospho.flush()
