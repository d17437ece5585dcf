"""`phospho.wrap`: calls are logged, and functions keep their kind and behaviour."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

import phospho

Recorded = phospho.RecordingTransport


def sent(recorded: Recorded) -> list[dict[str, Any]]:
    assert phospho.flush().is_complete
    return recorded.logs


class TestFunctions:
    def test_wrap_logs_single_argument_as_input(self, recorded: Recorded) -> None:
        @phospho.wrap
        def answer(question: str) -> str:
            """Answer it."""
            return f"You asked: {question}"

        assert answer("why?") == "You asked: why?"

        assert [(log["input"], log["output"]) for log in sent(recorded)] == [("why?", "You asked: why?")]
        assert (answer.__name__, answer.__doc__) == ("answer", "Answer it.")

    def test_wrap_logs_arguments_by_name(self, recorded: Recorded) -> None:
        @phospho.wrap
        def answer(question: str, mood: str, *rest: int) -> str:
            return "42"

        answer("why?", "good", 1, 2)

        assert sent(recorded)[0]["raw_input"] == {"question": "why?", "mood": "good", "2": 1, "3": 2}
        assert recorded.logs[0]["input"] == "why?"

    def test_wrap_leaves_out_self(self, recorded: Recorded) -> None:
        class Agent:
            @phospho.wrap
            def answer(self, question: str) -> str:
                return "42"

        assert Agent().answer("why?") == "42"

        assert sent(recorded)[0]["input"] == "why?"

    def test_wrap_passes_id_arguments_to_log(self, recorded: Recorded) -> None:
        @phospho.wrap(version_id="v2")
        def answer(question: str, session_id: str, user_id: str) -> str:
            return "42"

        answer("why?", session_id="s1", user_id="u1")

        log = sent(recorded)[0]
        assert (log["session_id"], log["user_id"], log["version_id"]) == ("s1", "u1", "v2")

    def test_wrap_passes_extractors_and_metadata(self, recorded: Recorded) -> None:
        @phospho.wrap(output_to_str_function=lambda output: output["text"], metadata={"team": "blue"}, beta=True)
        def answer(question: str) -> dict[str, str]:
            return {"text": "42"}

        answer("why?")

        log = sent(recorded)[0]
        assert (log["output"], log["metadata"], log["beta"]) == ("42", {"team": "blue"}, True)
        assert log["latency_ms"] >= 0

    def test_wrap_logs_and_raises_error_of_function(self, recorded: Recorded) -> None:
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
    def test_wrap_logs_error_of_failed_or_cancelled_coroutine(
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

    def test_wrap_names_unreadable_error(self, recorded: Recorded) -> None:
        class Unreadable(Exception):
            def __str__(self) -> str:
                raise RuntimeError("not me")

        @phospho.wrap
        def fail(question: str) -> str:
            raise Unreadable

        with pytest.raises(Unreadable):
            fail("why?")

        assert sent(recorded)[0]["error"] == "Unreadable"

    def test_wrap_keeps_class_and_static_methods(self, recorded: Recorded) -> None:
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
    def test_wrap_refuses_non_callable(self, wrap: Any) -> None:
        with pytest.raises(TypeError, match="takes a function, not int"):
            wrap(5)

    def test_wrapped_function_works_without_init(self) -> None:
        @phospho.wrap
        def answer(question: str) -> str:
            return "42"

        assert answer("why?") == "42"

    def test_wrap_keeps_coroutine_function(self, recorded: Recorded) -> None:
        @phospho.wrap
        async def answer(question: str) -> str:
            await asyncio.sleep(0)
            return "42"

        assert inspect.iscoroutinefunction(answer)
        assert asyncio.run(answer("why?")) == "42"
        assert sent(recorded)[0]["output"] == "42"

    def test_wrap_logs_returned_awaitable_when_awaited(self, recorded: Recorded) -> None:
        async def later() -> str:
            return "42"

        @phospho.wrap
        def answer(question: str) -> Any:
            return later()

        async def main() -> str:
            return await answer("why?")

        assert asyncio.run(main()) == "42"
        assert [(log["input"], log["output"]) for log in sent(recorded)] == [("why?", "42")]

    def test_wrap_logs_builtin_without_signature(self, recorded: Recorded) -> None:
        assert phospho.wrap(max)(1, 3) == 3

        assert sent(recorded)[0]["output"] == "3"


def test_wrapped_function_never_raises_send_error() -> None:
    refuse = phospho.RecordingTransport(answer=lambda event: phospho.Outcome.rejected("no", "why"))
    phospho.init(transport=refuse, tick=0.001, raise_error_on_fail_to_send=True)
    answer = phospho.wrap(lambda question: "42")

    answer("why?")
    with pytest.raises(phospho.SendError):
        phospho.flush()
    answer("why?")

    with pytest.raises(phospho.SendError):
        phospho.flush()


def test_wrap_returns_list_of_stream_unchanged() -> None:
    phospho.init(api_key="k", project_id="p")
    wrapped = phospho.wrap(lambda stream: ["a", "b"])

    assert wrapped(stream=True) == ["a", "b"]
