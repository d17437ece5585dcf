"""Integrations with other libraries: one module each, imported when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = [
    "PhosphoLangchaiAsyncCallbackHandler",
    "PhosphoLangchainAsyncCallbackHandler",
    "PhosphoLangchainCallbackHandler",
    "PhosphoLiteLLMLogger",
    "instrument_llama_index",
    "unwrap_openai",
    "wrap_openai",
]


_MODULES = {
    "PhosphoLiteLLMLogger": "litellm",
    "instrument_llama_index": "llama_index",
    "unwrap_openai": "openai",
    "wrap_openai": "openai",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'langchain')}"), name)
