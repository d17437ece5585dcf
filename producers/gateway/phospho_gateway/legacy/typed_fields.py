"""Fields of bodies that are of one type, or absent."""

from __future__ import annotations

from typing import Any

from phospho_web.bodies import json_type
from phospho_web.problems import Problem, invalid


def text_field(body: dict[str, Any], name: str) -> str | None:
    """Return a field that is text; None where it is absent or null. Raises Problem (422)."""
    value = body.get(name)
    if value is not None and type(value) is not str:
        raise invalid("invalid_type", f"{name} is {json_type(value)}", f"{name} must be a string")
    return value


def object_field(body: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a field that is an object; empty where it is absent or null. Raises Problem (422)."""
    value = body.get(name)
    if value is not None and type(value) is not dict:
        raise invalid("invalid_type", f"{name} is {json_type(value)}", f"{name} must be an object")
    return value or {}


def switch_field(body: dict[str, Any], name: str, default: bool) -> bool:
    """Return a field that is true or false. Raises Problem (422)."""
    value = body.get(name)
    if value is not None and type(value) is not bool:
        raise invalid("invalid_type", f"{name} is {json_type(value)}", f"{name} must be true or false")
    return default if value is None else value


def objects_field(body: dict[str, Any], name: str, max_length: int) -> list[dict[str, Any]]:
    """Return a field that is a list of at most `max_length` objects. Raises Problem (413, 422)."""
    value = body.get(name)
    if type(value) is not list or any(type(each) is not dict for each in value):
        raise invalid("invalid_body", f"{name} is not a list of objects", f'send {{"{name}": [...]}}')
    if len(value) > max_length:
        raise too_many(name, len(value), max_length)
    return value


def too_many(name: str, count: int, max_length: int) -> Problem:
    """Return the refusal of a list that is too long."""
    return Problem(413, "too_many_events", f"{name} holds {count} entries", f"send at most {max_length} in one request")
