"""Times from ClickHouse for people: whole milliseconds in, ISO 8601 out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from phospho_schemas.times import utc_text


def with_times(row: dict[str, Any]) -> dict[str, Any]:
    """Return `row` with each `x_at_ms` (Unix milliseconds) as `x_at`: 2026-01-31T23:59:59.000Z, or None."""
    return dict(_readable(name, value) for name, value in row.items())


def _readable(name: str, value: Any) -> tuple[str, Any]:
    if not name.endswith("_at_ms"):
        return name, value
    return name.removesuffix("_ms"), iso_time(value) if value is not None else None


def iso_time(time_ms: int) -> str:
    """Return Unix milliseconds as ISO 8601 in UTC."""
    return utc_text(datetime.fromtimestamp(time_ms / 1000, UTC))
