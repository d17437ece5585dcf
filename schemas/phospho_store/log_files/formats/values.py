"""Readers of values that several export formats share."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from phospho_schemas.times import parsed_time

Record = Mapping[str, Any]
Event = dict[str, Any]

_NO_VALUES: tuple[object, ...] = (None, "", {}, [])
_HUMP = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(frozen=True)
class Format:
    """One kind of export. `events_of` returns nothing for a record that is no task; `label` is for people."""

    label: str
    recognises: Callable[[Record], bool]
    events_of: Callable[[Record], Sequence[Event]]


def at_most_one(event_of: Callable[[Record], Event | None]) -> Callable[[Record], Sequence[Event]]:
    """Return `events_of` of a format whose record is one task, or none."""

    def events_of(record: Record) -> Sequence[Event]:
        event = event_of(record)
        return () if event is None else (event,)

    return events_of


def snake_cased(record: Record) -> Record:
    """Return a record under snake_case names: exports come by API (camelCase) and by bulk (snake_case)."""
    return {_HUMP.sub("_", name).lower() if not name.isupper() else name.lower(): v for name, v in record.items()}


def unpacked(value: Any) -> Any:
    """Return what a cell's JSON text holds, where it is that of an object or a list; else the value."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def unix_seconds(value: Any) -> float | None:
    """Return a time as Unix seconds: ISO 8601 (UTC where it names no zone), seconds or milliseconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value / 1000 if value > 1e11 else float(value)
    moment = parsed_time(str(value))
    return moment.timestamp() if moment else None


def elapsed_ms(start: Any, end: Any) -> float | None:
    """Return the milliseconds between two times; None where one is not known or they run backwards."""
    begun_s, ended_s = unix_seconds(start), unix_seconds(end)
    if begun_s is None or ended_s is None or ended_s < begun_s:
        return None
    return round((ended_s - begun_s) * 1000, 3)


def whole_number(value: Any) -> int | None:
    """Return a count, also from a cell of text; None for what is none."""
    try:
        number = int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number >= 0 else None


def stated(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that say something."""
    return {name: value for name, value in fields.items() if value not in _NO_VALUES}
