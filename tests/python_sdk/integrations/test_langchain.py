"""Runs of a framework as tasks, and the handlers of LangChain where it is installed."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

import phospho
from phospho._default.state import STATE
from phospho.integrations._runs import Runs

QUESTION = "Explain quantum computers in less than 20 words."


ANSWER = "Qubits harness quantum physics for faster, more powerful computation."


class TestRuns:
    """Runs joined to tasks, without a framework."""

    def test_outermost_run_is_task_with_steps(self, recorded: Any) -> None:
        runs = Runs(lambda: STATE.client, {"user_id": "u1"})

        runs.begin("chain", 1, None, "why?")
        runs.begin("llm", 2, 1, "a prompt")
        runs.begin("tool", 3, 2, "a query")
        runs.end(3, None, ValueError("no result"))
        runs.end(2, "a completion")
        runs.end(1, "42")
        phospho.flush()

        [log] = recorded.logs
        assert (log["input"], log["output"], log["user_id"]) == ("why?", "42", "u1")
        for step in log["steps"]:
            assert step.pop("started_at").endswith("Z")
            assert step.pop("latency_ms") >= 0
            assert step.pop("span_id")
            assert step.pop("parent_span_id")
        error = {"type": "ValueError", "message": "no result"}
        assert log["steps"] == [
            {"kind": "llm", "input": "a prompt", "output": "a completion"},
            {"kind": "tool", "input": "a query", "error": error},
        ]

    def test_run_that_ends_twice_or_never_began_is_ignored(self, recorded: Any) -> None:
        runs = Runs(lambda: STATE.client, {})
        runs.begin("chain", 1, None, "why?")

        runs.end(1, "42")
        runs.end(1, "43")
        runs.end(2, "44")
        phospho.flush()

        assert [log["output"] for log in recorded.logs] == ["42"]

    def test_oldest_unfinished_runs_are_forgotten(self) -> None:
        runs = Runs(lambda: None, {})

        for number in range(10_050):
            runs.begin("chain", number, None, "why?")

        assert len(runs) == 10_000


class TestLangChain:
    @pytest.fixture(autouse=True)
    def installed(self) -> None:
        pytest.importorskip("langchain_core", reason="the handlers are its subclasses")

    def model(self) -> Any:
        from langchain_core.language_models.fake_chat_models import FakeListChatModel

        return FakeListChatModel(responses=[ANSWER])

    def chain(self) -> Any:
        from langchain_core.output_parsers import StrOutputParser
        from langchain_core.prompts import ChatPromptTemplate

        prompt = ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "{question}")])
        return prompt | self.model() | StrOutputParser()

    def test_langchain_chain_is_one_task_with_steps(self, recorded: phospho.RecordingTransport) -> None:
        from phospho.integrations import PhosphoLangchainCallbackHandler

        handler = PhosphoLangchainCallbackHandler(session_id="s1", user_id="u1")
        answer = self.chain().invoke({"question": QUESTION}, config={"callbacks": [handler]})
        phospho.flush()

        assert answer == ANSWER
        [log] = recorded.logs
        assert (log["input"], log["output"], log["session_id"], log["user_id"]) == (QUESTION, ANSWER, "s1", "u1")
        assert "llm" in [step["kind"] for step in log["steps"]]

    def test_langchain_model_is_one_task(self, recorded: phospho.RecordingTransport) -> None:
        from phospho.integrations import PhosphoLangchainCallbackHandler

        self.model().invoke(QUESTION, config={"callbacks": [PhosphoLangchainCallbackHandler()]})
        phospho.flush()

        assert [(log["input"], log["output"]) for log in recorded.logs] == [(QUESTION, ANSWER)]

    def test_langchain_chain_is_asked_its_only_variable(self, recorded: phospho.RecordingTransport) -> None:
        from langchain_core.prompts import PromptTemplate

        from phospho.integrations import PhosphoLangchainCallbackHandler

        chain = PromptTemplate.from_template("Tell me about {topic}") | self.model()
        for _ in chain.stream({"topic": "bears"}, config={"callbacks": [PhosphoLangchainCallbackHandler()]}):
            pass
        phospho.flush()

        assert [(log["input"], log["output"]) for log in recorded.logs] == [("bears", ANSWER)]

    def test_langchain_async_chain_is_one_task(self, recorded: phospho.RecordingTransport) -> None:
        from phospho.integrations import PhosphoLangchainAsyncCallbackHandler

        config = {"callbacks": [PhosphoLangchainAsyncCallbackHandler()]}

        async def main() -> None:
            questions = [{"question": f"{QUESTION} ({number})"} for number in range(10)]
            await asyncio.gather(*(self.chain().ainvoke(question, config=config) for question in questions))

        asyncio.run(main())
        phospho.flush()

        assert sorted(log["input"] for log in recorded.logs) == sorted(f"{QUESTION} ({n})" for n in range(10))
        assert {log["output"] for log in recorded.logs} == {ANSWER}

    def test_langchain_error_is_logged_with_input(self, recorded: phospho.RecordingTransport) -> None:
        from langchain_core.runnables import RunnableLambda

        from phospho.integrations import PhosphoLangchainCallbackHandler

        def fail(question: str) -> str:
            raise LookupError("no answer")

        with pytest.raises(LookupError):
            RunnableLambda(fail).invoke(QUESTION, config={"callbacks": [PhosphoLangchainCallbackHandler()]})
        phospho.flush()

        assert [(log["input"], log["output"], log["error"]) for log in recorded.logs] == [
            (QUESTION, None, "LookupError('no answer')")
        ]


def test_langchain_handler_without_langchain_names_package(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "langchain_core.callbacks", None)
    monkeypatch.delitem(sys.modules, "phospho.integrations.langchain", raising=False)
    monkeypatch.delattr(phospho.integrations, "langchain", raising=False)

    with pytest.raises(ImportError, match="pip install langchain-core"):
        phospho.integrations.PhosphoLangchainCallbackHandler  # noqa: B018

    @pytest.mark.parametrize("way", ["invoke", "stream", "astream"])
    async def test_chain_has_input_and_figures_of_its_calls(
        self, recorded: phospho.RecordingTransport, way: str
    ) -> None:
        from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
        from langchain_core.messages import AIMessage
        from langchain_core.output_parsers import StrOutputParser
        from langchain_core.prompts import ChatPromptTemplate

        from phospho.integrations import PhosphoLangchainCallbackHandler

        usage: Any = {"input_tokens": 4, "output_tokens": 2, "total_tokens": 6}
        answer = AIMessage(content="Hello!", usage_metadata=usage, response_metadata={"model_name": "gpt-x"})
        prompt = ChatPromptTemplate.from_messages([("system", "Be brief."), ("user", "{question}")])
        chain = prompt | GenericFakeChatModel(messages=iter([answer])) | StrOutputParser()
        config: Any = {"callbacks": [PhosphoLangchainCallbackHandler()]}
        question = {"question": "I want a refund"}

        if way == "invoke":
            chain.invoke(question, config)
        elif way == "stream":
            list(chain.stream(question, config))
        else:
            assert [chunk async for chunk in chain.astream(question, config)]
        phospho.flush()

        [log] = recorded.logs
        assert (log["input"], log["output"], log["system_prompt"]) == ("I want a refund", "Hello!", "Be brief.")
        if way == "invoke":  # the fake model's chunks carry no figures
            assert (log["model"], log["tokens_in"], log["tokens_out"]) == ("gpt-x", 4, 2)

    @pytest.mark.parametrize("way", ["closed", "dropped", "cancelled"])
    async def test_chain_that_the_app_leaves_has_its_answer_so_far(
        self, recorded: phospho.RecordingTransport, way: str
    ) -> None:
        from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
        from langchain_core.messages import AIMessage
        from langchain_core.output_parsers import StrOutputParser
        from langchain_core.prompts import ChatPromptTemplate

        from phospho.integrations import PhosphoLangchainCallbackHandler

        model = GenericFakeChatModel(messages=iter([AIMessage(content="Hello you there")]))
        chain = ChatPromptTemplate.from_messages([("user", "{question}")]) | model | StrOutputParser()
        config: Any = {"callbacks": [PhosphoLangchainCallbackHandler()]}
        question = {"question": "I want a refund"}

        if way == "cancelled":

            async def read() -> None:
                async for _ in chain.astream(question, config):
                    begun.set()
                    await asyncio.sleep(60)

            begun = asyncio.Event()
            reading = asyncio.create_task(read())
            await begun.wait()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        else:
            stream = chain.stream(question, config)
            next(stream)
            if way == "closed":
                stream.close()  # type: ignore[attr-defined]
            del stream
            gc.collect()
        phospho.flush()

        [log] = recorded.logs
        assert (log["input"], log["output"]) == ("I want a refund", "Hello")
        assert [step["output"] for step in log["steps"] if step["kind"] == "llm"] == ["Hello"]
