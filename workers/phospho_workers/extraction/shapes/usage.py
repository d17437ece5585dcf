"""Model, tokens and latency of a response."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

_MAX_COUNT = 2**32 - 1
_MAX_DURATION = 1e15
_USAGE_FIELDS = ("usage", "usageMetadata")


@dataclass(frozen=True)
class Usage:
    """Tokens, and milliseconds where the server reports them."""

    tokens_in: int | None = None
    tokens_out: int | None = None
    latency_ms: float | None = None


NO_USAGE = Usage()


def count(value: Any) -> int | None:
    """Return a number of tokens; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MAX_COUNT:
        return None
    return int(value)


def duration(value: Any) -> float | None:
    """Return a duration in its own unit; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MAX_DURATION:
        return None
    return float(value)


def model_name(*values: Any) -> str:
    """Return the model that the first of `values` names; empty where none does."""
    for value in values:
        # In a stream, the first chunk names the model.
        for part in value if isinstance(value, list) else [value]:
            if model := _model_of(part):
                return model
    return ""


def usage(value: Any) -> Usage:
    """Return the usage that a response reports; of a stream, the latest figure of each kind in its chunks."""
    if isinstance(value, list):
        return _latest([usage(chunk) for chunk in value if isinstance(chunk, Mapping)])
    if not isinstance(value, Mapping):
        return Usage()
    value = _embedded_response(value)
    counts = next((value[field] for field in _USAGE_FIELDS if isinstance(value.get(field), Mapping)), value)
    duration_ns = duration(value.get("total_duration"))
    return Usage(
        first_count(counts, "prompt_tokens", "input_tokens", "promptTokenCount", "prompt_eval_count"),
        first_count(counts, "completion_tokens", "output_tokens", "candidatesTokenCount", "eval_count"),
        duration_ns / 1e6 if duration_ns is not None else None,
    )


def first_count(counts: Mapping[str, Any], *names: str) -> int | None:
    """Return the first of these fields that holds a number of tokens; None where none does."""
    for name in names:
        tokens = count(counts.get(name))
        if tokens is not None:
            return tokens
    return None


def _model_of(value: Any) -> str:
    if not isinstance(value, Mapping):
        return ""
    value = _embedded_response(value)
    model = value.get("model") or value.get("modelVersion")
    return model if isinstance(model, str) else ""


def _embedded_response(chunk: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the response inside the first or last chunk of a stream (Anthropic, Responses); otherwise the chunk."""
    for field, kinds in (("message", ("message_start",)), ("response", ("response.created", "response.completed"))):
        if chunk.get("type") in kinds and isinstance(chunk.get(field), Mapping):
            return dict(chunk[field])
    return chunk


def _latest(uses: list[Usage]) -> Usage:
    """Return the last reported figure of each kind."""

    def last(figures: Iterable[T | None]) -> T | None:
        return next((figure for figure in figures if figure is not None), None)

    uses.reverse()
    return Usage(
        last(use.tokens_in for use in uses),
        last(use.tokens_out for use in uses),
        last(use.latency_ms for use in uses),
    )
