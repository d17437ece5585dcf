"""
The fields of an event or a feedback, checked one by one.

Each function takes the message that is being built, a flat dictionary, checks a field in place, and raises Problem
(422) that names the field and what it should be. Null is the same as absent everywhere.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from phospho_schemas.times import client_time, is_plausible, unix_s, utc_text
from phospho_web.problems import Problem, invalid
from phospho_web.requests import json_type

MAX_ID_CHARACTERS = 512
_FLAGS = ("success", "failure")


def check_identifier(message: dict[str, Any], name: str) -> str:
    """Return an id, empty where there is none. A number is taken as its digits; null and "" are dropped."""
    value = message.get(name)
    if type(value) is str and value:
        if len(value) > MAX_ID_CHARACTERS:
            raise invalid(
                "id_too_long",
                f"{name} has {len(value)} characters",
                f"use at most {MAX_ID_CHARACTERS} characters",
            )
        if "\0" in value:
            raise invalid("invalid_id", f"{name} holds a NUL character", "leave it out")
        return value
    if value is None or value == "":
        message.pop(name, None)
        return ""
    if type(value) is not int:
        raise _wrong_type(name, value, "a string")
    message[name] = str(value)
    return str(value)


def check_text(message: dict[str, Any], name: str) -> None:
    """Check a field that is text or absent."""
    value = message.get(name)
    if value is not None and type(value) is not str:
        raise _wrong_type(name, value, "a string")


def check_content(message: dict[str, Any], name: str) -> None:
    """Check an input or output: text, or an object or list that extraction reads; null is none."""
    value = message.get(name)
    if value is not None and type(value) not in (str, dict, list):
        raise _wrong_type(name, value, "a string, an object or a list")


def check_flag(message: dict[str, Any]) -> None:
    """Check a flag: success, failure, or none."""
    value = message.get("flag")
    if value is None or value in _FLAGS:
        return
    if value == "":
        del message["flag"]
        return
    raise invalid("invalid_flag", "flag is neither success nor failure", 'use "success", "failure" or null')


def check_metadata(message: dict[str, Any]) -> None:
    """Check metadata: an object, or absent."""
    value = message.get("metadata")
    if value is None:
        message.pop("metadata", None)
    elif type(value) is not dict:
        raise _wrong_type("metadata", value, "an object")


def check_times(message: dict[str, Any]) -> None:
    """Check both times (ISO 8601, or Unix seconds and smaller units), and bring those that are text into one form."""
    seconds = message.get("client_created_at")
    if type(seconds) is str and (parsed := client_time(seconds)):
        message["client_created_at"] = parsed.timestamp()
    elif seconds is not None and type(seconds) not in (int, float):
        raise _wrong_type("client_created_at", seconds, "ISO 8601, or a number of Unix seconds")
    moment = message.get("created_at")
    if moment is not None:
        _bring_into_form(message, moment)


def created_at(message: dict[str, Any], received_at: datetime) -> datetime:
    """Return the client's time, or the time of arrival if it is missing or out of range, as extraction does."""
    if text := message.get("created_at"):
        moment = datetime.fromisoformat(text)
    elif (seconds := message.get("client_created_at")) is not None:
        moment = _moment(seconds) or received_at
    else:
        return received_at
    return moment if is_plausible(moment.timestamp(), round(received_at.timestamp() * 1000)) else received_at


def _bring_into_form(message: dict[str, Any], moment: Any) -> None:
    parsed = client_time(moment) if type(moment) is str else _moment(moment) if type(moment) in (int, float) else None
    if parsed is None:
        raise invalid(
            "invalid_time",
            "created_at is not a time",
            "use ISO 8601, such as 2026-03-03T10:30:00Z, or Unix seconds",
        )
    message["created_at"] = utc_text(parsed)


def _moment(seconds: float) -> datetime | None:
    """Return a Unix time to the nearest millisecond, as extraction has it; None beyond the calendar."""
    try:
        return datetime.fromtimestamp(round(unix_s(seconds) * 1000) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _wrong_type(name: str, value: Any, wanted: str) -> Problem:
    return invalid("invalid_type", f"{name} is {json_type(value)}", f"{name} must be {wanted}")
