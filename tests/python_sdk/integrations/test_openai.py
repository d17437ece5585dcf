"""Logging of OpenAI's client by `auto_log`, with the client itself where it is installed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import phospho

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

    def test_openai_calls_are_logged_once(self, language_model: Any) -> None:
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

    def test_openai_legacy_completion_is_logged(self, server: Any) -> None:
        import openai

        choice = {"index": 0, "text": ANSWER, "finish_reason": "stop", "logprobs": None}
        answer = {"id": "c", "object": "text_completion", "created": 1, "model": "gpt", "choices": [choice]}
        server.script = lambda request: server.reply(answer)
        with openai.OpenAI(api_key="openai-key", base_url=f"{server.url}/v1") as client:
            client.completions.create(model="gpt", prompt=QUESTION)

        assert self.logged() == [(QUESTION, ANSWER)]

    def test_openai_async_client_is_logged(self, language_model: Any) -> None:
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
    def test_openai_raw_response_is_logged(self, client: Any, reads: Any) -> None:
        raw = client.chat.completions.with_raw_response.create(model="gpt", messages=MESSAGES)
        reads(raw)

        assert raw.status_code == 200
        assert self.logged() == [(QUESTION, ANSWER)]
        assert self.transport.logs[0]["total_tokens"] == 37

    def test_openai_raw_stream_is_logged_as_app_reads(self, client: Any) -> None:
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
    def test_openai_streaming_response_is_logged_on_close(self, client: Any, reads: Any, output: Any) -> None:
        create = client.chat.completions.with_streaming_response.create
        with create(model="gpt", messages=MESSAGES) as response:
            reads(response)

        assert self.logged() == [(QUESTION, output)]

    def test_openai_streaming_response_stream_is_logged_as_read(self, client: Any) -> None:
        create = client.chat.completions.with_streaming_response.create
        with create(model="gpt", messages=MESSAGES, stream=True) as response:
            next(iter(response.parse()))

        assert self.logged() == [(QUESTION, ANSWER.split(" ")[0])]

    def test_openai_async_responses_are_logged(self, language_model: Any) -> None:
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

    def test_openai_parsed_completion_is_logged(self, client: Any) -> None:
        client.chat.completions.parse(model="gpt", messages=MESSAGES)

        assert self.logged() == [(QUESTION, ANSWER)]

    @pytest.mark.parametrize("is_raw", [True, False])
    def test_openai_failed_call_is_logged_with_error(self, client: Any, is_raw: bool) -> None:
        import openai

        unreachable = client.with_options(base_url="http://127.0.0.1:9/v1", max_retries=0).chat.completions
        with pytest.raises(openai.APIConnectionError):
            (unreachable.with_raw_response if is_raw else unreachable).create(model="gpt", messages=MESSAGES)

        assert self.logged() == [(QUESTION, None)]
        assert self.transport.logs[0]["error"] == "APIConnectionError: Connection error."

    @pytest.mark.parametrize("leave", [lambda stream: stream.close(), lambda stream: stream.__exit__(None, None, None)])
    def test_openai_closed_stream_is_logged_as_read(self, client: Any, leave: Any) -> None:
        stream = client.chat.completions.create(model="gpt", messages=MESSAGES, stream=True)
        for _ in stream:
            break
        leave(stream)

        assert self.logged() == [(QUESTION, ANSWER.split(" ")[0])]

    def test_init_without_auto_log_unwraps_openai(self, client: Any) -> None:
        phospho.init(transport=self.transport, tick=0.01)

        client.chat.completions.create(model="gpt", messages=MESSAGES)

        assert self.logged() == []

    def test_unwrap_openai_keeps_later_wrappers(self) -> None:
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

    def test_unwrap_openai_restores_methods(self) -> None:
        from openai.resources.chat.completions import Completions

        from phospho.integrations.openai import unwrap_openai, wrap_openai

        wrapped = Completions.create
        unwrap_openai()
        original = Completions.create
        wrap_openai()

        assert original is not wrapped
        assert Completions.create is not original
