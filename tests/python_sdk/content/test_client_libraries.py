"""Objects of the client libraries, each where it is installed. `test_logged_value.py` has their shapes."""

from __future__ import annotations

from typing import Any

import pytest

from phospho import extractor

USAGE = {"prompt_tokens": 10, "completion_tokens": 9, "total_tokens": 19, "tokens_in": 10, "tokens_out": 9}


def read(output: Any) -> tuple[str | None, dict[str, int] | None]:
    return extractor.detect_str_from_output(output), extractor.detect_usage_from_input_output(None, output)


def test_anthropic_message_is_read() -> None:
    types = pytest.importorskip("anthropic.types", reason="reads its objects")
    content = [
        types.TextBlock(type="text", text="Hello!"),
        types.ToolUseBlock(type="tool_use", id="t", name="weather", input={"city": "Paris"}),
    ]
    usage = types.Usage(input_tokens=10, output_tokens=9)

    message = types.Message(id="m", type="message", role="assistant", model="claude", content=content, usage=usage)

    assert read(message) == ('Hello!\nweather({"city": "Paris"})', USAGE)


def test_gemini_call_and_response_are_read() -> None:
    types = pytest.importorskip("google.genai.types", reason="reads its objects")
    content = types.Content(role="model", parts=[types.Part(text="Hel"), types.Part(text="lo!")])
    counts = {"prompt_token_count": 10, "candidates_token_count": 9, "total_token_count": 19}

    response = types.GenerateContentResponse(
        candidates=[types.Candidate(content=content)],
        usage_metadata=types.GenerateContentResponseUsageMetadata(**counts),
    )
    call = {
        "contents": [types.Content(role="user", parts=[types.Part(text="Say hello")])],
        "config": types.GenerateContentConfig(system_instruction="Be brief."),
    }

    assert read(response) == ("Hello!", USAGE)
    assert extractor.detect_str_from_input(call) == "Say hello"
    assert extractor.detect_system_prompt_from_input_output(call, None) == "Be brief."


def test_ollama_responses_are_read() -> None:
    ollama = pytest.importorskip("ollama", reason="reads its objects")
    counts = {"model": "m", "done": True, "prompt_eval_count": 10, "eval_count": 9}

    assert read(ollama.GenerateResponse(response="Hello!", **counts)) == ("Hello!", USAGE)
    message = ollama.Message(role="assistant", content="Hello!")
    assert read(ollama.ChatResponse(message=message, **counts)) == ("Hello!", USAGE)


def test_langchain_messages_and_results_are_read() -> None:
    messages = pytest.importorskip("langchain_core.messages", reason="reads its objects")
    from langchain_core.outputs import ChatGeneration, LLMResult

    usage = {"input_tokens": 10, "output_tokens": 9, "total_tokens": 19}
    answer = messages.AIMessage(content="Hello!", usage_metadata=usage)
    conversation = [messages.SystemMessage("Be brief."), messages.HumanMessage("Say hello"), answer]

    assert read(answer) == ("Hello!", USAGE)
    assert read(LLMResult(generations=[[ChatGeneration(message=answer)]])) == ("Hello!", USAGE)
    assert extractor.detect_str_from_input(conversation) == "Say hello"
    assert extractor.detect_str_from_output(conversation) == "Hello!"
