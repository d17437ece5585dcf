"""Logging every call of OpenAI's client: what `phospho.init(auto_log=True)` switches on."""

from __future__ import annotations

from functools import wraps
from importlib import import_module
from typing import Any, Callable

from .._counters import logger
from .._wrap import wrap_function

__all__ = ["unwrap_openai", "wrap_openai"]

# Where `create` lives in the client, whole or streamed.
_RESOURCES = (
    ("openai.resources.chat.completions", "Completions"),
    ("openai.resources.chat.completions", "AsyncCompletions"),
    ("openai.resources.responses", "Responses"),
    ("openai.resources.responses", "AsyncResponses"),
)

# Set by the client's `.with_raw_response` and `.with_streaming_response`, whose results are HTTP's, not text.
_RAW_HEADER = "x-stainless-raw-response"

_ORIGINALS: dict[Any, Callable[..., Any]] = {}


def wrap_openai(wrap: Callable[[Callable[..., Any]], Callable[..., Any]] = wrap_function) -> None:
    """Log each call of Chat Completions and Responses, of all clients of this process. Works once."""
    for module_name, class_name in _RESOURCES:
        resource = _resource(module_name, class_name)
        if resource is not None and resource not in _ORIGINALS:
            _ORIGINALS[resource] = resource.create
            resource.create = _logged(resource.create, wrap)
    if not _ORIGINALS:
        logger.warning("phospho: auto_log=True logs nothing: the openai package is not installed.")


def unwrap_openai() -> None:
    """Undo `wrap_openai`."""
    while _ORIGINALS:
        resource, create = _ORIGINALS.popitem()
        resource.create = create


def _logged(
    create: Callable[..., Any], wrap: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> Callable[..., Any]:
    logged_create = wrap(create)

    @wraps(create)
    def create_and_log(*args: Any, **kwargs: Any) -> Any:
        headers = kwargs.get("extra_headers") or {}
        is_raw = any(str(name).lower() == _RAW_HEADER for name in headers)
        return (create if is_raw else logged_create)(*args, **kwargs)

    return create_and_log


def _resource(module_name: str, class_name: str) -> Any:
    try:
        return getattr(import_module(module_name), class_name, None)
    except ImportError:
        return None
