"""Values of attributes: JSON inside text, names with an index in them, and copies within a bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from phospho_gateway.otlp.spans import Attributes
from phospho_web.bodies import parse_json
from phospho_web.problems import Problem

# An index of more digits is somebody's own name.
_MAX_INDEX_DIGITS = 6
_CUT = "…"


def json_value(value: Any) -> Any:
    """Return what a text says in JSON, where it holds an object or a list; any other value as it is."""
    if type(value) is not str or value[:1] not in ("{", "["):
        return value
    try:
        return parse_json(value.encode("utf-8", "surrogatepass"))
    except Problem:
        return value


def json_object(value: Any) -> dict[str, Any]:
    """Return an object, or one in JSON; an empty one for all else."""
    found = json_value(value)
    return found if isinstance(found, dict) else {}


def json_objects(value: Any) -> list[dict[str, Any]]:
    """Return a list of objects, or one in JSON; an empty one for all else."""
    found = json_value(value)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        return []
    return found


def json_text(value: Any) -> str:
    """Return a text as it is, null as an empty one, and any other value as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else _encoded(value)


def indexed(attributes: Mapping[str, Any], prefix: str) -> list[Attributes]:
    """
    Return the objects that attributes spell out name by name, in the order of their index.

    `{"a.0.role": "user", "a.1.role": "tool"}` with the prefix `a.` gives `[{"role": "user"}, {"role": "tool"}]`.
    """
    found: dict[int, Attributes] = {}
    for name, value in attributes.items():
        if name.startswith(prefix):
            index, _, rest = name[len(prefix) :].partition(".")
            if index.isdecimal() and len(index) <= _MAX_INDEX_DIGITS:
                found.setdefault(int(index), {})[rest] = value
    return [found[index] for index in sorted(found)]


def bounded(value: Any, max_characters: int) -> Any:
    """Return a value as it is where it is short, else the beginning of its text."""
    if isinstance(value, (list, dict)):
        text = _encoded(value)
        return value if len(text) <= max_characters else cut(text, max_characters)
    return cut(value, max_characters) if isinstance(value, str) else value


def cut(text: str, max_characters: int) -> str:
    """Return a text of at most that many characters, and a sign that there was more."""
    return text if len(text) <= max_characters else text[:max_characters] + _CUT


def _encoded(value: Any) -> str:
    """Return a value as JSON; only the sign that there was more where it nests deeper than orjson writes."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return _CUT
