"""The times of a file's tasks: Unix seconds or milliseconds, ISO 8601, or a date format that the caller names."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from phospho_schemas.times import is_plausible, parsed_time, unix_s
from phospho_store.log_files.records import NoEvent

TIME_FIELDS = ("client_created_at", "created_at")
# Numbers in this range are milliseconds: 1973 to 2286. As seconds they are beyond the calendar of ClickHouse.
_IN_MS = 1e11
_MAX_MS = 1e13
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_ADVICE = (
    "give ISO 8601, such as 2026-03-03T10:30:00Z, or Unix seconds; in a spreadsheet, format the column as"
    " yyyy-mm-dd hh:mm:ss"
)
_DATES = {"%d{0}%m{0}%Y": "day first", "%m{0}%d{0}%Y": "month first", "%Y{0}%m{0}%d": "year first"}
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", ", %H:%M", ", %I:%M:%S %p")
_SEPARATED_DATE = re.compile(r"\d{1,4}([/.-])\d{1,2}\1\d{1,4}")


class TaskTimes:
    """
    Reads the times of tasks. `date_format` is strptime's, for texts that are in no standard form.

    `begun_ms` is when the import began: no task may be from later. A time that names no zone is in UTC.
    """

    def __init__(self, begun_ms: int, date_format: str | None = None) -> None:
        self._begun_ms = begun_ms
        self._date_format = date_format

    def bring_into_form(self, event: dict[str, Any]) -> bool:
        """Write milliseconds as seconds, and texts as the API takes them. Returns whether the event changed."""
        before = {name: event.get(name) for name in TIME_FIELDS}
        for name, value in before.items():
            if isinstance(value, int | float) and _IN_MS <= value < _MAX_MS:
                event[name] = value / 1000
            elif isinstance(value, str) and self._date_format is not None:
                event[name] = self._formatted(name, value, self._date_format)
        moment = event.get("client_created_at")
        if isinstance(moment, str) and _ISO_DATE.match(moment) and event.get("created_at") is None:
            event["created_at"] = event.pop("client_created_at")
        return before != {name: event.get(name) for name in TIME_FIELDS}

    def check(self, event: dict[str, Any]) -> None:
        """Refuse a time that the server would replace with the arrival. Leaves to the server what is no time at all."""
        for name in TIME_FIELDS:
            value = event.get(name)
            if isinstance(value, str):
                if moment := parsed_time(value):
                    self._check_plausible(name, value, moment.timestamp())
                elif formats := fitting_formats(value):
                    raise _without_format(name, value, formats)
            elif isinstance(value, int | float) and not isinstance(value, bool):
                self._check_plausible(name, value, unix_s(value))

    def of_cell(self, name: str, text: str) -> float:
        """Return the Unix seconds of a cell. Raises NoEvent."""
        if self._date_format is not None:
            return self._formatted(name, text, self._date_format)
        moment = parsed_time(text) if _ISO_DATE.match(text) else _of_seconds(text)
        if moment is None:
            if formats := fitting_formats(text):
                raise _without_format(name, text, formats)
            raise NoEvent(f"{name} {text[:40]!r} is neither Unix seconds nor ISO 8601; {_ADVICE}")
        self._check_plausible(name, text, moment.timestamp())
        return moment.timestamp()

    def _formatted(self, name: str, text: str, date_format: str) -> float:
        moment = _strptime(text.strip(), date_format)
        if moment is None:
            raise NoEvent(f"{name} {text[:40]!r} is not of the form {date_format!r}", " that --date-format names")
        self._check_plausible(name, text, moment.timestamp())
        return moment.timestamp()

    def _check_plausible(self, name: str, value: Any, time_s: float) -> None:
        if not is_plausible(time_s, self._begun_ms):
            raise NoEvent(f"{name} {str(value)[:40]!r} is before the year 2000 or in the future; {_ADVICE}")


def _of_seconds(text: str) -> datetime | None:
    try:
        seconds = float(text)
        return datetime.fromtimestamp(seconds / 1000 if _IN_MS <= seconds < _MAX_MS else seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _strptime(text: str, date_format: str) -> datetime | None:
    """Return the time of a text in this format, in UTC where it names no zone; None where it is in another form."""
    try:
        moment = datetime.strptime(text, date_format)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def fitting_formats(text: str) -> dict[str, str]:
    """Return the date formats that a text may be in, with the order of each; two where day and month are in doubt."""
    text = text.strip()
    if not (date := _SEPARATED_DATE.match(text)):
        return {}
    formats = {order.format(date[1]) + clock: label for order, label in _DATES.items() for clock in _CLOCKS}
    return {each: label for each, label in formats.items() if _strptime(text, each) is not None}


def _without_format(name: str, text: str, formats: dict[str, str]) -> NoEvent:
    """Return the error that asks for the format of a date."""
    options = " or ".join(f"--date-format '{each}' ({label})" for each, label in formats.items())
    state = "may be day or month first" if len(formats) > 1 else "is not ISO 8601"
    return NoEvent(f"{name} {text[:40]!r} {state}", f"; give {options}")
