"""Keywords of `log` that need a second look: misspelt arguments, and names that the wire keeps for itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ._jsonable import text_of, to_jsonable

__all__ = ["as_sent", "parameter_meant"]

# Whoever passes one of these means metadata: on the wire they say how a log was read and where it is.
_KEPT_BY_THE_WIRE = frozenset(
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


def as_sent(extra: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the snapshot of the keywords that `log` has no parameter for, as they stand in the content.

    Names that the wire keeps for itself move into `metadata`, and so does a `client_created_at` that is no
    time; a good one (Unix seconds, or a datetime) says when the task was.
    """
    sent = {text_of(name): to_jsonable(value) for name, value in extra.items() if value is not None}
    if not isinstance(sent.get("metadata", {}), dict):
        # The server takes an object only, and would refuse the event for it.
        sent["metadata"] = {"value": sent["metadata"]}
    moved = {name: sent.pop(name) for name in list(sent) if name in _KEPT_BY_THE_WIRE}
    if "client_created_at" in sent:
        said, at_s = sent.pop("client_created_at"), _unix_seconds(extra["client_created_at"])
        (moved if at_s is None else sent)["client_created_at"] = said if at_s is None else at_s
    if moved:
        sent["metadata"] = {**moved, **sent.get("metadata", {})}
    return sent


@lru_cache(maxsize=1024)
def parameter_meant(name: str) -> str | None:
    """Return the parameter of `log` that *name* is one slip of the finger away from; None for a plural."""
    if name in _PARAMETERS or name.endswith("s"):
        return None
    return next((parameter for parameter in _PARAMETERS if _is_one_slip(name, parameter)), None)


def _is_one_slip(typed: str, meant: str) -> bool:
    """Return whether one letter is missing or too many, or two neighbours are swapped."""
    start = next((at for at, pair in enumerate(zip(typed, meant)) if pair[0] != pair[1]), None)
    if start is None:
        return abs(len(typed) - len(meant)) == 1
    rest, meant_rest = typed[start:], meant[start:]
    return rest in (meant_rest[1::-1] + meant_rest[2:], meant_rest[1:]) or rest[1:] == meant_rest


def _unix_seconds(value: Any) -> float | None:
    try:
        if hasattr(value, "timestamp"):  # a datetime, whose module is not imported for this alone
            value = value.timestamp()
        at_s = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
        return at_s if math.isfinite(at_s) else None
    except Exception:  # the app's own number, or one out of range
        return None
