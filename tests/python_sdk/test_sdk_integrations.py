"""Other libraries, each with the library itself where it is installed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import phospho
from phospho._default.state import STATE
from phospho.integrations._runs import Runs

QUESTION = "Explain quantum computers in less than 20 words."
ANSWER = "Qubits harness quantum physics for faster, more powerful computation."
MESSAGES: Any = [{"role": "user", "content": QUESTION}]


class TestOpenAI:
    @pytest.fixture(autouse=True)
    def auto_logged(self) -> Iterator[None]:
        pytest.importorskip("openai", reason="auto_log wraps its client")
        from phospho.integrations.openai import unwrap_openai

        self.transport = phospho.RecordingTransport()
        phospho.init(transport=self.transport, tick=0.01, auto_log=True)
        yield
        unwrap_openai()

    @pytest.fixture
    def client(self, language_model: Any) -> Iterator[Any]:
        import openai

        with openai.OpenAI(api_key="openai-key", base_url=f"{language_model.url}/v1") as client:
            yield client

    def logged(self) -> list[tuple[str, str | None]]:
        assert phospho.flush().is_complete
        return [(log["input"], log["output"]) for log in self.transport.logs]

    def test_every_call_of_every_client_is_logged_once(self, language_model: Any) -> None:
        import openai

        phospho.init(transport=self.transport, tick=0.01, auto_log=True)
        with openai.OpenAI(api_key="openai-key", base_url=f"{language_model.url}/v1") as client:
            client.chat.completions.create(model="gpt", messages=[{"role": "user", "content": QUESTION}])
            stream = client.chat.completions.create(
                model="gpt", messages=[{"role": "user", "content": QUESTION}], stream=True
            )
            assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == ANSWER
        phospho.flush()

        assert [(log["input"], log["output"]) for log in self.transport.logs] == [(QUESTION, ANSWER)] * 2

    def test_the_async_client_is_logged(self, language_model: Any) -> None:
        import openai

        async def main() -> None:
            async with openai.AsyncOpenAI(api_key="openai-key", base_url=f"{language_model.url}/v1") as client:
                messages: Any = [{"role": "user", "content": QUESTION}]
                await client.chat.completions.create(model="gpt", messages=messages)
                stream = await client.chat.completions.create(model="gpt", messages=messages, stream=True)
                assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == ANSWER

        asyncio.run(main())
        phospho.flush()

        assert [log["output"] for log in self.transport.logs] == [ANSWER] * 2

    @pytest.mark.parametrize("reads", [lambda raw: raw.parse(), lambda raw: raw.text])
    def test_raw_responses_are_logged(self, client: Any, reads: Any) -> None:
        raw = client.chat.completions.with_raw_response.create(model="gpt", messages=MESSAGES)
        reads(raw)

        assert raw.status_code == 200
        assert self.logged() == [(QUESTION, ANSWER)]
        assert self.transport.logs[0]["total_tokens"] == 37

    def test_the_stream_of_a_raw_response_is_logged_as_the_app_reads_it(self, client: Any) -> None:
        raw = client.chat.completions.with_raw_response.create(model="gpt", messages=MESSAGES, stream=True)

        assert "".join(chunk.choices[0].delta.content or "" for chunk in raw.parse()) == ANSWER
        assert self.logged() == [(QUESTION, ANSWER)]

    @pytest.mark.parametrize(
        ("reads", "output"),
        [
            (lambda response: response.parse(), ANSWER),
            (lambda response: response.json(), ANSWER),
            (lambda response: list(response.iter_lines()), None),
            (lambda response: None, None),
        ],
    )
    def test_a_streaming_response_is_logged_when_it_is_closed(self, client: Any, reads: Any, output: Any) -> None:
        create = client.chat.completions.with_streaming_response.create
        with create(model="gpt", messages=MESSAGES) as response:
            reads(response)

        assert self.logged() == [(QUESTION, output)]

    def test_the_stream_of_a_streaming_response_is_logged_as_far_as_it_was_read(self, client: Any) -> None:
        create = client.chat.completions.with_streaming_response.create
        with create(model="gpt", messages=MESSAGES, stream=True) as response:
            next(iter(response.parse()))

        assert self.logged() == [(QUESTION, ANSWER.split(" ")[0])]

    def test_the_async_clients_responses_are_logged(self, language_model: Any) -> None:
        import openai

        async def main() -> None:
            async with openai.AsyncOpenAI(api_key="openai-key", base_url=f"{language_model.url}/v1") as client:
                completions: Any = client.chat.completions
                await completions.with_raw_response.create(model="gpt", messages=MESSAGES)
                async with completions.with_streaming_response.create(model="gpt", messages=MESSAGES) as response:
                    await response.parse()
                stream = completions.with_streaming_response.create(model="gpt", messages=MESSAGES, stream=True)
                async with stream as response:
                    async for _ in await response.parse():
                        pass

        asyncio.run(main())

        assert self.logged() == [(QUESTION, ANSWER)] * 3

    def test_parsed_completions_are_logged(self, client: Any) -> None:
        client.chat.completions.parse(model="gpt", messages=MESSAGES)

        assert self.logged() == [(QUESTION, ANSWER)]

    @pytest.mark.parametrize("is_raw", [True, False])
    def test_a_call_that_fails_is_logged_with_its_error(self, client: Any, is_raw: bool) -> None:
        import openai

        unreachable = client.with_options(base_url="http://127.0.0.1:9/v1", max_retries=0).chat.completions
        with pytest.raises(openai.APIConnectionError):
            (unreachable.with_raw_response if is_raw else unreachable).create(model="gpt", messages=MESSAGES)

        assert self.logged() == [(QUESTION, None)]
        assert self.transport.logs[0]["error"] == "APIConnectionError: Connection error."

    @pytest.mark.parametrize("leave", [lambda stream: stream.close(), lambda stream: stream.__exit__(None, None, None)])
    def test_a_stream_that_is_closed_is_logged_as_far_as_it_was_read(self, client: Any, leave: Any) -> None:
        stream = client.chat.completions.create(model="gpt", messages=MESSAGES, stream=True)
        for _ in stream:
            break
        leave(stream)

        assert self.logged() == [(QUESTION, ANSWER.split(" ")[0])]

    def test_an_init_without_it_turns_it_off(self, client: Any) -> None:
        phospho.init(transport=self.transport, tick=0.01)

        client.chat.completions.create(model="gpt", messages=MESSAGES)

        assert self.logged() == []

    def test_what_another_library_has_wrapped_since_stays(self) -> None:
        from openai.resources.chat.completions import Completions

        from phospho.integrations.openai import unwrap_openai

        ours = Completions.create

        def of_another_library(*args: Any, **kwargs: Any) -> Any:
            return ours(*args, **kwargs)

        Completions.create = of_another_library  # type: ignore[method-assign, assignment]
        try:
            unwrap_openai()
            assert Completions.create is of_another_library
        finally:
            Completions.create = ours.__wrapped__  # type: ignore[attr-defined, method-assign]

    def test_unwrapping_gives_the_client_back(self) -> None:
        from openai.resources.chat.completions import Completions

        from phospho.integrations.openai import unwrap_openai, wrap_openai

        wrapped = Completions.create
        unwrap_openai()
        original = Completions.create
        wrap_openai()

        assert original is not wrapped
        assert Completions.create is not original


class TestRuns:
    """The runs of a framework, put together to tasks, without the framework."""

    def test_an_outermost_run_is_a_task_and_those_inside_are_its_steps(self, recorded: Any) -> None:
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
        assert log["steps"] == [
            {"kind": "llm", "input": "a prompt", "output": "a completion"},
            {"kind": "tool", "input": "a query", "error": "ValueError('no result')"},
        ]

    def test_a_run_that_ends_twice_or_was_never_begun_is_nothing(self, recorded: Any) -> None:
        runs = Runs(lambda: STATE.client, {})
        runs.begin("chain", 1, None, "why?")

        runs.end(1, "42")
        runs.end(1, "43")
        runs.end(2, "44")
        phospho.flush()

        assert [log["output"] for log in recorded.logs] == ["42"]

    def test_runs_that_never_end_are_forgotten(self) -> None:
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

    def test_a_chain_is_one_task_with_its_steps(self, recorded: phospho.RecordingTransport) -> None:
        from phospho.integrations import PhosphoLangchainCallbackHandler

        handler = PhosphoLangchainCallbackHandler(session_id="s1", user_id="u1")
        answer = self.chain().invoke({"question": QUESTION}, config={"callbacks": [handler]})
        phospho.flush()

        assert answer == ANSWER
        [log] = recorded.logs
        assert (log["input"], log["output"], log["session_id"], log["user_id"]) == (QUESTION, ANSWER, "s1", "u1")
        assert "llm" in [step["kind"] for step in log["steps"]]

    def test_a_model_by_itself_is_a_task(self, recorded: phospho.RecordingTransport) -> None:
        from phospho.integrations import PhosphoLangchainCallbackHandler

        self.model().invoke(QUESTION, config={"callbacks": [PhosphoLangchainCallbackHandler()]})
        phospho.flush()

        assert [(log["input"], log["output"]) for log in recorded.logs] == [(QUESTION, ANSWER)]

    def test_an_async_chain_is_one_task(self, recorded: phospho.RecordingTransport) -> None:
        from phospho.integrations import PhosphoLangchainAsyncCallbackHandler

        config = {"callbacks": [PhosphoLangchainAsyncCallbackHandler()]}

        async def main() -> None:
            questions = [{"question": f"{QUESTION} ({number})"} for number in range(10)]
            await asyncio.gather(*(self.chain().ainvoke(question, config=config) for question in questions))

        asyncio.run(main())
        phospho.flush()

        assert sorted(log["input"] for log in recorded.logs) == sorted(f"{QUESTION} ({n})" for n in range(10))
        assert {log["output"] for log in recorded.logs} == {ANSWER}

    def test_an_error_is_logged_with_the_input(self, recorded: phospho.RecordingTransport) -> None:
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


def test_without_langchain_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "langchain_core.callbacks", None)
    monkeypatch.delitem(sys.modules, "phospho.integrations.langchain", raising=False)
    monkeypatch.delattr(phospho.integrations, "langchain", raising=False)

    with pytest.raises(ImportError, match="pip install langchain-core"):
        phospho.integrations.PhosphoLangchainCallbackHandler  # noqa: B018
