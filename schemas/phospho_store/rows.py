"""From messages to the lines that ClickHouse inserts, and from its rows back to what messages read."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel


def json_lines(rows: Iterable[BaseModel]) -> bytes:
    """Return the rows as JSON lines; what is no Unicode becomes a question mark."""
    return b"\n".join(row.model_dump_json().encode("utf-8", "replace") for row in rows)


def with_zones(row: dict[str, object]) -> dict[str, object]:
    """Give ClickHouse's times their zone, which is always UTC here."""
    return {k: f"{v}Z" if k.endswith("_at") and isinstance(v, str) else v for k, v in row.items()}
