"""Every way to call LlamaIndex, with its own mocks as models; each way has a session."""

import asyncio
import contextlib
from typing import Any

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, LLMMetadata
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.instrumentation.dispatcher import instrument_tags
from llama_index.core.llms import MockLLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.tools import ToolSelection

import phospho
from phospho.integrations import instrument_llama_index

phospho.init()
instrument_llama_index(version_id="v0")
instrument_llama_index(version_id="v1")


class Failing(MockLLM):
    def complete(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no")


class Agent(MockLLM, FunctionCallingLLM):
    """A model that calls a tool, then answers."""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_function_calling_model=True, model_name="model-1")

    def _prepare_chat_with_tools(self, tools: Any, user_msg: Any = None, chat_history: Any = None, **more: Any) -> Any:
        return {"messages": [*(chat_history or []), *([user_msg] if user_msg else [])]}

    async def achat(self, messages: Any, **more: Any) -> Any:
        is_answered = any(message.role.value == "tool" for message in messages)
        message = ChatMessage(role="assistant", content="It is 20." if is_answered else None)
        usage = {"prompt_tokens": 5, "completion_tokens": 2}
        return ChatResponse(message=message, raw={"model": "model-1", "usage": usage})

    def get_tool_calls_from_response(self, response: Any, **more: Any) -> Any:
        is_call = response.message.content is None
        return [ToolSelection(tool_id="t", tool_name="weather", tool_kwargs={"city": "Boston"})] if is_call else []


def weather(city: str) -> str:
    """Tell the weather."""
    return f"20 in {city}"


model = MockLLM(max_tokens=2)
hello = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="Say hello")]
index = VectorStoreIndex.from_documents([Document(text="Five days.")], embed_model=MockEmbedding(embed_dim=4))


def way(name: str) -> Any:
    return instrument_tags({"session_id": name, "user_id": "ann"})


def synchronous() -> None:
    with way("chat"):
        model.chat(hello)
    with way("complete"):
        model.complete("Say hello")
    with way("stream chat"):
        list(model.stream_chat(hello))
    with way("stream left early"):
        chunks = model.stream_chat(hello)
        next(chunks), next(chunks)
        del chunks
    with way("query"):
        index.as_query_engine(llm=model).query("How long?")
    with way("stream query"):
        list(index.as_query_engine(llm=model, streaming=True).query("How long?").response_gen)
    with way("engine"):
        index.as_chat_engine(chat_mode="condense_plus_context", llm=model).chat("How long?")
    with way("stream engine"):
        list(index.as_chat_engine(chat_mode="condense_plus_context", llm=model).stream_chat("How long?").response_gen)
    with way("error"), contextlib.suppress(RuntimeError):
        index.as_query_engine(llm=Failing()).query("How long?")


async def asynchronous() -> None:
    with way("async query"):
        await index.as_query_engine(llm=model).aquery("How long?")
    with way("async stream query"):
        answer = await index.as_query_engine(llm=model, streaming=True).aquery("How long?")
        async for _ in answer.async_response_gen():
            pass
    with way("async stream chat"):
        async for _ in await model.astream_chat(hello):
            pass
    with way("agent"):
        await FunctionAgent(tools=[weather], llm=Agent(), streaming=False).run(user_msg="Weather in Boston?")


synchronous()
asyncio.run(asynchronous())
