"""What is said of a session, on pages and in files: of all of its tasks, whichever of them a filter has found."""

from __future__ import annotations

from dataclasses import replace

from phospho_dashboard.queries.analysed import analysed
from phospho_dashboard.queries.filters import Filters, Scope
from phospho_dashboard.queries.periods import Span

# By name, of the rows of a session in `task_rows FINAL`; texts as in the view `sessions`.
_DISTINCT = "arraySlice(arraySort(groupUniqArrayIf(toString({0}), {0} != '')), 1, 100)"
SESSION_FACTS = {
    "first_task_at": "min(created_at)",
    "last_task_at": "max(created_at)",
    "tasks": "count()",
    "user_ids": _DISTINCT.format("user_id"),
    "version_ids": _DISTINCT.format("version_id"),
    "models": _DISTINCT.format("model"),
    "tokens_in": "sum(ifNull(task_rows.tokens_in, 0))",
    "tokens_out": "sum(ifNull(task_rows.tokens_out, 0))",
}


def session_facts(chosen: str) -> str:
    """Return a subquery of `session_id` and SESSION_FACTS; `chosen` is a condition on `session_id`."""
    facts = ", ".join(f"{column} AS {name}" for name, column in SESSION_FACTS.items())
    condition = f"project_id = {{project:String}} AND {chosen}"
    return f"(SELECT session_id, {facts} FROM task_rows FINAL WHERE {condition} GROUP BY session_id)"


def session_findings(scope: Scope, chosen: str, *columns: str) -> str:
    """Return the subquery `analysed` of these columns, of all tasks of the sessions of `scope` that are `chosen`."""
    return analysed(replace(scope, filters=Filters(), span=Span(), task_ids=None), *columns, within=chosen)
