"""Metadata of a task, in a form that ClickHouse can store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from phospho_workers.extraction.shapes.content import json_text

# Keys of columns and of the envelope. Any other key becomes metadata.
_COLUMN_KEYS = frozenset(
    {
        "schema_version", "kind", "project_id", "input", "output", "session_id", "task_id", "event_id", "user_id",
        "version_id", "client_created_at", "created_at", "last_update", "raw_input", "raw_output",
        "raw_input_type_name", "raw_output_type_name", "system_prompt", "flag", "metadata", "received_at",
        "revision", "source", "model",
    }
)  # fmt: skip
_CONTAINERS = (list, dict)
_MAX_SPARSE_LIST_LEVELS = 2


def task_metadata(fields: Mapping[str, Any], implausible_time: Any) -> dict[str, Any]:
    """Return the given metadata with every unknown key of the log, and the client's time where it is implausible."""
    given = fields.get("metadata") or {}
    metadata = dict(given) if isinstance(given, dict) else {"metadata": given}
    for key, value in fields.items():
        if key not in _COLUMN_KEYS and value is not None:
            metadata.setdefault(key, value)
    if implausible_time is not None:
        metadata["client_created_at"] = implausible_time
    return {key: _storable(value) if type(value) in _CONTAINERS else value for key, value in metadata.items()}


def _storable(value: Any) -> Any:
    """
    Return a list or object with each list that ClickHouse can't read in a bounded time as JSON text.

    These are lists of at least three levels that hold nulls or empty lists. ClickHouse 26.9 compares their types in a
    time that grows exponentially with the levels: 24 levels of `[[..., null], null]` took 5 s, three levels with 1,000
    nulls each took 54 s and all memory. Meanwhile it stores no rows of any project.
    """
    if type(value) is dict:
        return {key: _storable(part) if type(part) in _CONTAINERS else part for key, part in value.items()}
    levels = _list_levels(value)
    if levels > 1 and None in value and {type(part) for part in value} == {list, type(None)}:
        # ClickHouse itself stores a null among lists as an empty list.
        value = [[] if part is None else part for part in value]
    if levels > _MAX_SPARSE_LIST_LEVELS:
        text = json_text(value)
        if "null" in text or "[]" in text:
            return text
    return [_storable(part) if type(part) in _CONTAINERS else part for part in value]


def _list_levels(value: list[Any]) -> int:
    return 1 + max((_list_levels(part) for part in value if type(part) is list), default=0)
