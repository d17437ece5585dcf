"""Functions that apps import from upstream's module of this name. Nothing else belongs here."""

from __future__ import annotations

import json
import time
from typing import Any

from ._capture.generators import MutableAsyncGenerator, MutableGenerator
from ._content.json_values import to_jsonable
from ._ids import new_id, new_version_id

__all__ = [
    "MutableAsyncGenerator",
    "MutableGenerator",
    "convert_content_to_loggable_content",
    "filter_nonjsonable_keys",
    "generate_timestamp",
    "generate_uuid",
    "generate_version_id",
    "is_jsonable",
]

convert_content_to_loggable_content = to_jsonable
generate_version_id = new_version_id


def generate_timestamp() -> int:
    """Return the time in Unix seconds."""
    return int(time.time())


def generate_uuid(prefix: str = "") -> str:
    """Return *prefix* and 32 hexadecimal digits, which sort by time."""
    return prefix + new_id().replace("-", "")


def is_jsonable(value: Any) -> bool:
    """Return whether `json.dumps` takes *value* as it is."""
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def filter_nonjsonable_keys(arg_dict: dict[Any, Any], verbose: bool = False) -> dict[Any, Any]:
    """Return the items of *arg_dict* that `json.dumps` takes. *verbose* is accepted and does nothing."""
    return {key: value for key, value in arg_dict.items() if is_jsonable(value)}
