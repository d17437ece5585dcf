"""The bound of a task's metadata. Beyond it ClickHouse takes seconds for one row, and other projects wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MAX_METADATA_KEYS = 1000
# Extraction adds a few of its own to what the gateway accepted.
MAX_ROW_KEYS = MAX_METADATA_KEYS + 10


def has_too_many_keys(line: bytes, metadata: Callable[[], Any], max_keys: int = MAX_METADATA_KEYS) -> bool:
    """Tell whether metadata has more keys than it may. It is read only where its line of JSON has as many."""
    return line.count(b":") > max_keys and _keys(metadata()) > max_keys


def _keys(value: Any) -> int:
    """Return the number of keys in a value, at all levels."""
    if type(value) is dict:
        return len(value) + sum(map(_keys, value.values()))
    return sum(map(_keys, value)) if type(value) is list else 0
