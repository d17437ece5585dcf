"""Plain JSON values: snapshots of the app's objects, their size, and their bytes."""

from __future__ import annotations

import json
import os
from collections import ChainMap, UserDict, deque
from collections.abc import Iterable
from enum import Enum
from itertools import count, islice
from types import MappingProxyType, SimpleNamespace
from typing import Any

__all__ = ["MAPPINGS", "approximate_bytes", "copy_of", "encode", "text_of", "to_jsonable"]

# Deeper nesting is cut, and so is a graph of more values: nobody reads them, and a graph whose nodes refer to
# each other has more paths than any memory holds.
MAX_DEPTH = 32
MAX_VALUES = 100_000
# No more items of lists and dicts are read: the app's own `__iter__` may never end. This many take more than
# `Limits.event_bytes`, so no event that is sent is cut by it.
MAX_ITEMS = 1_000_000
# Of a larger NumPy array its `str` is kept, which leaves out the middle.
MAX_ARRAY_ITEMS = 10_000
CYCLE = "<cycle>"
CUT = "<cut>"

_PLAIN = (str, bool, type(None))
# Of another mapping its `str` is kept, which may hide secrets: HTTP headers hide their authorization.
MAPPINGS = (dict, MappingProxyType, UserDict, ChainMap)
_COLLECTIONS = (list, tuple, set, frozenset, deque, range, type({}.keys()), type({}.values()), type({}.items()))

# The server keeps every digit of whole numbers up to here, and refuses those beyond the range of a double.
_LARGEST_INT = 10**300
# Arguments that a client library of OpenAI's or Anthropic's making leaves out.
_ABSENT = ("NotGiven", "Omit")

# A plain object with one of these attributes is a response or message of a client library.
_MESSAGE_FIELDS = frozenset({"candidates", "choices", "content", "delta", "generations", "message", "messages", "role"})
_ROOTS = (list, str, int, float)
_DUMP_METHODS = ("model_dump", "to_dict", "dict", "_asdict")


def to_jsonable(value: Any, depth: int = MAX_DEPTH) -> Any:
    """
    Return a deep copy of *value* made of dicts, lists, strings, numbers, booleans and None.

    Pydantic models, dataclasses and the like become dicts, enums their value, and unknown objects their `str`.
    Decimals, fractions and NumPy's scalars become numbers, NumPy's arrays lists. Bytes become their JSON, their text or
    their size. NaN and the infinities, which JSON lacks, become their names, and whole numbers of more than 300 digits
    text. Iterators, which are the app's to read, become "<generator, not read>" and the like. An object inside itself
    becomes "<cycle>". Values after MAX_VALUES or below MAX_DEPTH levels become "<cut>".
    Items after MAX_ITEMS are left out. Never raises.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    return _Copy().of(value, depth)


class _Copy:
    """One snapshot: counts its values, and holds the ids of the objects that enclose the current one."""

    __slots__ = ("_inside", "_items_left", "_values")

    def __init__(self) -> None:
        self._values = 0
        self._items_left = MAX_ITEMS
        self._inside: set[int] = set()

    def of(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is int:
            return value if -_LARGEST_INT <= value <= _LARGEST_INT else text_of(value)
        if kind is float:
            return value if value - value == 0.0 else str(value)
        if depth <= 0:
            return CUT
        return self._within(value, depth)

    def _within(self, value: Any, depth: int) -> Any:
        """Copy a value that may hold others."""
        self._values += 1
        if self._values > MAX_VALUES:
            return CUT
        if id(value) in self._inside:
            return CYCLE
        self._inside.add(id(value))
        try:
            return self._container(value, depth)
        except Exception:  # the app's own code: a value that breaks while it is read harms itself only
            return text_of(value)
        finally:
            self._inside.discard(id(value))

    def _container(self, value: Any, depth: int) -> Any:
        if isinstance(value, type(os.environ)):  # its `str` shows the secrets too
            return f"<{type(value).__name__}>"
        if isinstance(value, MAPPINGS):
            return self._mapping(self._first_items(value.items()), depth)
        if isinstance(value, _COLLECTIONS) and not hasattr(type(value), "_asdict"):
            return [self.of(item, depth - 1) for item in self._first_items(value)]
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._bytes(bytes(value))
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return self.of(int.__int__(value), depth)
        if isinstance(value, float):
            return self.of(float.__float__(value), depth)
        if isinstance(value, Enum):
            return self.of(value.value, depth - 1)
        number = _number_or_list(value)
        if number is not None:
            return self.of(number, depth)
        dumped = _dump(value)
        if dumped is None:
            return f"<{type(value).__name__}, not read>" if _is_iterator(type(value)) else text_of(value)
        return self.of(dumped, depth - 1)

    def _mapping(self, items: list[Any], depth: int) -> dict[str, Any]:
        copies: dict[str, Any] = {}
        for key, value in items:
            if type(value).__name__ not in _ABSENT:
                copies[_name_of(key, copies)] = self.of(value, depth - 1)
        return copies

    def _first_items(self, items: Iterable[Any]) -> list[Any]:
        """Return a copy of *items*, at most as many as MAX_ITEMS leaves."""
        first_items = list(islice(items, self._items_left))
        self._items_left -= len(first_items)
        return first_items

    def _bytes(self, value: bytes) -> Any:
        try:
            return self.of(json.loads(value), MAX_DEPTH)
        except (ValueError, RecursionError):
            pass
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:  # a picture, a sound, a file
            return f"<{len(value)} bytes>"


def _name_of(key: Any, taken: dict[str, Any]) -> str:
    """Return a key as text, with its type where another key has the same text, and a number where a third has."""
    name = key if type(key) is str else text_of(key)
    if name not in taken:
        return name
    name = f"{name} ({type(key).__name__})"
    if name not in taken:
        return name
    # Counted from the key's position: many keys of one text take no time.
    numbered = (f"{name} {number}" for number in count(len(taken) + 1))
    return next(unused for unused in numbered if unused not in taken)


def _is_iterator(kind: type) -> bool:
    """Return whether values of this class yield others, and have no `str` that says more, as files do."""
    if not (hasattr(kind, "__next__") or hasattr(kind, "__anext__")):
        return False
    return kind.__module__ in ("builtins", "itertools") or kind.__repr__ is object.__repr__


def _dump(value: Any) -> Any:
    """Return the fields of an object that can be dumped, or what pydantic's RootModel holds; else None."""
    if isinstance(value, type):
        return None
    names = [name for name in _DUMP_METHODS if hasattr(type(value), name)]
    try:
        for name in names:
            fields = _dumped_by(getattr(value, name), name)
            if isinstance(fields, dict) or (name == "model_dump" and isinstance(fields, _ROOTS)):
                return fields
        if isinstance(value, SimpleNamespace) or _MESSAGE_FIELDS.intersection(getattr(value, "__dict__", ())):
            return dict(vars(value))
        if hasattr(type(value), "__dataclass_fields__"):
            return {name: getattr(value, name) for name in value.__dataclass_fields__}
    except Exception:  # the app's own code: the object still has a `str`
        pass
    return None


def _dumped_by(method: Any, name: str) -> Any:
    if name != "model_dump":
        return method()
    # Client libraries hold other types than their models declare: pydantic would warn the app, and leave fields out.
    for options in ({"warnings": False, "serialize_as_any": True}, {"warnings": False}):
        try:
            return method(**options)
        except Exception:
            continue
    return method()


def _number_or_list(value: Any) -> Any:
    """Return a number of the standard library or NumPy as int, float or bool, an array as a list; else None."""
    module = type(value).__module__
    if module in ("decimal", "fractions"):
        return int(value) if value == value and value % 1 == 0 else float(value)
    if module.partition(".")[0] == "numpy" and hasattr(type(value), "tolist"):
        return value.tolist() if value.size <= MAX_ARRAY_ITEMS else None
    return None


def text_of(value: Any) -> str:
    """Return the `str` of any value, as a plain `str`. Never raises."""
    try:
        # The methods of a subclass may do anything: take its characters.
        return str.__str__(value if issubclass(type(value), str) else str(value))
    except Exception:  # the app's own `__str__`
        return f"<{type(value).__name__}>"


def copy_of(value: Any) -> Any:
    """Return a deep copy of *value*, as made by `to_jsonable`."""
    if type(value) is dict:
        return {key: copy_of(item) for key, item in value.items()}
    if type(value) is list:
        return [copy_of(item) for item in value]
    return value


def approximate_bytes(value: Any) -> int:
    """Return the estimated size of *value*, as made by `to_jsonable`, as JSON. Escapes are not counted."""
    if isinstance(value, str):
        return len(value) + 3
    if isinstance(value, dict):
        return 2 + sum([len(key) + 4 + approximate_bytes(item) for key, item in value.items()])
    if isinstance(value, list):
        items: list[Any] = value
        return 2 + sum([1 + approximate_bytes(item) for item in items])
    return 8


def encode(content: Any) -> bytes:
    """Return *content* as compact JSON in UTF-8. Lone surrogates, which UTF-8 lacks, become `?`."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
