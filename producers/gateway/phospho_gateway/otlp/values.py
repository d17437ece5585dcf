"""Values of attributes: JSON inside text, names with an index, and shortened copies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from phospho_gateway.otlp.spans import Attributes
from phospho_web.problems import Problem
from phospho_web.requests import parse_json

# An index of more digits is somebody's own name.
_MAX_INDEX_DIGITS = 6
_CUT = "…"
_JSON_STARTS = ("{", "[", '"{', '"[')
_JSON_START = re.compile(r'\s*(\{\s*"|\[\s*[{"\[]|"[{\[])')
_NUMBER = re.compile(r"\s*[0-9]{1,15}(\.[0-9]{0,15})?\s*")
_MAX_COUNT = 2**53


def json_value(value: Any) -> Any:
    """Return the object or list that a text, or each text of a list, holds as JSON; any other value as it is."""
    if isinstance(value, list):
        return [json_value(item) for item in value]
    if type(value) is not str or not value.lstrip().startswith(_JSON_STARTS):
        return value
    document = _parsed(value)
    # JSON of JSON.
    return json_value(document) if isinstance(document, str) and document is not value else document


def unquoted(value: Any) -> Any:
    """Return the text that a text holds as JSON; any other value as it is."""
    document = _parsed(value) if type(value) is str and value.startswith('"') else value
    return document if isinstance(document, str) else value


def _parsed(text: str) -> Any:
    """Return what a text holds as JSON, or the text itself."""
    try:
        return parse_json(text.encode("utf-8", "surrogatepass"))
    except Problem:
        return text


def json_object(value: Any) -> dict[str, Any]:
    """Return an object, or one in JSON; an empty one for all else."""
    document = json_value(value)
    return document if isinstance(document, dict) else {}


def json_objects(value: Any) -> list[dict[str, Any]]:
    """Return a list of objects, or one in JSON; an empty one for all else."""
    document = json_value(value)
    if not isinstance(document, list) or not all(isinstance(item, dict) for item in document):
        return []
    return document


def json_text(value: Any) -> str:
    """Return a text as it is, null as an empty one, and any other value as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else _encoded(value)


def is_cut_json(value: Any) -> bool:
    """Return True for a text that begins as a list or an object in JSON, and is not whole."""
    return isinstance(value, str) and _JSON_START.match(value) is not None and json_value(value) is value


def count_of(value: Any) -> int | None:
    """Return a whole number that is not negative: an integer, a double or digits; None for any other value."""
    if isinstance(value, str):
        value = float(value) if _NUMBER.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < _MAX_COUNT:
        return None
    return int(value) if value == int(value) else None


def indexed(attributes: Mapping[str, Any], prefix: str) -> list[Attributes]:
    """
    Return the objects that attributes spell out name by name, in the order of their index.

    `{"a.0.role": "user", "a.1.role": "tool"}` with the prefix `a.` gives `[{"role": "user"}, {"role": "tool"}]`.
    """
    objects: dict[int, Attributes] = {}
    for name, value in attributes.items():
        if name.startswith(prefix):
            index, _, rest = name[len(prefix) :].partition(".")
            if index.isdecimal() and len(index) <= _MAX_INDEX_DIGITS:
                objects.setdefault(int(index), {})[rest] = value
    return [objects[index] for index in sorted(objects)]


def bounded(value: Any, max_characters: int) -> Any:
    """Return a short value as it is, and the beginning of a longer one as text."""
    if isinstance(value, (list, dict)):
        text = _encoded(value)
        return value if len(text) <= max_characters else cut(text, max_characters)
    return cut(value, max_characters) if isinstance(value, str) else value


def cut(text: str, max_characters: int) -> str:
    """Return at most that many characters of a text, with a sign if there were more."""
    return text if len(text) <= max_characters else text[:max_characters] + _CUT


def _encoded(value: Any) -> str:
    """Return a value as JSON; if it nests deeper than orjson writes, only the sign that there was more."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return _CUT
