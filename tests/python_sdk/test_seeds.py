"""
Every code block of the three seeds of the Python SDK, and of the seed of its second name, run as written.

These parts can't run as written:

* Addresses: OpenAI's API, the local Ollama and phospho are servers on loopback.
* `response.choices[0].role` is an attribute that no version of the client has: the role is on the message. The test
  shows that the line fails by itself, and continues with `response.choices[0].message.role`.
* `response.choices[0].delta` exists on a chunk and not on a whole response: the three wrapped functions raise
  AttributeError, wrapped or not. The tests show that, and run them with `message`.
* `output_to_str_fucntion` is misspelt: the SDK logs a warning and uses it as `output_to_str_function`, so that
  the block prints the seed's output.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Generator, Iterator
from typing import Any

import pytest

import phospho
from phospho._default.state import STATE

openai = pytest.importorskip("openai", reason="the seeds' examples call its client")
requests = pytest.importorskip("requests", reason="the seeds' examples call it")

QUESTION = "Explain quantum computers in less than 20 words."
ANSWER = "Qubits harness quantum physics for faster, more powerful computation."


@pytest.fixture(autouse=True)
def addresses(server: Any, language_model: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the environment of the seeds. At the end, check that no error was kept from the app."""
    monkeypatch.setenv("PHOSPHO_API_KEY", "phospho-key")
    monkeypatch.setenv("PHOSPHO_PROJECT_ID", "phospho-project-id")
    monkeypatch.setenv("PHOSPHO_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{language_model.url}/v1")
    yield
    client = STATE.client
    assert client is None or client.stats().errors == {}


@pytest.fixture
def openai_client() -> Iterator[Any]:
    with openai.OpenAI(api_key="openai-key") as client:
        yield client


@pytest.fixture
def initialized() -> None:
    phospho.init()


class TestLogging:
    def test_init_reads_the_environment(self, server: Any) -> None:
        phospho.init()

        input_text = "Hello! This is what the user asked to the system"
        output_text = "This is the response showed to the user by the app."
        phospho.log(input=input_text, output=output_text)

        assert phospho.flush().is_complete
        assert (server.logs[0]["input"], server.logs[0]["output"]) == (input_text, output_text)
        assert server.logs[0]["project_id"] == "phospho-project-id"
        assert server.requests[0].headers["Authorization"] == "Bearer phospho-key"

    def test_init_takes_key_and_project(self, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PHOSPHO_API_KEY")
        monkeypatch.delenv("PHOSPHO_PROJECT_ID")

        phospho.init(api_key="phospho-key", project_id="phospho-project-id")
        phospho.log(input="a question")

        assert phospho.flush().is_complete
        assert server.logs[0]["output"] is None
        assert server.requests[0].headers["Authorization"] == "Bearer phospho-key"

    def test_openai_query_and_response_are_logged(self, openai_client: Any, capsys: pytest.CaptureFixture[str]) -> None:
        phospho.init()
        input_prompt = QUESTION
        query = {
            "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": input_prompt},
            ],
            "model": "gpt-4o-mini",
        }
        response = openai_client.chat.completions.create(**query)

        log = phospho.log(input=query, output=response)
        print("input:", log["input"])
        print("output:", log["output"])

        assert capsys.readouterr().out == f"input: {QUESTION}\noutput: {ANSWER}\n"
        assert (log["prompt_tokens"], log["completion_tokens"], log["total_tokens"]) == (25, 12, 37)
        assert log["model"] == "gpt-4o-mini-2024"

    def test_list_of_openai_messages_is_logged(
        self, initialized: None, openai_client: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        messages = [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": QUESTION},
        ]
        response = openai_client.chat.completions.create(messages=messages, model="gpt-4o-mini")
        with pytest.raises(AttributeError):
            response.choices[0].role  # noqa: B018 as the seed has it
        role = response.choices[0].message.role
        messages.append({"role": role, "content": response.choices[0].message.content})

        log = phospho.log(input=messages, output=messages)
        print("input:", log["input"])
        print("output:", log["output"])
        print("system_prompt:", log["system_prompt"])

        assert capsys.readouterr().out == (
            f"input: {QUESTION}\noutput: {ANSWER}\nsystem_prompt: You are a helpful assistant.\n"
        )

    def test_consecutive_messages_of_role_are_joined(self, initialized: None) -> None:
        messages = [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": QUESTION},
            {"role": "user", "content": "What is the speed of light?"},
        ]
        log = phospho.log(input=messages)

        assert log["input"] == f"{QUESTION}\nWhat is the speed of light?"

    @pytest.mark.parametrize("keyword", ["output_to_str_fucntion", "output_to_str_function"])
    def test_custom_extractors_work_as_spelt_and_as_meant(
        self, initialized: None, server: Any, caplog: pytest.LogCaptureFixture, keyword: str
    ) -> None:
        log = phospho.log(
            input={"custom_input": "this is a complex object"},
            output={"custom_output": "which is not a string nor a standard object"},
            input_to_str_function=lambda x: x["custom_input"],
            **{keyword: lambda x: x["custom_output"]},
        )

        printed = f"input: {log['input']}\noutput: {log['output']}\n"
        assert printed == ("input: this is a complex object\noutput: which is not a string nor a standard object\n")
        assert log["raw_input"] == {"custom_input": "this is a complex object"}
        assert log["raw_output"] == {"custom_output": "which is not a string nor a standard object"}
        assert phospho.flush().is_complete
        assert "output_to_str_fucntion" not in server.logs[0]
        is_misspelt = keyword != "output_to_str_function"
        assert ("did you mean 'output_to_str_function'?" in caplog.text) == is_misspelt

    def test_metadata_and_keywords_are_logged(self, initialized: None, server: Any) -> None:
        log = phospho.log(
            input="log this",
            output="and that",
            metadata={"always": "moooore"},
            log_anything_and_everything="even this is ok",
        )

        assert phospho.flush().is_complete
        for content in (log, server.logs[0]):
            assert content["metadata"] == {"always": "moooore"}
            assert content["log_anything_and_everything"] == "even this is ok"

    def test_raw_fields_are_logged(self, initialized: None, server: Any) -> None:
        phospho.log(
            input="log this",
            output="and that",
            raw_input={"more": "details"},
            raw_output={"even": "more"},
            metadata={"always": "moooore"},
            log_anything_and_everything="even_this",
        )

        assert phospho.flush().is_complete
        assert server.logs[0]["raw_input"] == {"more": "details"}
        assert server.logs[0]["raw_output"] == {"even": "more"}


class TestStreams:
    def test_openai_stream_is_logged(self, initialized: None, openai_client: Any, server: Any) -> None:
        from openai._streaming import Stream
        from openai.types.chat import ChatCompletionChunk

        query = {
            "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": QUESTION},
            ],
            "model": "gpt-4o-mini",
            "stream": True,
        }
        response: Stream[ChatCompletionChunk] = openai_client.chat.completions.create(**query)

        log = phospho.log(input=query, output=response, stream=True)
        assert log["output"] is None
        answer = "".join(chunk.choices[0].delta.content or "" for chunk in response)

        assert isinstance(response, Stream)
        assert answer == ANSWER
        assert phospho.flush().sent == (log["task_id"],)
        assert (server.logs[0]["input"], server.logs[0]["output"]) == (QUESTION, ANSWER)
        assert server.logs[0]["system_prompt"] == "You are a helpful assistant."

    def test_local_ollama_stream_is_logged(self, initialized: None, language_model: Any, server: Any) -> None:
        prompt = QUESTION
        r = requests.post(
            f"{language_model.url}/api/generate",
            json={"model": "mistral-7b", "prompt": QUESTION, "context": []},
            stream=True,
            timeout=10,
        )
        r.raise_for_status()
        response_iterator = r.iter_lines()
        response_iterator = phospho.MutableGenerator(
            generator=response_iterator,
            stop=lambda line: json.loads(line).get("done", False),
        )

        phospho.log(input=prompt, output=response_iterator, stream=True)
        lines = list(response_iterator)
        r.close()

        assert "".join(json.loads(line)["response"] for line in lines) == ANSWER
        assert phospho.flush().is_complete
        assert (server.logs[0]["input"], server.logs[0]["output"]) == (QUESTION, ANSWER)
        assert server.logs[0]["model"] == "mistral-7b"
        assert (server.logs[0]["tokens_in"], server.logs[0]["tokens_out"]) == (25, 12)


MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": QUESTION},
]


class TestWrap:
    @pytest.mark.parametrize("decorate", [phospho.wrap, phospho.wrap(metadata={"more": "details"})])
    def test_decorated_function_of_seed_raises_by_itself(
        self, initialized: None, openai_client: Any, decorate: Any
    ) -> None:
        @decorate
        def answer(messages: list[dict[str, str]]) -> str | None:
            response = openai_client.chat.completions.create(model="gpt-4o-mini", messages=messages)
            return response.choices[0].delta.content

        with pytest.raises(AttributeError, match="delta"):
            answer(MESSAGES)

        [event] = phospho.log_queue.events.values()
        assert "delta" in event.content["error"]

    def test_decorator_logs_calls(self, initialized: None, openai_client: Any, server: Any) -> None:
        @phospho.wrap
        def answer(messages: list[dict[str, str]]) -> str | None:
            response = openai_client.chat.completions.create(model="gpt-4o-mini", messages=messages)
            return response.choices[0].message.content

        assert answer(MESSAGES) == ANSWER

        assert phospho.flush().is_complete
        assert (server.logs[0]["input"], server.logs[0]["output"]) == (QUESTION, ANSWER)

    def test_decorator_logs_metadata(self, initialized: None, openai_client: Any, server: Any) -> None:
        @phospho.wrap(metadata={"more": "details"})
        def answer(messages: list[dict[str, str]]) -> str | None:
            response = openai_client.chat.completions.create(model="gpt-4o-mini", messages=messages)
            return response.choices[0].message.content

        assert answer(messages=MESSAGES) == ANSWER

        assert phospho.flush().is_complete
        assert server.logs[0]["metadata"] == {"more": "details"}

    def test_imported_function_is_logged(self, initialized: None, openai_client: Any, server: Any) -> None:
        response = phospho.wrap(
            openai_client.chat.completions.create,
            metadata={"more": "details"},
        )(
            messages=[
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": QUESTION},
            ],
            model="gpt-4o-mini",
        )

        assert response.choices[0].message.content == ANSWER
        assert phospho.flush().is_complete
        assert (server.logs[0]["input"], server.logs[0]["output"]) == (QUESTION, ANSWER)
        assert server.logs[0]["metadata"] == {"more": "details"}
        assert server.logs[0]["total_tokens"] == 37

    def test_replaced_method_logs_every_call(self, initialized: None, openai_client: Any, server: Any) -> None:
        openai_client.chat.completions.create = phospho.wrap(openai_client.chat.completions.create)

        for _ in range(2):
            openai_client.chat.completions.create(messages=MESSAGES, model="gpt-4o-mini")
        stream = openai_client.chat.completions.create(messages=MESSAGES, model="gpt-4o-mini", stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == ANSWER

        assert phospho.flush().is_complete
        assert [log["output"] for log in server.logs] == [ANSWER] * 3

    def test_streaming_function_is_logged(self, initialized: None, openai_client: Any, server: Any) -> None:
        @phospho.wrap(stream=True, stop=lambda token: token is None)
        def answer(messages: list[dict[str, str]]) -> Generator[str | None, Any, None]:
            streaming_response = openai_client.chat.completions.create(
                model="gpt-4o-mini",
                messages=messages,
                stream=True,
            )
            for response in streaming_response:
                yield response.choices[0].delta.content

        tokens = list(answer(MESSAGES))

        assert tokens[-1] is None
        assert "".join(token for token in tokens if token) == ANSWER
        assert phospho.flush().is_complete
        assert (server.logs[0]["input"], server.logs[0]["output"]) == (QUESTION, ANSWER)


class TestSecondSeed:
    def test_basic_usage_with_key_alone(
        self, server: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.delenv("PHOSPHO_PROJECT_ID")

        phospho.init(api_key="ph_your_api_key")
        result = phospho.log(
            input="Summarize this document for me",
            output="Here is a summary of the key points...",
            session_id="conversation_123",
            user_id="user_456",
            metadata={"model": "gpt-4", "tokens_in": 150, "tokens_out": 89, "latency_ms": 1230},
        )
        print(result["event_id"])
        phospho.feedback(event_id=result["event_id"], score=1, comment="Great answer!")

        assert phospho.flush().is_complete
        assert str(uuid.UUID(capsys.readouterr().out.strip())) == server.logs[0]["task_id"]
        assert "project_id" not in server.logs[0]
        assert server.logs[0]["metadata"]["latency_ms"] == 1230
        path = f"/api/v1/events/{result['event_id']}/feedback"
        assert server.feedback == [(path, {"score": 1, "comment": "Great answer!"})]

    def test_default_address_is_local_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PHOSPHO_BASE_URL")

        assert phospho.Client(api_key="ph_key").settings.base_url == "http://127.0.0.1:8420"

    def test_session_groups_its_events(self, initialized: None, server: Any) -> None:
        session_id = "conv_" + str(uuid.uuid4())[:8]

        phospho.log(input="Hello", output="Hi!", session_id=session_id)
        phospho.log(input="What's 2+2?", output="4", session_id=session_id)
        phospho.log(input="Thanks!", output="You're welcome!", session_id=session_id)

        assert phospho.flush().is_complete
        assert [log["session_id"] for log in server.logs] == [session_id] * 3
        assert phospho.latest_session_id == session_id


def test_module_data_of_first_seed() -> None:
    """Before `init` the data are None, as the seed lists them. Afterwards they have values."""
    assert phospho.log_queue is None
    assert phospho.consumer is None
    assert phospho.latest_task_id is None
    assert phospho.latest_session_id is None
    assert phospho.logger.name == "phospho"

    phospho.init(tick=60)
    log = phospho.log(input="Hello")

    event = phospho.log_queue.events[log["task_id"]]
    assert (event.id, event.to_log, event.content["input"]) == (log["task_id"], True, "Hello")
    assert phospho.latest_task_id == log["task_id"]
    assert phospho.consumer.is_running
    assert os.environ["PHOSPHO_API_KEY"] == "phospho-key"
