"""The fields of a raw log, checked and brought into the form of a row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from phospho_schemas.messages import SCHEMA_VERSION
from phospho_schemas.times import parsed_time
from phospho_workers.runtime.records import Unreadable

MAX_ID_CHARACTERS = 512
_MAX_COUNT = 2**32 - 1
# As phospho_schemas.messages.ProjectId has it.
_PROJECT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}")
_OLDEST_S = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
# The last time that ClickHouse's DateTime64 holds is in 2299.
_NEWEST_S = datetime(2299, 1, 1, tzinfo=UTC).timestamp()
_MAX_AHEAD_S = 86_400.0


def project_of(log: Mapping[str, Any]) -> str:
    """Return the project of a raw log. Raises Unreadable where it is missing or no identifier."""
    project_id = log.get("project_id")
    if not isinstance(project_id, str) or not _PROJECT_ID.fullmatch(project_id):
        raise Unreadable("invalid_field", "project_id: 1 to 128 letters, digits, _, . or - are needed")
    return project_id


def check_version(log: Mapping[str, Any]) -> None:
    """Raise Unreadable for a message of a version that this reader does not know; without one it is version 1."""
    version = log.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise Unreadable("unknown_version", f"schema_version {version!r}: this reader knows {SCHEMA_VERSION}")


def identifier(log: Mapping[str, Any], field: str) -> str:
    """Return an id as text; empty where it is missing or null. Numbers are taken as their digits."""
    value = log.get(field)
    if value is None:
        return ""
    if value.__class__ is str and len(value) <= MAX_ID_CHARACTERS:
        return str(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Unreadable("invalid_field", f"{field}: a string is needed, found {type(value).__name__}")
    text = str(value)
    if len(text) > MAX_ID_CHARACTERS:
        raise Unreadable("invalid_field", f"{field}: at most {MAX_ID_CHARACTERS} characters, found {len(text)}")
    return text


def flag(log: Mapping[str, Any]) -> str:
    """Return success, failure, or empty."""
    value = log.get("flag")
    if value in (None, ""):
        return ""
    if value not in ("success", "failure"):
        raise Unreadable("invalid_field", f"flag: success or failure is needed, found {str(value)[:50]!r}")
    return str(value)


def count(value: Any) -> int | None:
    """Return a number of tokens; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MAX_COUNT:
        return None
    return int(value)


def duration(value: Any) -> float | None:
    """Return a duration in its own unit; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
        return None
    return float(value)


def received_ms(log: Mapping[str, Any], timestamp_ms: int) -> int:
    """
    Return when the log arrived: what the gateway says, else the broker's time, in Unix milliseconds.

    A time that no gateway can have seen, by the broker's clock, is not a gateway's.
    """
    broker_ms = max(timestamp_ms, 0)
    value = log.get("received_at")
    seconds = _iso_s(value) if isinstance(value, str) else None
    if seconds is None or not _is_sane(seconds, broker_ms):
        return broker_ms
    return round(seconds * 1000)


def created_ms(log: Mapping[str, Any], arrived_ms: int) -> tuple[int, Any]:
    """
    Return when the client says that the task was, in Unix milliseconds, and what it said where that is absurd.

    Before 2000 or more than a day ahead of its arrival is absurd: the time of arrival stands for it, so that one
    bad clock does not stretch every chart, and the original is kept beside it.
    """
    original = log.get("created_at") or log.get("client_created_at")
    seconds = _iso_s(original) if isinstance(original, str) else _number_s(original)
    if seconds is None or not _is_sane(seconds, arrived_ms):
        return arrived_ms, original
    return round(seconds * 1000), None


def _is_sane(seconds: float, arrived_ms: int) -> bool:
    """Tell whether a time is from 2000 on and at most a day ahead of the arrival, where that is known (not 0)."""
    newest_s = arrived_ms / 1000 + _MAX_AHEAD_S if arrived_ms else _NEWEST_S
    return _OLDEST_S <= seconds <= newest_s


def _number_s(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _iso_s(value: str) -> float | None:
    moment = parsed_time(value)
    return moment.timestamp() if moment else None
