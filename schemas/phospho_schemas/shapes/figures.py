"""Model, token counts and latency of a response."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .envelopes import is_langchain_chunk, langchain_fields, without_envelope

__all__ = ["Usage", "count", "duration", "merge_counts", "model_name", "usage", "usage_of_counts"]

_MAX_COUNT = 2**32 - 1
_MAX_DURATION = 1e15
_DIGITS = re.compile(r"[0-9]{1,10}(\.0{1,15})?")

_MODEL_FIELDS = ("model", "model_version", "modelVersion", "model_name", "modelId")
# Fields that hold the counts, and fields that hold the response which has them.
_USAGE_FIELDS = (
    "usage", "usage_metadata", "usageMetadata", "totalUsage", "token_usage", "tokenUsage",
    "amazon-bedrock-invocationMetrics",
)  # fmt: skip
# Cohere's counts: those that it bills, then all, which replace them.
_COUNT_FIELDS = ("billed_units", "tokens")
_HOLDERS = (
    "message", "response", "metadata", "meta", "response_metadata", "llm_output", "chunk", "delta", "x_groq",
    "interaction",
)  # fmt: skip

_TOKENS_IN = (
    "prompt_tokens", "prompt_token_count", "promptTokenCount", "promptTokens", "prompt_eval_count",
    "inputTextTokenCount", "input_token_count", "total_input_tokens",
)  # fmt: skip
# Beside these, Anthropic and Bedrock count the tokens of the cache apart. The other APIs include them.
_TOKENS_IN_WITHOUT_CACHE = ("input_tokens", "inputTokens", "inputTokenCount")
_CACHE = (
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "cacheReadInputTokens",
    "cacheWriteInputTokens",
)
_TOKENS_OUT = (
    "completion_tokens",
    "output_tokens",
    "candidates_token_count",
    "candidatesTokenCount",
    "completionTokens",
    "outputTokens",
    "eval_count",
    "outputTokenCount",
    "generation_token_count",
    "generated_token_count",
    "total_output_tokens",
    "totalOutputTextTokenCount",
    "tokenCount",
)
# Gemini counts thoughts beside the answer and results of its own tools beside the prompt. The other APIs include them.
_THOUGHTS = ("thoughts_token_count", "thoughtsTokenCount", "total_thought_tokens")
_TOOL_PROMPTS = ("tool_use_prompt_token_count", "toolUsePromptTokenCount", "total_tool_use_tokens")
# The AI SDK of version 5 passes on what the provider counts: Anthropic and Bedrock count these apart, the others do
# not. Later versions include them and have details.
_CACHED = "cachedInputTokens"
_CACHED_DETAILS = "inputTokenDetails"
_CACHED_APART = "are cachedInputTokens apart"
_PROVIDERS_APART = ("anthropic", "bedrock")
# Names of such models where no provider is named. Others' names of them have a slash: `anthropic/claude-…`.
_MODELS_APART = re.compile(r"[^/]*(claude|amazon\.nova)[^/]*")
# These are among the tokens out, but not where the total has them besides, as xAI's has.
_REASONING = "reasoning_tokens"
_DETAILS = ("completion_tokens_details", "output_tokens_details")
_TOTALS = ("total_tokens", "total_token_count", "totalTokenCount", "totalTokens")
_DURATION = "total_duration"
_LANGCHAIN_COUNTS = ("input_tokens", "output_tokens", "total_tokens")
_COUNTS = frozenset(
    [
        *_TOKENS_IN,
        *_TOKENS_IN_WITHOUT_CACHE,
        *_CACHE,
        *_TOKENS_OUT,
        *_THOUGHTS,
        *_TOOL_PROMPTS,
        *_TOTALS,
        _DURATION,
        _CACHED,
        _REASONING,
    ]
)


class Usage(NamedTuple):
    """Tokens, those from a cache included, and milliseconds where the server reports them."""

    tokens_in: int | None = None
    tokens_out: int | None = None
    latency_ms: float | None = None
    total: int | None = None


def count(value: Any) -> int | None:
    """Return a number of tokens, which may be in digits; None for any other value."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MAX_COUNT:
        return None
    return int(value)


def duration(value: Any) -> float | None:
    """Return a duration in its own unit; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < _MAX_DURATION:
        return None
    return float(value)


def model_name(*values: Any) -> str:
    """Return the model that the first of `values` names; empty where none does."""
    for value in values:
        # In a stream, the first chunk names the model.
        for part in value if isinstance(value, list) else [value]:
            for holder in _holders(part):
                for field in _MODEL_FIELDS:
                    model = holder.get(field)
                    if isinstance(model, str) and model:
                        return model
    return ""


def usage(value: Any) -> Usage:
    """Return the usage that a response reports; of a list of chunks, the latest figure of each kind."""
    if isinstance(value, Mapping) and not any(isinstance(value.get(field), Mapping) for field in _USAGE_FIELDS):
        steps = value.get("steps")
        if isinstance(steps, list) and steps:
            return _sum([_latest([step]) for step in steps])
    return _latest(value if isinstance(value, list) else [value])


def _latest(chunks: Iterable[Any]) -> Usage:
    counts: dict[str, Any] = {}
    for chunk in chunks:
        merge_counts(counts, chunk)
    return usage_of_counts(counts)


def merge_counts(counts: dict[str, Any], value: Any) -> None:
    """Take the counts of a response or chunk over into *counts*. Those that it lacks stay."""
    added = langchain_fields(value).get("usage_metadata") if is_langchain_chunk(value) else None
    if isinstance(added, Mapping):
        # LangChain adds up the counts of its chunks.
        for name in _LANGCHAIN_COUNTS:
            counts[name] = (count(counts.get(name)) or 0) + (count(added.get(name)) or 0)
        return
    for holder in _holders(value):
        sources = [source for field in _USAGE_FIELDS if isinstance(source := holder.get(field), Mapping)]
        counted = [each[field] for each in (holder, *sources) for field in _COUNT_FIELDS if field in each]
        counted += [source[field] for source in sources for field in _DETAILS if field in source]
        for source in (holder, *sources, *(each for each in counted if isinstance(each, Mapping))):
            for name, figure in source.items():
                if name in _COUNTS:
                    # The AI SDK's providers say {"total": …}.
                    figure = figure.get("total") if isinstance(figure, Mapping) else figure
                    # watsonx counts the prompt in its first chunk alone.
                    if figure is not None and (figure != 0 or name not in counts):
                        counts[name] = figure
            if _CACHED in source and (_CACHED_DETAILS in source or _counts_cache_apart(value)):
                counts[_CACHED_APART] = _CACHED_DETAILS not in source


def _counts_cache_apart(value: Any) -> bool:
    """Return whether an object of the AI SDK names a provider that counts its cache apart."""
    metadata = value.get("providerMetadata") if isinstance(value, Mapping) else None
    if isinstance(metadata, Mapping) and metadata:
        return any(provider in metadata for provider in _PROVIDERS_APART)
    return _MODELS_APART.fullmatch(model_name(value)) is not None


def usage_of_counts(counts: Mapping[str, Any]) -> Usage:
    """Return the figures of counts under the names of any API."""
    tokens_in = _first(counts, _TOKENS_IN)
    if tokens_in is None and (uncached := _first(counts, _TOKENS_IN_WITHOUT_CACHE)) is not None:
        cached = count(counts.get(_CACHED)) or 0
        tokens_in = uncached + sum(count(counts.get(name)) or 0 for name in _CACHE)
        # More than all tokens can't be among them.
        tokens_in += cached if cached > uncached or counts.get(_CACHED_APART) else 0
    tokens_in = _plus(tokens_in, _first(counts, _TOOL_PROMPTS))
    tokens_out = _plus(_first(counts, _TOKENS_OUT), _first(counts, _THOUGHTS))
    total, reasoning = _first(counts, _TOTALS), count(counts.get(_REASONING))
    if reasoning and total and total == (tokens_in or 0) + (tokens_out or 0) + reasoning:
        tokens_out = _plus(tokens_out, reasoning)
    if tokens_in is not None and tokens_out is not None:
        total = max(total or 0, tokens_in + tokens_out)
    duration_ns = duration(counts.get(_DURATION))
    return Usage(tokens_in, tokens_out, duration_ns / 1e6 if duration_ns is not None else None, total)


def _sum(steps: Iterable[Usage]) -> Usage:
    """Return the figures of the AI SDK's steps together."""
    tokens_in: int | None = None
    tokens_out: int | None = None
    for step in steps:
        tokens_in = _plus(tokens_in, step.tokens_in)
        tokens_out = _plus(tokens_out, step.tokens_out)
    total = None if tokens_in is None or tokens_out is None else tokens_in + tokens_out
    return Usage(tokens_in, tokens_out, None, total)


def _holders(value: Any) -> Iterable[Mapping[str, Any]]:
    """
    Return *value* and the responses in it: Anthropic's first event, Responses' events, LangChain's generations,
    the AI SDK's last step.
    """
    if not isinstance(value, Mapping):
        return []
    value = without_envelope(value)
    generation: Any = value.get("generations")
    for _ in range(2):
        generation = generation[0] if isinstance(generation, list) and generation else generation
    message = langchain_fields(generation).get("message") if isinstance(generation, Mapping) else None
    message = langchain_fields(message) if isinstance(message, Mapping) else None
    steps = value.get("steps")
    last_step = steps[-1] if isinstance(steps, list) and steps else None
    response = last_step.get("response") if isinstance(last_step, Mapping) else None
    inner = [value, *(value.get(field) for field in _HOLDERS), message, response, _first_item(value.get("results"))]
    nested = [message.get("response_metadata")] if message is not None else []
    final = value.get("response")
    nested += [final.get("meta")] if isinstance(final, Mapping) else []
    return [holder for holder in [*inner, *nested] if isinstance(holder, Mapping)]


def _first_item(values: Any) -> Any:
    return values[0] if isinstance(values, list) and values else None


def _first(counts: Mapping[str, Any], names: Iterable[str]) -> int | None:
    return next((tokens for name in names if (tokens := count(counts.get(name))) is not None), None)


def _plus(tokens: int | None, more: int | None) -> int | None:
    return tokens if more is None else (tokens or 0) + more
