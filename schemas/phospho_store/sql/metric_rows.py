"""
The rows of a metric: one a task, with the columns that its question needs, from facts or from the views.

Both have the same columns and the same numbers. Facts are read within a scope, the views by anybody's SQL.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from phospho_store.sql import compose
from phospho_store.sql.analysed import TaskScope, analysed, flagged_tasks
from phospho_store.sql.corrections import NO_CORRECTIONS, Corrections
from phospho_store.sql.feedback import feedback_of_span
from phospho_store.sql.themes import NO_THEME, theme_of

# Columns of `task_rows`, and of the view `tasks`.
_METADATA = "toString(getSubcolumn(metadata, {$key:String})) AS $name"
_OF_TASKS = {
    "session_id": "session_id",
    "user_id": "user_id",
    "version_id": "toString(version_id) AS version_id",
    "created_at": "created_at",
    "model": "toString(model) AS model",
    "tokens_in": "tokens_in",
    "tokens_out": "tokens_out",
    "latency_ms": "latency_ms",
    "metric_metadata": compose(_METADATA, key="metric_key", name="metric_metadata"),
    "by_metadata": compose(_METADATA, key="by_key", name="by_metadata"),
}
# Columns of `analysis_rows`, and of the view `analyses`.
_OF_ANALYSES = ("language", "sentiment", "sentiment_score")
_ANALYSIS_COLUMNS = frozenset({*_OF_ANALYSES, "theme_id", "names", "is_analysed"})

_ROWS = """(
    SELECT $columns
    FROM (SELECT $task_columns FROM $tasks) AS task$joins
)"""
_JOIN = """
    LEFT ANY JOIN (
        $rows
    ) AS $alias ON task.task_id = $alias.task_id"""
_FACTS_OF_ANALYSES = "SELECT task_id, 1 AS is_analysed$columns FROM analysis_rows FINAL WHERE $analyses"
_FACTS_WITH_EVENTS = "SELECT task_id, 1 AS is_analysed$columns FROM $analysed GROUP BY task_id"
_VIEW_OF_ANALYSES = "SELECT task_id, 1 AS is_analysed$columns FROM analyses WHERE $condition"
_VIEW_OF_EVENTS = """SELECT task_id, 1 AS has_events, groupArray(toString(name)) AS names
        FROM events WHERE $condition GROUP BY task_id"""
_FILTERED = "(SELECT * FROM $rows WHERE $conditions)"

_THEME_IS = "(is_analysed AND theme_id = if({theme:String} = '$none', '', {theme:String}))"
# The condition of each filter on a row, whose parameter has the filter's name, and the columns that it needs.
FILTERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "user": ("user_id = {user:String}", ("user_id",)),
    "version": ("version_id = {version:String}", ("version_id",)),
    "model": ("model = {model:String}", ("model",)),
    "language": ("language = {language:String}", ("language",)),
    "event": ("has(names, {event:String})", ("names",)),
    "theme": (compose(_THEME_IS, none=NO_THEME), ("theme_id",)),
    "sentiment": ("sentiment = {sentiment:String}", ("sentiment",)),
    "flag": ("flag = {flag:String}", ("flag",)),
}


def fact_rows(scope: TaskScope, columns: Collection[str], filters: Iterable[str] = ()) -> str:
    """
    Return the subquery of the rows of a scope, from facts.

    `filters` are names of FILTERS that narrow the rows beside the scope; their values are parameters.
    """
    wanted = _with_filters(columns, filters)
    analysis = [name for name in _OF_ANALYSES if name in wanted]
    joins = []
    if "names" in wanted:
        fields = [f"anyIf({name}, is_task) AS {name}" for name in analysis]
        fields += [f"anyIf({theme_of()}, is_task) AS theme_id"] if "theme_id" in wanted else []
        fields.append("groupArrayArray(names) AS names")
        of_table = [*analysis, *(["theme"] if "theme_id" in wanted else [])]
        rows = analysed(scope, "task_id", *of_table)
        joins.append(("analysis", compose(_FACTS_WITH_EVENTS, columns=_more_columns(fields), analysed=rows)))
    elif wanted & _ANALYSIS_COLUMNS:
        fields = [*analysis, *([f"{theme_of()} AS theme_id"] if "theme_id" in wanted else [])]
        joins.append(
            ("analysis", compose(_FACTS_OF_ANALYSES, columns=_more_columns(fields), analyses=scope.analyses()))
        )
    if "flag" in wanted:
        joins.append(("flagged", f"SELECT * FROM {flagged_tasks(scope, 'task_id')}"))
    return _rows(wanted, f"task_rows FINAL WHERE {scope.tasks()}", joins, filters)


def view_rows(condition: str, columns: Collection[str], filters: Iterable[str] = (), also: str = "1") -> str:
    """
    Return the same subquery from the views.

    `condition` is on project and time, which all views have; `also` is one on the view `tasks` alone.
    """
    wanted = _with_filters(columns, filters)
    joins = []
    if wanted & _ANALYSIS_COLUMNS:
        fields = [name for name in (*_OF_ANALYSES, "theme_id") if name in wanted]
        joins.append(("analysis", compose(_VIEW_OF_ANALYSES, columns=_more_columns(fields), condition=condition)))
    if "names" in wanted:
        joins.append(("event", compose(_VIEW_OF_EVENTS, condition=condition)))
    where = condition if also == "1" else f"{condition} AND {also}"
    return _rows(wanted, f"tasks WHERE {where}", joins, filters, is_view=True)


def _rows(
    wanted: frozenset[str], tasks: str, joins: list[tuple[str, str]], filters: Iterable[str], *, is_view: bool = False
) -> str:
    of_tasks = [_OF_TASKS[name] for name in sorted(wanted & _OF_TASKS.keys())]
    of_tasks += ["toString(flag) AS flag"] if is_view and "flag" in wanted else []
    rows = compose(
        _ROWS,
        columns=", ".join(_qualified(name, joins) for name in sorted(wanted)) or "1 AS row",
        task_columns=", ".join(["task_id", *of_tasks]),
        tasks=tasks,
        joins="".join(compose(_JOIN, alias=alias, rows=rows) for alias, rows in joins),
    )
    conditions = [FILTERS[name][0] for name in filters]
    return compose(_FILTERED, rows=rows, conditions=" AND ".join(conditions)) if conditions else rows


def _qualified(name: str, joins: list[tuple[str, str]]) -> str:
    """Return a column of a row, from the table that has it."""
    aliases = {alias for alias, _ in joins}
    if name == "flag" and "flagged" in aliases:
        return "toString(flagged.flag) AS flag"
    if name not in _ANALYSIS_COLUMNS:
        return f"task.{name} AS {name}"
    if "event" in aliases and name in ("names", "is_analysed"):
        either = "greatest(analysis.is_analysed, event.has_events) AS is_analysed"
        return either if name == "is_analysed" else "event.names AS names"
    return f"analysis.{name} AS {name}"


def _with_filters(columns: Collection[str], filters: Iterable[str]) -> frozenset[str]:
    wanted = {*columns, *(name for filter_name in filters for name in FILTERS[filter_name][1])}
    return frozenset(wanted | {"is_analysed"} if wanted & _ANALYSIS_COLUMNS else wanted)


def _more_columns(columns: Iterable[str]) -> str:
    return "".join(f", {column}" for column in columns)


@dataclass(frozen=True)
class ProjectSpan:
    """
    All tasks of a project from `start_ms` up to `end_ms`, Unix milliseconds: a TaskScope.

    FILTERS narrow its rows.
    """

    project_id: str
    start_ms: int
    end_ms: int
    corrections: Corrections = NO_CORRECTIONS

    def parameters(self, **others: Any) -> dict[str, Any]:
        """Return the values that the conditions take, and `others`."""
        return {"project": self.project_id, "start_ms": self.start_ms, "end_ms": self.end_ms, **others}

    def tasks(self) -> str:
        return (
            "project_id = {project:String} AND created_at >= fromUnixTimestamp64Milli({start_ms:Int64})"
            " AND created_at < fromUnixTimestamp64Milli({end_ms:Int64})"
        )

    analyses = session_analyses = of_span = tasks

    def feedback(self) -> str:
        return feedback_of_span(self.of_span())
