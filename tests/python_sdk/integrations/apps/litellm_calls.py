"""Every way to call LiteLLM, logged by the example before. Its own mocks answer; each way has a session."""

import asyncio
import contextlib
import time
from typing import Any

import litellm

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello"}]
CALL = {"id": "t", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}


def request(session_id: str, **further: Any) -> dict[str, Any]:
    metadata = {"session_id": session_id, "tenant": "north"}
    return {"model": "gpt-4o-mini", "messages": MESSAGES, "mock_response": "Hello!", "metadata": metadata, **further}


async def asynchronous() -> None:
    await litellm.acompletion(**request("async"))
    async for _ in await litellm.acompletion(**request("async stream"), stream=True):
        pass
    with contextlib.suppress(Exception):
        await litellm.acompletion(**request("async error", mock_response=Exception("no")))
    await litellm.atext_completion(model="gpt-3.5-turbo-instruct", prompt="Say hello", mock_response="Hello!",
                                   metadata={"session_id": "text"})  # fmt: skip
    await litellm.aembedding("text-embedding-3-small", ["none"], mock_response=[[0.1]])
    await asyncio.sleep(0.5)  # LiteLLM logs in the background, and stops with the loop


litellm.completion(**request("whole", user="ann"))
list(litellm.completion(**request("stream"), stream=True))
litellm.completion(**request("tool", mock_response=None, mock_tool_calls=[CALL]))
with contextlib.suppress(Exception):
    litellm.completion(**request("error", mock_response=Exception("no")))
asyncio.run(asynchronous())
time.sleep(0.2)
