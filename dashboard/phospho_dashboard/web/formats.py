"""Numbers and times for people. A number that is None is a dash: nothing was measured, which is not zero."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from phospho_schemas.times import utc_text

NOTHING = "–"
# The beginning of a text that a spreadsheet would run: OWASP lists these characters under "CSV Injection".
FORMULA = r"^[=+\-@＝＋－＠\t\r\n]"


def format_number(number: float | None, style: str) -> str:
    """Return `number` as a count, a compact count, a percent (of 1) or a time in ms."""
    if number is None:
        return NOTHING
    return {"count": _count, "compact": _compact, "percent": _percent, "ms": _ms}[style](number)


def money(amount: float | None, currency: str) -> str:
    """Return an amount with two digits, or with as many as it takes to show two that count."""
    if amount is None:
        return NOTHING
    digits = 2 if amount >= 1 or amount <= 0 else 4 if amount >= 0.01 else 6
    return f"{amount:,.{digits}f} {currency}"


def format_measure(number: float | None, unit: str, currency: str = "") -> str:
    """Return the number of a metric in its unit."""
    if number is None:
        return NOTHING
    if unit == "money":
        return money(number, currency)
    return {"score": lambda value: f"{value:+.2f}", "number": lambda value: f"{value:,.6g}"}.get(
        unit, lambda value: format_number(value, unit)
    )(number)


def _count(number: float) -> str:
    return f"{number:,.0f}"


def _compact(number: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= size:
            divisor = 1e3 if unit == "k" else size
            return f"{number / divisor:,.1f}{unit}"
    return _count(number)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _ms(time_ms: float) -> str:
    if time_ms >= 60_000:
        return f"{time_ms / 60_000:,.1f} min"
    return f"{time_ms / 1000:.1f} s" if time_ms >= 1000 else f"{time_ms:.0f} ms"


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
