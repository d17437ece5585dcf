"""Fields of dicts and objects, read alike and without ever raising."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from typing import Any, cast

from .json_values import MAX_ITEMS

__all__ = ["as_list", "first_item", "has_every_attribute", "list_field", "parsed", "read"]

# An attribute that no class defines: an object that has it makes up attributes as they are asked for.
_UNDEFINED_ATTRIBUTE = "phospho_attribute_that_no_class_defines"


def parsed(value: Any) -> Any:
    """Return the JSON in bytes, or in one line of server-sent events; other bytes as text."""
    if not isinstance(value, (bytes, bytearray)):
        return value
    text = bytes(value).decode("utf-8", "replace").strip()
    text = text[5:].strip() if text.startswith("data:") else text
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return document if isinstance(document, (dict, list)) else text


def read(value: Any, field: str) -> Any:
    """Return a key of a dict or an attribute of an object, or None. Never raises."""
    if value is None or isinstance(value, (str, bytes, int, float, list, tuple)):
        return None
    try:
        if isinstance(value, dict):
            return value.get(field)
        return None if has_every_attribute(value) else getattr(value, field, None)
    except Exception:  # a property of the app's object
        return None


def has_every_attribute(value: Any) -> bool:
    """
    Return whether *value* has an attribute of any name, as mocks and proxies of remote objects have.

    The attributes of such an object say nothing about its shape, and each has every attribute again.
    """
    return hasattr(type(value), "__getattr__") and hasattr(value, _UNDEFINED_ATTRIBUTE)


def list_field(value: Any, field: str) -> Sequence[Any]:
    """Return the list in *field*, empty if there is none."""
    return as_list(read(value, field))


def as_list(value: Any) -> Sequence[Any]:
    """Return *value* if it is a list or tuple, else an empty one; of a subclass the first MAX_ITEMS."""
    if type(value) in (list, tuple):
        return cast("Sequence[Any]", value)
    return list(islice(value, MAX_ITEMS)) if isinstance(value, (list, tuple)) else ()


def first_item(value: Any, field: str) -> Any:
    """Return the first item of the list in *field*, or None."""
    values = list_field(value, field)
    return values[0] if values else None
