"""Results of users' SQL for people: the first rows as a table with a chart, all rows as CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import orjson

from phospho_dashboard.web.formats import FORMULA

MAX_ROWS = 500
MAX_CELL_CHARACTERS = 300
# As many as there are colors.
_MAX_SERIES = 6
_MAX_BARS = 60
_NUMBER = re.compile(r"(?:U?Int|Float|BFloat|Decimal)\d*.*")
_TIME = re.compile(r"Date.*")
_WRAPPED = re.compile(r"(?:Nullable|LowCardinality)\((.*)\)")


def page_result(body: bytes, chart: str) -> dict[str, Any]:
    """
    Return the first MAX_ROWS rows of a result in JSONCompact, for the template; it holds one more where there are more.

    The first column is the x of the chart; the first numeric ones after it are its series. `chart` is the chart's
    kind, or empty where there is none to draw.
    """
    result = orjson.loads(body)
    rows = result["data"][:MAX_ROWS]
    columns = [_column(column) for column in result["meta"]]
    series = [column for column in columns[1:] if column["is_number"]][:_MAX_SERIES]
    for column in series:
        column["is_drawn"] = True
    is_time = bool(columns) and columns[0]["is_time"]
    return {
        "columns": columns,
        "rows": [[_cell(value) for value in row] for row in rows],
        "is_cut": len(result["data"]) > MAX_ROWS,
        "chart": _kind(chart, len(rows), is_time=is_time) if series and len(rows) > 1 else "",
        "is_time": is_time,
    }


def csv_file(body: bytes) -> bytes:
    """Return a result in JSONCompact as CSV, with a quote before each text that a spreadsheet would run."""
    result = orjson.loads(body)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_without_formula(column["name"]) for column in result["meta"])
    writer.writerows([_without_formula(_text(value)) if isinstance(value, str) else _text(value) for value in row]
                     for row in result["data"])  # fmt: skip
    return text.getvalue().encode("utf-8", "replace")


def _column(meta: dict[str, str]) -> dict[str, Any]:
    plain_type = meta["type"]
    while match := _WRAPPED.fullmatch(plain_type):
        plain_type = match[1]
    is_number, is_time = bool(_NUMBER.fullmatch(plain_type)), bool(_TIME.fullmatch(plain_type))
    return {**meta, "is_number": is_number, "is_time": is_time, "is_drawn": False}


def _kind(chart: str, rows: int, *, is_time: bool) -> str:
    if chart == "auto":
        return "line" if is_time else "bar" if rows <= _MAX_BARS else ""
    return "" if chart == "none" else chart


def _cell(value: Any) -> dict[str, Any]:
    text = _text(value)
    shown_text = text if len(text) <= MAX_CELL_CHARACTERS else text[:MAX_CELL_CHARACTERS] + "…"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"text": shown_text, "value": value if is_number else "", "is_null": value is None}


def _text(value: Any) -> str:
    """Return a value as text: nothing for null, JSON for what is no text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _without_formula(text: str) -> str:
    return f"'{text}" if re.match(FORMULA, text) else text
