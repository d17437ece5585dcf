"""Token counts of a response."""

from __future__ import annotations

from typing import Any

from .fields import first_item, read

__all__ = ["usage_of"]

# The field that holds the counts, then the names of the input's, the output's and the total count.
_SHAPES: tuple[tuple[str | None, str, str, str], ...] = (
    ("usage", "prompt_tokens", "completion_tokens", "total_tokens"),
    ("usage", "input_tokens", "output_tokens", "total_tokens"),
    ("usage_metadata", "input_tokens", "output_tokens", "total_tokens"),
    ("usage_metadata", "prompt_token_count", "candidates_token_count", "total_token_count"),
    ("usageMetadata", "promptTokenCount", "candidatesTokenCount", "totalTokenCount"),
    (None, "prompt_eval_count", "eval_count", "total_eval_count"),
)


def usage_of(output: Any) -> dict[str, int]:
    """
    Return the token counts that *output* holds: `prompt_tokens`, `completion_tokens` and `total_tokens`.

    `tokens_in` and `tokens_out` repeat the first two under the server's names.
    """
    generation = first_item(output, "generations")
    if isinstance(generation, list) and generation:
        generation = generation[0]
    nested = [read(output, "response"), read(output, "message"), read(generation, "message")]
    for value in (output, *nested):
        for container, *names in _SHAPES:
            counts = [_count(value if container is None else read(value, container), name) for name in names]
            if counts[0] is not None or counts[1] is not None:
                return _named(*counts)
    return {}


def _named(prompt: int | None, completion: int | None, total: int | None) -> dict[str, int]:
    if total is None and prompt is not None and completion is not None:
        total = prompt + completion
    counts = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "tokens_in": prompt,
        "tokens_out": completion,
    }
    return {name: count for name, count in counts.items() if count is not None}


def _count(usage: Any, name: str) -> int | None:
    count = read(usage, name)
    # The methods of a subclass may do anything: take the number itself.
    return int.__int__(count) if isinstance(count, int) and not isinstance(count, bool) else None
