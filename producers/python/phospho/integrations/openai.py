"""Logging of every call of the model clients, as `phospho.init(auto_log=True)` switches it on."""

from .._default.client_calls import unwrap_clients as unwrap_openai
from .._default.client_calls import wrap_clients as wrap_openai

__all__ = ["unwrap_openai", "wrap_openai"]
