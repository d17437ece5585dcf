"""Logging every call of OpenAI's client: what `phospho.init(auto_log=True)` switches on."""

from __future__ import annotations

import weakref
from functools import wraps
from importlib import import_module
from typing import Any, Callable

from .._counters import logger
from .._state import STATE
from .._streams import StreamLog, attach
from .._wrap import wrap_function

__all__ = ["unwrap_openai", "wrap_openai"]

Function = Callable[..., Any]

# Where the calls live in the client, synchronous or not, whole or streamed.
_RESOURCES = (
    ("openai.resources.chat.completions", "Completions"),
    ("openai.resources.chat.completions", "AsyncCompletions"),
    ("openai.resources.responses", "Responses"),
    ("openai.resources.responses", "AsyncResponses"),
)
_METHODS = ("create", "parse")

# Set by the client's `.with_raw_response` and `.with_streaming_response`, whose results are HTTP's.
_RAW_HEADER = "x-stainless-raw-response"

# By class and method: what was there, and what we have put in its place.
_REPLACED: dict[tuple[Any, str], tuple[Function, Function]] = {}


def wrap_openai(wrap: Callable[[Function], Function] = wrap_function) -> None:
    """Log each call of Chat Completions and Responses, of all clients of this process. Works once."""
    for module_name, class_name in _RESOURCES:
        resource = _resource(module_name, class_name)
        for method in _METHODS:
            original = getattr(resource, method, None)
            if original is not None and (resource, method) not in _REPLACED:
                logged = _logged(original, wrap)
                _REPLACED[resource, method] = original, logged
                setattr(resource, method, logged)
    if not _REPLACED:
        logger.warning("phospho: auto_log=True logs nothing: the openai package is not installed.")


def unwrap_openai() -> None:
    """Undo `wrap_openai`, save where another library has wrapped the same method since."""
    while _REPLACED:
        (resource, method), (original, logged) = _REPLACED.popitem()
        if getattr(resource, method) is logged:
            setattr(resource, method, original)


def _logged(original: Function, wrap: Callable[[Function], Function]) -> Function:
    whole, raw = wrap(original), _raw(original)

    @wraps(original)
    def call_and_log(*args: Any, **kwargs: Any) -> Any:
        headers = kwargs.get("extra_headers") or {}
        is_raw = any(str(name).lower() == _RAW_HEADER for name in headers)
        return (raw if is_raw else whole)(*args, **kwargs)

    return call_and_log


def _raw(original: Function) -> Function:
    """Return *original*, which gives an HTTP response here, with logging."""

    def call(*args: Any, **kwargs: Any) -> Any:
        from inspect import isawaitable

        response = _Response(kwargs)
        try:
            given = original(*args, **kwargs)
        except BaseException as error:
            response.failed(error)
            raise
        return response.awaited(given) if isawaitable(given) else response.watched(given)

    return call


class _Response:
    """
    The log of one call whose result is an HTTP response.

    A body that is there is logged at once; one that the app has yet to read when it closes the response, a
    stream as the app iterates over what `parse` gives. Of what the app takes otherwise the input is logged.
    """

    def __init__(self, kwargs: dict[str, Any]) -> None:
        self._is_stream = kwargs.get("stream") is True
        self._log: StreamLog | None = None
        client = STATE.client
        if client is not None:
            asked = {name: value for name, value in kwargs.items() if name != "extra_headers"}
            self._log = StreamLog(client, client.call_of(asked, None, {}))

    def failed(self, error: BaseException) -> None:
        """Log the input with the *error* that the call has raised."""
        if self._log is not None:
            self._log.finish(error)

    async def awaited(self, coming: Any) -> Any:
        """Return what *coming* gives, watched."""
        try:
            response = await coming
        except BaseException as error:
            self.failed(error)
            raise
        return self.watched(response)

    def watched(self, response: Any) -> Any:
        """Return *response*, whose body is logged, now or later."""
        if self._log is None:
            return response
        try:
            if self._add_body(response):
                self._log.finish()
            else:
                self._watch(response, self._log)
        except Exception as error:  # the edge to another library
            logger.warning("phospho: a raw response of OpenAI's client cannot be logged: %s", error)
        return response

    def _add_body(self, response: Any) -> bool:
        """Log the body, if it has been read; a stream has none."""
        try:
            body = None if self._is_stream else response.http_response.content
        except Exception:  # httpx says so for a body that was not read
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

            given = parse(*args, **kwargs)
            return self._attached_later(given) if isawaitable(given) else self._attached(given)

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

    async def _attached_later(self, coming: Any) -> Any:
        return self._attached(await coming)


def _resource(module_name: str, class_name: str) -> Any:
    try:
        return getattr(import_module(module_name), class_name, None)
    except ImportError:
        return None
