"""Keywords of `log` outside its signature: misspelt parameters, and names that are reserved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Callable

from .._shapes.media import described
from .json_values import text_of, to_jsonable

__all__ = ["correct_misspelt", "keyword_fields"]

# Fields that the SDK or the server sets. An app that passes one means metadata.
_RESERVED = frozenset(
    [
        "event_id",
        "kind",
        "last_update",
        "project_id",
        "raw_input_type_name",
        "raw_output_type_name",
        "received_at",
        "revision",
        "schema_version",
        "source",
    ]
)

_PARAMETERS = (
    "output",
    "session_id",
    "task_id",
    "version_id",
    "user_id",
    "raw_input",
    "raw_output",
    "metadata",
    "input_to_str_function",
    "output_to_str_function",
    "concatenate_raw_outputs_if_task_id_exists",
    "input_output_to_usage_function",
    "stream",
)
_PARAMETER_SET = frozenset(_PARAMETERS)

TIMES = ("created_at", "client_created_at")


def keyword_fields(extra: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the content's fields for keywords that `log` has no parameter for.

    Base64 in them is described. Reserved names move into `metadata`. `client_created_at` or `created_at` (a datetime,
    ISO 8601, or Unix seconds, milli-, micro- or nanoseconds) sets the time of the task; one that is no time moves into
    `metadata` too.
    """
    fields = {text_of(name): described(to_jsonable(value)) for name, value in extra.items() if value is not None}
    if not isinstance(fields.get("metadata", {}), dict):
        # The server refuses an event whose metadata is no object.
        fields["metadata"] = {"value": fields["metadata"]}
    moved = {name: fields.pop(name) for name in list(fields) if name in _RESERVED}
    for name in [name for name in TIMES if name in fields]:
        value, unix_s = fields.pop(name), unix_seconds(extra[name])
        if unix_s is None:
            moved[name] = value
        else:
            fields["client_created_at"] = unix_s
    if moved:
        fields["metadata"] = {**moved, **fields.get("metadata", {})}
    return fields


def correct_misspelt(arguments: dict[str, Any], warn: Callable[[str, str], None]) -> None:
    """
    Warn of *arguments* that look like a misspelt parameter of `log`, and of times that can't be read.

    A function moves to the parameter that is meant, since metadata can't be a function. Any other value stays
    under its name, and is logged as metadata.
    """
    for name in [name for name in arguments if name not in _PARAMETER_SET]:
        parameter = _parameter_meant(name)
        if parameter is None:
            continue
        consequence = "It is logged as metadata"
        if callable(arguments[name]) and arguments.get(parameter) is None:
            arguments[parameter] = arguments.pop(name)
            consequence = "It is taken as that"
        warn(name, f"phospho: log() has no {name!r}; did you mean {parameter!r}? {consequence}.")
    for name in TIMES:
        if arguments.get(name) is not None and unix_seconds(arguments[name]) is None:
            warn(name, f"phospho: {name} is no time, and is logged as metadata. Pass a datetime or Unix seconds.")


@lru_cache(maxsize=1024)
def _parameter_meant(name: str) -> str | None:
    """Return the parameter of `log` that *name* misspells by one letter. None for plurals."""
    if name.endswith("s"):
        return None
    return next((parameter for parameter in _PARAMETERS if _is_one_letter_off(name, parameter)), None)


def _is_one_letter_off(typed: str, meant: str) -> bool:
    """Return whether one letter is missing or too many, or two neighbours are swapped."""
    start = next((index for index, pair in enumerate(zip(typed, meant)) if pair[0] != pair[1]), None)
    if start is None:
        return abs(len(typed) - len(meant)) == 1
    rest, meant_rest = typed[start:], meant[start:]
    return rest in (meant_rest[1::-1] + meant_rest[2:], meant_rest[1:]) or rest[1:] == meant_rest


def unix_seconds(value: Any) -> float | None:
    """Return a time as Unix seconds, or None if it is none. Text without a zone is UTC. Never raises."""
    try:
        if hasattr(value, "timestamp"):  # a datetime; a naive one is local, as everywhere in Python
            return float(value.timestamp())
        value = to_jsonable(value)
        if isinstance(value, str) and not value.isdecimal():
            return _iso_seconds(value)
        unix_s = math.nan if isinstance(value, bool) else float(value)
        # Its size tells the unit: 1e11 seconds are in the year 5138, 1e11 milliseconds in 1973.
        power = next((power for power in (9, 6, 3) if abs(unix_s) >= 10 ** (power + 8)), 0)
        unix_s = unix_s / 10**power if power else unix_s
        return unix_s if math.isfinite(unix_s) else None
    except Exception:  # the app's own number, or one out of range
        return None


def _iso_seconds(text: str) -> float:
    from datetime import datetime, timezone

    moment = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
