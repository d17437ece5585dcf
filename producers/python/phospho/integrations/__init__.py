"""Integrations with other libraries: one module each, imported when it is first used."""

from __future__ import annotations

from typing import Any

__all__ = [
    "PhosphoLangchaiAsyncCallbackHandler",
    "PhosphoLangchainAsyncCallbackHandler",
    "PhosphoLangchainCallbackHandler",
    "unwrap_openai",
    "wrap_openai",
]


def __getattr__(name: str) -> Any:
    if name in ("wrap_openai", "unwrap_openai"):
        from . import openai as module
    elif name in __all__:
        from . import langchain as module  # type: ignore[no-redef]
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(module, name)
