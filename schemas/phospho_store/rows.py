"""Conversion between messages and the JSON lines and rows of ClickHouse."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)


def json_lines(rows: Iterable[BaseModel]) -> bytes:
    """Return the rows as JSON lines; what is no Unicode becomes a question mark."""
    return b"\n".join(row.model_dump_json().encode("utf-8", "replace") for row in rows)


def parsed_rows(model: type[M], rows: Iterable[dict[str, Any]]) -> list[M]:
    """Return rows of ClickHouse as messages of `model`."""
    return [model.model_validate(_with_zones(row)) for row in rows]


def _with_zones(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with the zone of its times, which ClickHouse leaves out; it is UTC in all of our tables."""
    return {
        name: f"{value}Z" if name.endswith("_at") and isinstance(value, str) else value for name, value in row.items()
    }
