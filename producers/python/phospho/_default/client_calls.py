"""Logging of each call of OpenAI's, Anthropic's and Gemini's clients: `init` with `auto_log` or `tracing`."""

from __future__ import annotations

import sys
import weakref
from functools import wraps
from importlib import import_module
from typing import Any, Callable, NamedTuple

from .._capture.stream_log import StreamLog
from .._capture.streams import attach, attach_entered
from .._logger import logger
from .state import STATE
from .traced_calls import begin_step, trace_function
from .wrap import wrap_function

__all__ = ["TASKS", "TRACED_STEPS", "unwrap_clients", "wrap_clients"]

Function = Callable[..., Any]

_OPENAI = ("create", "parse")
_ANTHROPIC = ("create", "parse", "stream")
_GEMINI = ("generate_content", "generate_content_stream")

# Modules of the clients, their classes, and the methods of these that are calls of a model.
_RESOURCES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("openai.resources.chat.completions", ("Completions", "AsyncCompletions"), _OPENAI),
    ("openai.resources.completions", ("Completions", "AsyncCompletions"), ("create",)),
    ("openai.resources.responses", ("Responses", "AsyncResponses"), _OPENAI),
    ("anthropic.resources.messages", ("Messages", "AsyncMessages"), _ANTHROPIC),
    ("anthropic.resources.beta.messages", ("Messages", "AsyncMessages"), _ANTHROPIC),
    ("google.genai.models", ("Models", "AsyncModels"), _GEMINI),
)

# Those that are steps of tasks, and no tasks themselves.
_EMBEDDINGS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("openai.resources.embeddings", ("Embeddings", "AsyncEmbeddings"), ("create",)),
    ("google.genai.models", ("Models", "AsyncModels"), ("embed_content",)),
)

# Set by the client's `.with_raw_response` and `.with_streaming_response`, which return HTTP responses.
_RAW_HEADER = "x-stainless-raw-response"

# By class and method: the original function, and the one that logs.
_REPLACED: dict[tuple[Any, str], tuple[Function, Function]] = {}


class CallLog(NamedTuple):
    """Logging of a call that returns its answer, and of one that returns the reader of a later answer."""

    wrap: Callable[[Function], Function]
    begin: Callable[[Function, dict[str, Any]], StreamLog | None]


def _begin_task(function: Function, kwargs: dict[str, Any]) -> StreamLog | None:
    client = STATE.client
    return None if client is None else StreamLog(client.task_log, client.task_log.call_of(kwargs, None, {}))


TASKS = CallLog(wrap_function, _begin_task)
TRACED_STEPS = CallLog(trace_function, begin_step)

_active: CallLog | None = None


def wrap_clients(call_log: CallLog = TASKS) -> None:
    """
    Log each call of a model by all clients of this process. Idempotent.

    OpenAI's library is imported if it is installed. The others, which take longer, count if the app has imported them.
    """
    global _active
    if _active is not call_log:
        unwrap_clients()
    _active = call_log
    for module_name, class_names, methods in (*_RESOURCES, *(_EMBEDDINGS if call_log is TRACED_STEPS else ())):
        if module_name.startswith("openai.") or module_name.partition(".")[0] in _imported_clients():
            for resource in (_resource(module_name, class_name) for class_name in class_names):
                _replace(resource, methods, call_log)
    if not _REPLACED:
        logger.warning(
            "phospho: auto_log=True logs nothing, because neither openai nor an imported anthropic or google.genai was "
            "found. Run `pip install openai`, or import the other library before phospho.init."
        )


def _imported_clients() -> set[str]:
    libraries = {"anthropic": "anthropic", "google.genai": "google"}
    return {package for module, package in libraries.items() if module in sys.modules}


def _replace(resource: Any, methods: tuple[str, ...], call_log: CallLog) -> None:
    for method in methods:
        original = getattr(resource, method, None)
        if original is not None and (resource, method) not in _REPLACED:
            logged = (_logged_helper if method == "stream" else _logged)(original, call_log)
            _REPLACED[resource, method] = original, logged
            setattr(resource, method, logged)


def unwrap_clients() -> None:
    """Undo `wrap_clients`, except where another library has wrapped the same method since."""
    while _REPLACED:
        (resource, method), (original, logged) = _REPLACED.popitem()
        if getattr(resource, method) is logged:
            setattr(resource, method, original)


def _logged(original: Function, call_log: CallLog) -> Function:
    parsed, raw = call_log.wrap(original), _raw(original, call_log)

    @wraps(original)
    def call_and_log(*args: Any, **kwargs: Any) -> Any:
        headers = kwargs.get("extra_headers") or {}
        is_raw = any(str(name).lower() == _RAW_HEADER for name in headers)
        return (raw if is_raw else parsed)(*args, **kwargs)

    return call_and_log


def _logged_helper(original: Function, call_log: CallLog) -> Function:
    """Return Anthropic's `stream`, which returns a context manager, with logging of the stream that it enters."""

    @wraps(original)
    def call_and_log(*args: Any, **kwargs: Any) -> Any:
        manager = original(*args, **kwargs)
        try:
            log = call_log.begin(original, kwargs)
            if log is not None:
                attach_entered(manager, log)
        except Exception as error:  # the edge to another library
            if STATE.client is not None:
                STATE.client.task_log.count_error("auto_log", error)
        return manager

    return call_and_log


def _raw(original: Function, call_log: CallLog) -> Function:
    """Return *original*, called for an HTTP response, with logging."""

    def call(*args: Any, **kwargs: Any) -> Any:
        from inspect import isawaitable

        arguments = {name: value for name, value in kwargs.items() if name != "extra_headers"}
        response = _Response(call_log.begin(original, arguments), is_stream=kwargs.get("stream") is True)
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            response.log_error(error)
            raise
        return response.awaited(result) if isawaitable(result) else response.watched(result)

    return call


class _Response:
    """
    The log of one call whose result is an HTTP response.

    A body that has been read is logged at once, and one that the app reads later when it closes the response. A
    stream is logged as the app iterates over the result of `parse`. If the app reads the response in another way,
    the input is logged alone.
    """

    def __init__(self, log: StreamLog | None, is_stream: bool) -> None:
        self._log = log
        self._is_stream = is_stream

    def log_error(self, error: BaseException) -> None:
        """Log the input with the *error* that the call has raised."""
        if self._log is not None:
            self._log.finish(error)

    async def awaited(self, awaitable: Any) -> Any:
        """Return the response that *awaitable* returns, watched."""
        try:
            response = await awaitable
        except BaseException as error:
            self.log_error(error)
            raise
        return self.watched(response)

    def watched(self, response: Any) -> Any:
        """Return *response*. Its body is logged now or later."""
        if self._log is None:
            return response
        try:
            if self._add_body(response):
                self._log.finish()
            else:
                self._watch(response, self._log)
        except Exception as error:  # the edge to another library
            logger.warning("phospho: a raw response is not logged: %s", error)
        return response

    def _add_body(self, response: Any) -> bool:
        """Log the body if it has been read, and return True. A stream has no body."""
        try:
            body = None if self._is_stream else response.http_response.content
        except Exception:  # httpx raises if the body was not read
            body = None
        if body is None or self._log is None:
            return False
        self._log.add(body)
        return True

    def _watch(self, response: Any, log: StreamLog) -> None:
        weakref.finalize(response, log.finish).atexit = False
        parse, close = response.parse, getattr(response, "close", None)

        @wraps(parse)
        def watched_parse(*args: Any, **kwargs: Any) -> Any:
            from inspect import isawaitable

            result = parse(*args, **kwargs)
            return self._attached_later(result) if isawaitable(result) else self._attached(result)

        response.parse = watched_parse
        if close is not None:

            @wraps(close)
            def watched_close() -> Any:
                self._add_body(response)
                log.finish()
                return close()

            response.close = watched_close

    def _attached(self, parsed: Any) -> Any:
        if self._is_stream and self._log is not None:
            try:
                attach(parsed, self._log)
            except (TypeError, AttributeError):
                self._log.finish()
        return parsed

    async def _attached_later(self, awaitable: Any) -> Any:
        return self._attached(await awaitable)


def _resource(module_name: str, class_name: str) -> Any:
    try:
        return getattr(import_module(module_name), class_name, None)
    except ImportError:
        return None
