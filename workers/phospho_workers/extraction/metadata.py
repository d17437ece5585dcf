"""Metadata of a task: what goes into its JSON column, and its text where the column would change it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from phospho_schemas.shapes.media import described
from phospho_store.exact_json import has_large_number
from phospho_workers.runtime.json_bytes import decode_exactly, encode
from phospho_workers.runtime.sparse_lists import CONTAINERS, has_gap, storable

# Keys of columns and of the envelope. Any other key becomes metadata.
_COLUMN_KEYS = frozenset(
    {
        "schema_version", "kind", "project_id", "input", "output", "session_id", "task_id", "event_id", "user_id",
        "version_id", "client_created_at", "created_at", "last_update", "raw_input", "raw_output",
        "raw_input_type_name", "raw_output_type_name", "system_prompt", "flag", "metadata", "received_at",
        "revision", "source", "model", "whole_log_id",
    }
)  # fmt: skip
# A double has all integers up to this one.
_MAX_EXACT = 2**53
_LEAST, _GREATEST = -(2**63), 2**64 - 1


def task_metadata(fields: Mapping[str, Any], implausible_time: Any) -> dict[str, Any]:
    """
    Return the given metadata with every unknown key of the log, and the client's time where it is implausible.

    Base64 is described, as it is in inputs and outputs.
    """
    given = fields.get("metadata") or {}
    metadata = dict(given) if isinstance(given, dict) else {"metadata": given}
    for key, value in fields.items():
        if key not in _COLUMN_KEYS and value is not None:
            metadata.setdefault(key, value)
    if implausible_time is not None:
        metadata["client_created_at"] = implausible_time
    described_metadata: dict[str, Any] = described(metadata)
    return described_metadata


def metadata_columns(metadata: dict[str, Any], implausible_time: Any, line: bytes) -> dict[str, Any]:
    """
    Return the columns of metadata that was read from a log: `metadata`, and `metadata_text` where it is needed.

    `line` is the log as it came, which has the digits of large integers. Raises Rejected.
    """
    if _is_held(metadata):
        return {"metadata": metadata}
    stored = {key: storable(value) if type(value) in CONTAINERS else value for key, value in metadata.items()}
    if has_large_number(metadata):
        metadata = task_metadata(decode_exactly(line), implausible_time)
    return {"metadata": stored, "metadata_text": encode(metadata).decode()}


def _is_held(value: dict[str, Any]) -> bool:
    """
    Tell whether a column of JSON gives an object back as it is.

    Its keys are paths, so that a dot divides one; null and empty objects have no path, and numbers 64 bits.
    """
    for key, part in value.items():
        kind = type(part)
        if "." in key or part is None or (kind is float and not _LEAST < part < _GREATEST):
            return False
        if kind is dict and not (part and _is_held(part)):
            return False
        if kind is list and not _is_list_held(part):
            return False
    return True


def _is_list_held(value: list[Any]) -> bool:
    """Tell whether it gives a list back: the items of one list, and of the lists within it, become one type."""
    objects: list[dict[str, Any]] = []
    scalars: list[Any] = []
    if _flatten(value, scalars, objects) and has_gap(value):
        return False
    kinds = {type(scalar) for scalar in scalars} - {type(None)}
    if bool in kinds and len(kinds) > 1:
        return False
    numbers = [scalar for scalar in scalars if type(scalar) in (int, float)]
    if float in kinds and not all(-_MAX_EXACT <= number <= _MAX_EXACT for number in numbers):
        return False
    return all(map(_is_held, objects))


def _flatten(value: list[Any], scalars: list[Any], objects: list[dict[str, Any]]) -> bool:
    """Collect what a list and the lists within it hold, and tell whether there are any within."""
    is_nested = False
    for part in value:
        if type(part) is list:
            is_nested = True
            _flatten(part, scalars, objects)
        elif type(part) is dict:
            objects.append(part)
        else:
            scalars.append(part)
    return is_nested
