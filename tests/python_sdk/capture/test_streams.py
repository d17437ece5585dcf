"""Generators and streams, logged as the app iterates."""

from __future__ import annotations

import asyncio
import gc
import json
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


class TestGenerators:
    def test_generator_is_logged_at_end(self, recorded: Recorded) -> None:
        @phospho.wrap
        def answer(question: str) -> Iterator[str]:
            yield "4"
            yield "2"

        generator = answer("why?")

        assert next(generator) == "4"
        assert sent(recorded) == []
        assert list(generator) == ["2"]
        assert sent(recorded)[0]["output"] == "42"

    def test_generator_send_and_return_pass_through(self, recorded: Recorded) -> None:
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

    def test_abandoned_generator_is_logged_as_read(self, recorded: Recorded) -> None:
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

    def test_generator_error_is_logged(self, recorded: Recorded) -> None:
        @phospho.wrap
        def answer(question: str) -> Iterator[str]:
            yield "4"
            raise ConnectionError("cut off")

        with pytest.raises(ConnectionError):
            list(answer("why?"))

        assert (sent(recorded)[0]["output"], recorded.logs[0]["error"]) == ("4", "ConnectionError: cut off")

    def test_async_generator_is_logged_at_end(self, recorded: Recorded) -> None:
        @phospho.wrap
        async def answer(question: str) -> AsyncIterator[str]:
            yield "4"
            yield "2"

        async def main() -> list[str]:
            return [word async for word in answer("why?")]

        assert asyncio.run(main()) == ["4", "2"]
        assert sent(recorded)[0]["output"] == "42"

    def test_generator_error_before_first_value_is_logged(self, recorded: Recorded) -> None:
        @phospho.wrap
        def answer(question: str) -> Iterator[str]:
            raise ConnectionError("cut off")
            yield "never"

        with pytest.raises(ConnectionError):
            list(answer("why?"))

        [log] = sent(recorded)
        assert (log["input"], log["output"], log["error"]) == ("why?", None, "ConnectionError: cut off")

    @pytest.mark.parametrize("is_closed", [True, False])
    def test_abandoned_async_generator_has_no_error(self, recorded: Recorded, is_closed: bool) -> None:
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

    def test_async_generator_send_passes_through(self, recorded: Recorded) -> None:
        @phospho.wrap
        async def echo(start: str) -> Any:
            received = yield start
            yield f"<{received}>"

        async def main() -> list[str]:
            words: Any = echo("hello")
            return [await words.__anext__(), await words.asend("a"), *[word async for word in words]]

        assert asyncio.run(main()) == ["hello", "<a>"]
        assert sent(recorded)[0]["output"] == "hello<a>"

    def test_cancelled_async_generator_is_logged_with_error(self, recorded: Recorded) -> None:
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

    def test_stop_ends_output_and_passes_value_on(self, recorded: Recorded) -> None:
        @phospho.wrap(stop=lambda word: word == "END")
        def answer(question: str) -> Iterator[str]:
            yield from ("4", "2", "END", "and what follows")

        assert list(answer("why?")) == ["4", "2", "END", "and what follows"]
        assert sent(recorded)[0]["output"] == "42"

    def test_list_with_stream_is_joined(self, recorded: Recorded) -> None:
        @phospho.wrap(stream=True)
        def answer(question: str) -> list[str]:
            return ["4", "2"]

        assert list(answer("why?")) == ["4", "2"]
        assert sent(recorded)[0]["output"] == "42"

    def test_failing_stop_is_counted_and_stream_goes_on(self, recorded: Recorded) -> None:
        @phospho.wrap(stop=lambda word: word["missing"])
        def answer(question: str) -> Iterator[str]:
            yield "42"

        assert list(answer("why?")) == ["42"]
        assert sent(recorded)[0]["output"] == "42"
        assert phospho.stats().errors == {"stop": 1}


class FakeStream:
    """An iterator with a class of its own, as client libraries have."""

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
    def test_queue_shows_growing_stream(self, recorded: Recorded) -> None:
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

    def test_watched_stream_keeps_class_and_others_are_untouched(self, recorded: Recorded) -> None:
        watched, other = FakeStream(["42"]), FakeStream(["not logged"])

        phospho.log(input="why?", output=watched, stream=True)

        assert isinstance(watched, FakeStream)
        assert type(watched).__name__ == "FakeStream"
        assert (list(watched), list(other)) == (["42"], ["not logged"])
        assert [log["output"] for log in sent(recorded)] == ["42"]

    def test_wrap_iterable_alone_logs_nothing(self, recorded: Recorded) -> None:
        stream = FakeStream(["42"])

        phospho._wrap_iterable(stream)

        assert list(stream) == ["42"]
        assert sent(recorded) == []

    def test_async_iterator_is_watched(self, recorded: Recorded) -> None:
        async def main() -> list[Any]:
            stream = FakeAsyncStream(["4", "2"])
            phospho.log(input="why?", output=stream, stream=True)
            return [word async for word in stream]

        assert asyncio.run(main()) == ["4", "2"]
        assert sent(recorded)[0]["output"] == "42"

    def test_iterable_is_watched(self, recorded: Recorded) -> None:
        class Iterable:
            def __iter__(self) -> Iterator[str]:
                return iter(["4", "2"])

        stream = Iterable()
        phospho.log(input="why?", output=stream, stream=True)

        assert list(stream) == ["4", "2"]
        assert sent(recorded)[0]["output"] == "42"

    def test_stream_without_chunks_is_its_input(self, recorded: Recorded) -> None:
        stream = FakeStream([])
        phospho.log(input="why?", output=stream, stream=True)

        assert list(stream) == []
        assert [(log["input"], log["output"]) for log in sent(recorded)] == [("why?", None)]

    def test_dropped_stream_is_logged_as_read(self, recorded: Recorded) -> None:
        stream = FakeStream(["4", "2"])
        phospho.log(input="why?", output=stream, stream=True)
        next(stream)

        del stream
        gc.collect()

        assert sent(recorded)[0]["output"] == "4"

    @pytest.mark.parametrize("is_stream", [True, False])
    def test_bare_generator_is_untouched_with_warning(
        self, recorded: Recorded, caplog: pytest.LogCaptureFixture, is_stream: bool
    ) -> None:
        generator = (word for word in ["4", "2"])

        with caplog.at_level(logging.WARNING, logger="phospho"):
            phospho.log(input="why?", output=generator, stream=is_stream)

        assert list(generator) == ["4", "2"]
        assert "phospho.MutableGenerator" in caplog.text
        assert [(log["input"], log["output"]) for log in sent(recorded)] == [("why?", None)]

    def test_mutable_generator_ends_after_stop_value(self) -> None:
        async def words() -> AsyncIterator[Any]:
            for word in ("4", None, "2"):
                yield word

        async def main() -> list[Any]:
            return [word async for word in phospho.MutableAsyncGenerator(words(), stop=lambda word: word is None)]

        stopped = phospho.MutableGenerator(iter(["4", None, "2"]), stop=lambda word: word is None)
        assert list(stopped) == ["4", None]
        assert list(stopped) == []
        assert asyncio.run(main()) == ["4", None]

    def test_stop_value_reaches_app_and_its_usage_is_logged(self, recorded: Recorded) -> None:
        lines = [{"response": "42"}, {"response": "bye", "done": True, "prompt_eval_count": 3, "eval_count": 5}]
        stream = phospho.MutableGenerator(iter(lines), stop=lambda line: line.get("done", False))
        phospho.log(input="why?", output=stream, stream=True)

        assert [next(stream), next(stream)] == lines

        [log] = sent(recorded)
        assert (log["output"], log["prompt_tokens"], log["completion_tokens"]) == ("42", 3, 5)

    def test_closed_stream_is_logged_as_read(self, recorded: Recorded) -> None:
        stream = phospho.MutableGenerator(iter(["4", "2"]))
        phospho.log(input="why?", output=stream, stream=True)
        next(stream)

        stream.close()

        assert sent(recorded)[0]["output"] == "4"
        assert list(stream) == []

    @pytest.mark.parametrize("kind", ["raises", "fixed", "without weak references"])
    def test_stream_with_unusual_response_is_logged_once(self, recorded: Recorded, kind: str) -> None:
        class FixedResponse:
            __slots__ = ()

            def close(self) -> None:
                pass

        class Stream(FakeStream):
            @property
            def response(self) -> Any:
                if kind == "raises":
                    raise RuntimeError("not read yet")
                return FixedResponse()

        class StreamWithoutWeakReferences:
            __slots__ = ("__dict__",)

            def __iter__(self) -> Iterator[str]:
                yield from ("4", "2")

        @phospho.wrap(stream=True)
        def answer(question: str) -> Any:
            return StreamWithoutWeakReferences() if kind == "without weak references" else Stream(["4", "2"])

        assert list(answer("why?")) == ["4", "2"]
        assert [log["output"] for log in sent(recorded)] == ["42"]
        phospho.log(input="and?", output=Stream(["4"]), stream=True)  # raises nothing

    def test_stream_left_by_with_block_is_logged_as_read(self, recorded: Recorded) -> None:
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

    def test_closed_async_stream_is_logged_as_read(self, recorded: Recorded) -> None:
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


def _chunk(text: str) -> str:
    return 'data: {"object":"chat.completion.chunk","choices":[{"delta":{"content":"' + text + '"}}]}'


EVENTS = f"{_chunk('Hé')}\n\n: keep-alive\n\n{_chunk('lo!')}\n\ndata: [DONE]\n\nevent: message_stop\n".encode()


class TestBytes:
    @pytest.mark.parametrize("size", [1000, 100, 7])
    def test_events_cut_anywhere_are_an_answer(self, size: int, recorded: Recorded) -> None:
        chunks = [EVENTS[start : start + size] for start in range(0, len(EVENTS), size)]

        assert self.logged(recorded, chunks)["output"] == "Hélo!"

    def test_lines_without_their_ends_are_an_answer(self, recorded: Recorded) -> None:
        assert self.logged(recorded, EVENTS.splitlines())["output"] == "Hélo!"

    def test_plain_text_keeps_spaces_and_cut_characters(self, recorded: Recorded) -> None:
        text = "Hé llo".encode()

        assert self.logged(recorded, [text[:2], text[2:3], text[3:4], text[4:]])["output"] == "Hé llo"

    def logged(self, recorded: Recorded, chunks: list[bytes]) -> dict[str, Any]:
        stream = phospho.MutableGenerator(iter(chunks))
        phospho.log(input="Say hello", output=stream, stream=True)
        assert list(stream) == chunks
        return sent(recorded)[0]


def test_stream_that_is_never_read_is_its_input(recorded: phospho.RecordingTransport) -> None:
    @phospho.wrap
    def chunks(question: str) -> Iterator[str]:
        yield question

    @phospho.wrap
    async def asynchronous(question: str) -> AsyncIterator[str]:
        yield question

    for function in (chunks, asynchronous):
        function("why?")
        gc.collect()
    phospho.flush()

    assert [(log["input"], log["output"]) for log in recorded.logs] == [("why?", None)] * 2


def test_events_as_text_are_read_as_their_data(recorded: phospho.RecordingTransport) -> None:
    def chunk(text: str) -> str:
        return json.dumps({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}]})

    @phospho.wrap
    def endpoint(question: str) -> Iterator[str]:
        yield ": a comment\n\n"
        yield f"event: delta\ndata: {chunk('Hel')}\n\n"
        yield f"data: {chunk('lo!')}\r\n\r\n"
        yield "data: [DONE]\n\n"

    @phospho.wrap
    def documents(question: str) -> Iterator[Any]:
        yield json.loads(chunk("Hello!"))
        yield "[DONE]"

    @phospho.wrap
    def words(question: str) -> Iterator[str]:
        yield "data: "
        yield "none\n\n"

    for function in (endpoint, documents, words):
        list(function("why?"))
    phospho.flush()

    assert [log["output"] for log in recorded.logs] == ["Hello!", "Hello!", "data: none\n\n"]
