"""The SQL of a chart that a person runs: over the views, with its values written out; and a panel of Grafana."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from phospho_dashboard.queries.filters import SEARCH, Scope
from phospho_dashboard.queries.periods import Span
from phospho_store.sql.metric_rows import FILTERS, view_rows
from phospho_store.sql.metrics import METRICS, Question

_PARAMETER = re.compile(r"\{(\w+):[\w()]+\}")
_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}
_OF_PROJECT = "project_id = {project:String}"
_GRAFANA_TIME = "$__timeFilter_ms(created_at)"
_UNITS = {"percent": "percentunit", "ms": "ms", "money": "none", "count": "short", "score": "none", "number": "short"}
_DATA_SOURCE = {"type": "grafana-clickhouse-datasource", "uid": "clickhouse"}


def chart_sql(question: Question, scope: Scope, prices: Mapping[str, Any]) -> str:
    """Return the SELECT of a question over the views, for `phospho query` and `POST /api/v1/sql`."""
    times = _times(scope.span)
    return _over_views(question, scope, prices, " AND ".join([_OF_PROJECT, *times]))


def grafana_panel(title: str, question: Question, scope: Scope, prices: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON of a panel, whose time is the dashboard's. Paste it into a dashboard with Edit, Add, Paste."""
    sql = _over_views(question, scope, prices, f"{_OF_PROJECT} AND {_GRAFANA_TIME}")
    columns = [name for name, is_set in (("time", question.interval), ("value", question.by)) if is_set]
    kind = "timeseries" if question.interval else "table" if question.by else "stat"
    target = {
        "refId": "A",
        "datasource": _DATA_SOURCE,
        "editorType": "sql",
        "queryType": "timeseries" if question.interval else "table",
        "format": 0 if question.interval else 1,
        "rawSql": f"SELECT {', '.join([*columns, question.metric])} FROM ({sql})",
    }
    unit = _UNITS[METRICS[question.metric].unit]
    return {
        "type": kind,
        "title": title,
        "datasource": _DATA_SOURCE,
        "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8},
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "targets": [target],
    }


def written_out(sql: str, parameters: Mapping[str, Any]) -> str:
    """Return a query with its parameters as literals. What a value holds is never read as SQL or as a parameter."""
    return _PARAMETER.sub(lambda parameter: _literal(parameters[parameter[1]]), sql)


def _over_views(question: Question, scope: Scope, prices: Mapping[str, Any], condition: str) -> str:
    filters = [name for name in scope.filters.narrowing() if name in FILTERS]
    also = " AND ".join([*([SEARCH] if scope.filters.q else []), *scope.filters.of_views()]) or "1"
    sql = question.sql(view_rows(condition, question.columns, filters, also))
    return written_out(sql, scope.parameters(**question.parameters, **prices))


def _times(span: Span) -> list[str]:
    ends = ((">=", span.start_ms), ("<", span.end_ms))
    return [f"created_at {sign} {_time(time_ms)}" for sign, time_ms in ends if time_ms is not None]


def _time(time_ms: int) -> str:
    at = datetime.fromtimestamp(time_ms / 1000, UTC)
    return f"toDateTime64('{at:%Y-%m-%d %H:%M:%S}.{time_ms % 1000:03}', 3, 'UTC')"


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return f"'{''.join(_ESCAPES.get(character, character) for character in value)}'"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_literal, value))}]"
    return repr(value)
