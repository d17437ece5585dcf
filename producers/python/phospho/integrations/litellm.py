"""A callback for LiteLLM, as a library or as a proxy: each call of a model for a text is one task."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .._default.state import STATE
from ._runs import identity_of, init_if_needed

try:
    from litellm.integrations.custom_logger import CustomLogger
except ImportError as error:
    raise ImportError("phospho's LiteLLM callback needs litellm. Run `pip install litellm`.") from error

__all__ = ["PhosphoLiteLLMLogger"]

# Calls that answer with something else than a text of a model.
_NO_TEXTS = ("embedding", "image", "speech", "transcription", "moderation", "rerank", "search", "ocr", "file", "batch")

# What LiteLLM, its router and its proxy add to the app's metadata.
_OWN_METADATA = (
    "api_base", "attempted", "caching_groups", "deployment", "endpoint", "headers", "hidden_params", "litellm",
    "model_group", "model_info", "previous_models", "requester", "user_api_key",
)  # fmt: skip


class PhosphoLiteLLMLogger(CustomLogger):
    """
    Logs to the default client. Calls `phospho.init` if there is none, or if a key or project is passed.

    `metadata={"session_id": …, "user_id": …}` and `user=` of a call name its session and user; other metadata of a call
    is the task's. Further keywords are logged with every task. No method blocks or raises.
    """

    def __init__(
        self, api_key: str | None = None, project_id: str | None = None, tick: float = 0.5, **metadata: Any
    ) -> None:
        super().__init__()
        init_if_needed(api_key, project_id, tick)
        self._metadata = metadata

    def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self._log(kwargs, response_obj, start_time, end_time)

    def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self._log(kwargs, None, start_time, end_time)

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self._log(kwargs, response_obj, start_time, end_time)

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self._log(kwargs, None, start_time, end_time)

    def _log(self, call: dict[str, Any], response: Any, start: Any, end: Any) -> None:
        client = STATE.client
        if client is None or any(word in str(call.get("call_type")) for word in _NO_TEXTS):
            return
        try:
            fields = {**self._metadata, **_fields_of(call, start, end)}
            client.task_log.submit_quietly(client.task_log.call_of(_request_of(call), response, fields))
        except Exception as error:  # the edge between LiteLLM and the SDK
            client.task_log.count_error("litellm", error)


def _request_of(call: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of the call that the app made."""
    options = {name: value for name, value in (call.get("optional_params") or {}).items() if name != "extra_body"}
    return {"model": call.get("model"), "messages": call.get("messages"), **options}


def _fields_of(call: dict[str, Any], start: Any, end: Any) -> dict[str, Any]:
    """Return identity, times, error and metadata of the call. A call that is tried again is the same task."""
    given = (call.get("litellm_params") or {}).get("metadata") or {}
    identity = {"user_id": call.get("user"), **identity_of(given)}
    added = {
        name: value for name, value in given.items() if not name.startswith(_OWN_METADATA) and name not in identity
    }
    fields: dict[str, Any] = {**identity, "task_id": call.get("litellm_call_id"), "metadata": added}
    if isinstance(start, datetime) and isinstance(end, datetime):
        fields.update(client_created_at=start, latency_ms=round((end - start).total_seconds() * 1000, 3))
    if call.get("exception"):
        fields.update(error=repr(call["exception"]), model=call.get("model"))
    return fields
