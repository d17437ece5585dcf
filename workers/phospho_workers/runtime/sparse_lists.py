"""
Lists that ClickHouse can't read in a bounded time.

These are lists of at least three levels that hold nulls or empty lists. ClickHouse 26.9 compares their types in a time
that grows exponentially with the levels: 24 levels of `[[..., null], null]` took 5 s, three levels with 1,000 nulls
each took 54 s and all memory. Meanwhile it stores no rows of any project.
"""

from __future__ import annotations

import json
import re
from typing import Any

from phospho_workers.runtime.json_bytes import encode

CONTAINERS = (list, dict)
_MAX_SPARSE_LIST_LEVELS = 2
# A list in a list. A line without two of them has no list of three levels and is not parsed.
_LIST_IN_LIST = re.compile(rb"[\[,]\s*(?=\[)")


def storable(value: Any) -> Any:
    """Return a list or object with each list that ClickHouse can't read as JSON text. Raises Rejected."""
    if type(value) is dict:
        return {key: storable(part) if type(part) in CONTAINERS else part for key, part in value.items()}
    levels = _list_levels(value)
    if levels > 1 and None in value and {type(part) for part in value} == {list, type(None)}:
        # ClickHouse itself stores a null among lists as an empty list.
        value = [[] if part is None else part for part in value]
    if levels > _MAX_SPARSE_LIST_LEVELS and has_gap(value):
        return encode(value).decode()
    return [storable(part) if type(part) in CONTAINERS else part for part in value]


def has_unreadable_lists(line: bytes) -> bool:
    """
    Tell whether the metadata of a row, given as its line of JSON, holds a list that ClickHouse can't read.

    True for a line that is not JSON, if it nests lists at all: ClickHouse reads more than our parser does.
    """
    if len(_LIST_IN_LIST.findall(line)) < _MAX_SPARSE_LIST_LEVELS:
        return False
    try:
        row = json.loads(line.decode("utf-8", "replace"), object_pairs_hook=_with_distinct_keys)
    except (ValueError, RecursionError):
        return True
    return type(row) is dict and any(_is_unreadable(value) for (name, _), value in row.items() if name == "metadata")


def _with_distinct_keys(pairs: list[tuple[str, Any]]) -> dict[tuple[str, int], Any]:
    """Return an object with all of its values: of two equal keys, ClickHouse takes the first and Python the last."""
    return {(key, index): value for index, (key, value) in enumerate(pairs)}


def _is_unreadable(value: Any) -> bool:
    if type(value) is dict:
        return any(map(_is_unreadable, value.values()))
    if type(value) is not list:
        return False
    if _list_levels(value) > _MAX_SPARSE_LIST_LEVELS and has_gap(value):
        return True
    return any(map(_is_unreadable, value))


def _list_levels(value: list[Any]) -> int:
    return 1 + max((_list_levels(part) for part in value if type(part) is list), default=0)


def has_gap(value: Any) -> bool:
    """Tell whether a value is null or an empty list, or holds one."""
    if type(value) is dict:
        return any(map(has_gap, value.values()))
    if type(value) is list:
        return not value or any(map(has_gap, value))
    return value is None
