"""Logging of LlamaIndex: each query, message to an engine, run of an agent, or call of a model alone is one task."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

from .._content.logged_value import LoggedValue
from .._default.state import STATE
from ._runs import Runs, identity_of, init_if_needed

try:
    from llama_index.core.base.llms.base import BaseLLM
    from llama_index.core.base.llms.types import ChatMessage
    from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse
    from llama_index.core.chat_engine.types import StreamingAgentChatResponse
    from llama_index.core.instrumentation import get_dispatcher
    from llama_index.core.instrumentation.dispatcher import active_instrument_tags
    from llama_index.core.instrumentation.event_handlers import BaseEventHandler
    from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.tools import BaseTool
except ImportError as error:
    raise ImportError(
        "phospho's LlamaIndex logging needs llama-index-core. Run `pip install llama-index-core`."
    ) from error

__all__ = ["instrument_llama_index"]

# Methods that begin a task, or a step of one. Other spans are passed over: their steps belong to the span around them.
_MODEL_CALLS = ("chat", "complete")
_ENGINE_CALLS = ("chat", "query", "run")

# The task whose streamed answer the app is reading: calls that happen meanwhile are its steps.
_READING: ContextVar[str | None] = ContextVar("phospho_llama_index", default=None)


def instrument_llama_index(
    api_key: str | None = None, project_id: str | None = None, tick: float = 0.5, **metadata: Any
) -> None:
    """
    Log to the default client what LlamaIndex does from now on. Called again, it replaces the keywords alone.

    Calls `phospho.init` if there is no client, or if a key or project is passed. Further keywords (`session_id`,
    `user_id`, …) are logged with every task; those of LlamaIndex's `instrument_tags` win over them.
    """
    init_if_needed(api_key, project_id, tick)
    dispatcher = get_dispatcher()
    spans = next((handler for handler in dispatcher.span_handlers if isinstance(handler, _Spans)), None)
    if spans is None:
        spans = _Spans()
        dispatcher.add_span_handler(spans)
        dispatcher.add_event_handler(_Events(spans=spans))
    spans.calls = _Calls(metadata)


class _Spans(BaseSpanHandler[Any]):
    """Receives the spans of LlamaIndex. It never raises, and keeps none of them."""

    calls: Any = None

    @classmethod
    def class_name(cls) -> str:
        return "PhosphoSpans"

    def new_span(
        self, id_: str, bound_args: Any, instance: Any = None, parent_span_id: Any = None, **more: Any
    ) -> None:
        _guarded(lambda: self.calls.begin(id_, bound_args.arguments, instance, parent_span_id))

    def prepare_to_exit_span(
        self, id_: str, bound_args: Any, instance: Any = None, result: Any = None, **more: Any
    ) -> None:
        _guarded(lambda: self.calls.exit(id_, bound_args.arguments, instance, result))

    def prepare_to_drop_span(
        self, id_: str, bound_args: Any, instance: Any = None, err: Any = None, **more: Any
    ) -> None:
        _guarded(lambda: self.calls.end(id_, None, err))


class _Events(BaseEventHandler):
    """Receives the events of LlamaIndex: they have the answers that were streamed."""

    spans: Any = None

    @classmethod
    def class_name(cls) -> str:
        return "PhosphoEvents"

    def handle(self, event: Any, **more: Any) -> None:
        _guarded(lambda: self.spans.calls.receive(event))


def _guarded(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception as error:  # the edge between LlamaIndex and the SDK
        if STATE.client is not None:
            STATE.client.task_log.count_error("llama_index", error)


class _Calls:
    """The spans that are tasks and steps. A span whose result is a stream ends with the stream."""

    def __init__(self, metadata: dict[str, Any]) -> None:
        self._runs = Runs(lambda: STATE.client, metadata)
        # By span, the run that it is or belongs to.
        self._run_of: dict[str, str | None] = {}
        self._models: dict[str, str] = {}
        # Streams that the app reads, by the model and its argument: a model whose `astream_chat` is its `stream_chat`
        # begins that while it is read.
        self._streams: dict[tuple[int, int], str] = {}
        self._latest: dict[str, Any] = {}

    def begin(self, span: str, arguments: dict[str, Any], instance: Any, parent: str | None) -> None:
        run = self._run_of.get(parent) if parent else self._streams.get(_key(instance, arguments), _READING.get())
        kind, method = _kind(span, instance), _method(span)
        if kind and (run is None or run not in self._models) and (run is not None or kind in ("llm", "chain")):
            self._run_of[span] = span
            if kind == "llm":
                self._models[span] = instance.metadata.model_name
            tags = active_instrument_tags.get()  # a workflow's span has no tags as its argument
            own_tags = {name: value for name, value in tags.items() if not name.startswith("llamaindex.")}
            fields = {**own_tags, **identity_of(own_tags)}
            self._runs.begin(kind, span, run, _input(arguments), name=_name(instance, method), fields=fields)
        else:
            self._run_of[span] = run

    def exit(self, span: str, arguments: dict[str, Any], instance: Any, result: Any) -> None:
        if self._run_of.get(span) != span:
            self._run_of.pop(span, None)
        elif isinstance(result, (StreamingResponse, AsyncStreamingResponse)):
            self._read_later(span, result)
        elif isinstance(result, StreamingAgentChatResponse):
            self._latest[span] = result
        elif hasattr(type(result), "__next__") or hasattr(type(result), "__anext__"):
            key = _key(instance, arguments)
            self._streams[key] = span
            weakref.finalize(result, self._drop, span, key).atexit = False
        else:
            self.end(span, result)

    def end(self, span: str, result: Any, error: BaseException | None = None) -> None:
        self._latest.pop(span, None)
        model = self._models.pop(span, None)
        if self._run_of.pop(span, None) == span:
            self._runs.end(span, _output(result, model), error)

    def receive(self, event: Any) -> None:
        """Take the answer of a stream from an event."""
        span, name = event.span_id or "", event.class_name()
        run = self._run_of.get(span)
        if span in self._models and name in ("LLMChatEndEvent", "LLMCompletionEndEvent"):
            self.end(span, event.response)
        elif span in self._models and name in ("LLMChatInProgressEvent", "LLMCompletionInProgressEvent"):
            self._latest[span] = event.response
        elif run is not None and name in ("StreamChatEndEvent", "StreamChatErrorEvent"):
            self.end(run, self._latest.get(run), getattr(event, "exception", None))

    def _drop(self, span: str, key: tuple[int, int]) -> None:
        """End a stream that the app has left with what came so far."""
        self._streams.pop(key, None)
        _guarded(lambda: self.end(span, self._latest.get(span)))

    def _read_later(self, span: str, response: Any) -> None:
        tokens = response.response_gen
        is_async = hasattr(type(tokens), "__anext__")
        response.response_gen = self._read_async(span, tokens) if is_async else self._read(span, tokens)

    def _read(self, span: str, tokens: Any) -> Iterator[Any]:
        texts: list[str] = []
        try:
            while True:
                reading = _READING.set(span)
                try:
                    token = next(tokens)
                except StopIteration:
                    return
                finally:
                    _READING.reset(reading)
                texts.append(token)
                yield token
        finally:
            self.end(span, "".join(texts))

    async def _read_async(self, span: str, tokens: Any) -> Any:
        texts: list[str] = []
        try:
            while True:
                reading = _READING.set(span)
                try:
                    token = await tokens.__anext__()
                except StopAsyncIteration:
                    return
                finally:
                    _READING.reset(reading)
                texts.append(token)
                yield token
        finally:
            self.end(span, "".join(texts))


def _key(instance: Any, arguments: dict[str, Any]) -> tuple[int, int]:
    value = next(iter(arguments.values()), None)
    return id(instance), id(value[0] if isinstance(value, tuple) and value else value)


def _method(span: str) -> str:
    """Return the method of a span, as `chat` for `OpenAI.astream_chat-<id>`."""
    name = span.partition("-")[0].rpartition(".")[2]
    for prefix in ("astream_", "stream_", "a"):
        if name.startswith(prefix) and name[len(prefix) :] in (*_MODEL_CALLS, *_ENGINE_CALLS, "retrieve", "call"):
            return name[len(prefix) :]
    return name


def _kind(span: str, instance: Any) -> str:
    """Return the kind of step that a span is, or "" for one that is passed over."""
    method = _method(span)
    if isinstance(instance, BaseLLM):
        return "llm" if method in _MODEL_CALLS else ""
    if isinstance(instance, BaseRetriever):
        return "retriever" if method == "retrieve" else ""
    if isinstance(instance, BaseTool):
        return "tool" if method in ("call", "__call__") else ""
    return "chain" if method in _ENGINE_CALLS else ""


def _name(instance: Any, method: str) -> str:
    if isinstance(instance, BaseTool):
        return str(instance.metadata.get_name())
    return f"{type(instance).__name__}.{method}"


def _input(arguments: dict[str, Any]) -> Any:
    """Return what the call was about: the user's words, messages, or a tool's arguments."""
    given = {**arguments, **arguments.get("kwargs", {})}
    start = given.get("start_event")
    if start is not None:
        given = {"message": start.get("user_msg", None) or start.get("chat_history", None)}
    for name in ("messages", "message", "str_or_query_bundle", "prompt", "user_msg"):
        if given.get(name) is not None:
            return _plain(given[name])
    positional = given.get("args")
    return _plain(positional[0]) if positional else _plain(arguments.get("kwargs", arguments))


def _plain(value: Any) -> Any:
    if isinstance(value, ChatMessage):
        return _message(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return getattr(value, "query_str", value)


def _message(message: Any) -> dict[str, Any]:
    """Return a message in the form of OpenAI."""
    calls = [
        {"function": {"name": block.tool_name, "arguments": block.tool_kwargs}}
        for block in message.blocks
        if hasattr(block, "tool_kwargs")
    ]
    fields = {"role": str(message.role.value), "content": message.content}
    calls = calls or message.additional_kwargs.get("tool_calls")
    return {**fields, "tool_calls": calls} if calls else fields


def _output(result: Any, model: str | None) -> Any:
    """Return the answer as text, or as a response of the model with its figures."""
    if model is not None:
        message = getattr(result, "message", None)
        raw = LoggedValue(getattr(result, "raw", None))
        answer = {"message": _message(message)} if message is not None else {"text": getattr(result, "text", None)}
        named = raw.model() or (model if model != "unknown" else None)
        return {**answer, "model": named, "usage": raw.usage()} if result is not None else None
    return None if result is None else result if isinstance(result, (str, list)) else str(result)
