"""Subqueries of sessions, of all their tasks, whichever of them a filter matches."""

from __future__ import annotations

from dataclasses import replace

from phospho_dashboard.queries.analysed import analysed
from phospho_dashboard.queries.filters import Filters, Scope
from phospho_dashboard.queries.periods import Span
from phospho_store.sql import compose
from phospho_store.sql.sessions import SESSION_FACTS

_SESSION_FACTS = """(
    SELECT session_id, $facts FROM task_rows FINAL
    WHERE project_id = {project:String} AND $within
    GROUP BY session_id
)"""


def session_facts(within: str) -> str:
    """Return a subquery of `session_id` and SESSION_FACTS; `within` is a condition on `session_id`."""
    facts = ", ".join(f"{column} AS {name}" for name, column in SESSION_FACTS.items())
    return compose(_SESSION_FACTS, facts=facts, within=within)


def session_findings(scope: Scope, within: str, *columns: str) -> str:
    """Return the subquery `analysed` of these columns, of all tasks of the scope's sessions; `within` names them."""
    return analysed(replace(scope, filters=Filters(), span=Span(), task_ids=None), *columns, within=within)
