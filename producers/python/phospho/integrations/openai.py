"""Logging of every call of OpenAI's client, as `phospho.init(auto_log=True)` switches it on."""

from .._default.openai_calls import unwrap_openai, wrap_openai

__all__ = ["unwrap_openai", "wrap_openai"]
