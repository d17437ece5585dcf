# A copy of schemas/phospho_schemas/shapes. `make schemas` writes it.
"""Masking: what must not leave an app, or not be stored, replaced in every text of a log."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

# Each is linear: no part of a pattern can match what the one before it gives back.
RULES: Mapping[str, str] = {
    "email": r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}",
    "iban": r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
    "card": r"\b[0-9]{4}(?:[ -]?[0-9]{4}){2}[ -]?[0-9]{1,7}\b",
    "ip": r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b",
    "phone": r"\+[0-9]{1,3}(?:[ ./-]{1,2}[0-9]{2,10}){1,5}\b|\+[0-9]{8,15}\b"
    r"|(?<![0-9./-])\(?0[0-9]{1,4}\)?(?: ?/ ?| )[0-9]{3,10}(?: [0-9]{2,6}){0,4}\b",
}
# What stays as it is: ids, and what is no text of a person.
UNMASKED_FIELDS = frozenset(
    {
        *("task_id", "event_id", "session_id", "user_id", "version_id", "project_id", "feedback_id", "trace_id"),
        *("created_at", "client_created_at", "received_at", "last_update", "flag", "score", "source", "model", "kind"),
        *("schema_version", "revision", "sdk_version", "sdk_language", "raw_input_type_name", "raw_output_type_name"),
    }
)
# In the place of a text for which a function raises: it may hold what the function would have masked.
FAILED = "<masking failed>"

Mask = Callable[[str], str]


def mask_of(rules: Iterable[Any]) -> Mask:
    """
    Return one function of rules: names in RULES, compiled patterns, and functions of a text.

    Raises ValueError for anything else.
    """
    masks = [_mask(rule) for rule in rules]

    def mask(text: str) -> str:
        for each in masks:
            text = each(text)
        return text

    return mask


def masked_log(log: Mapping[str, Any], mask: Mask) -> dict[str, Any]:
    """Return a log with each of its texts masked, and the keys of objects as they are."""
    return {name: value if name in UNMASKED_FIELDS else masked(value, mask) for name, value in log.items()}


def masked(value: Any, mask: Mask) -> Any:
    """Return a value of JSON with each of its texts masked."""
    if isinstance(value, str):
        return _masked_text(value, mask)
    if isinstance(value, dict):
        return {name: masked(part, mask) for name, part in value.items()}
    if isinstance(value, list):
        return [masked(part, mask) for part in value]
    return value


def _masked_text(text: str, mask: Mask) -> str:
    try:
        result = mask(text)
    except Exception:
        return FAILED
    return result if isinstance(result, str) else FAILED


def _mask(rule: Any) -> Mask:
    if isinstance(rule, str) and rule in RULES:
        return _replacing(re.compile(RULES[rule]), f"<{rule}>")
    if isinstance(rule, re.Pattern):
        return _replacing(rule, "<masked>")
    if callable(rule):
        function: Mask = rule
        return function
    raise ValueError(f"{rule!r} is no rule of masking: use {', '.join(RULES)}, a compiled pattern, or a function")


def _replacing(pattern: re.Pattern[str], replacement: str) -> Mask:
    return lambda text: pattern.sub(replacement, text)
