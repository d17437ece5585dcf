"""Metadata of tasks as it was logged: the JSON column, or its text where the column can't hold it."""

from __future__ import annotations

from typing import Any

from phospho_store import exact_json
from phospho_store.sql import compose

_TEXT = "if($text = '', toString($metadata), $text)"


def metadata_text(table: str = "") -> str:
    """Return the expression of a task's metadata as JSON text, as it was logged."""
    prefix = f"{table}." if table else ""
    return compose(_TEXT, metadata=f"{prefix}metadata", text=f"{prefix}metadata_text")


def with_metadata_as_logged(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of `metadata` and `metadata_text` with the first as it was logged, without the second."""
    if text := row.pop("metadata_text"):
        row["metadata"] = exact_json.loads(text)
    return row
