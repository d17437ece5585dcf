"""Subqueries of the facts and the findings of sessions, and of flagged tasks."""

from __future__ import annotations

from dataclasses import replace

from phospho_dashboard.queries.analysed import analysed
from phospho_dashboard.queries.filters import Filters, Scope
from phospho_dashboard.queries.periods import Span
from phospho_store.sql import compose
from phospho_store.sql.feedback import current_flag, last_feedback
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


_LOGGED = "(SELECT $columns, toString(flag) AS flag FROM task_rows FINAL WHERE $condition AND flag != '')"
# Few tasks have a flag or feedback: only theirs are joined.
_CURRENT = """(
    SELECT $columns, $flag AS flag
    FROM
    (
        SELECT task_id, $columns, toString(flag) AS logged_flag
        FROM task_rows FINAL
        WHERE $condition AND (flag != '' OR task_id IN (SELECT task_id FROM feedback_rows WHERE $feedback))
    ) AS task
    LEFT ANY JOIN $last_feedback AS last_feedback
    ON task.task_id = last_feedback.task_id
)"""


def flagged_tasks(scope: Scope, *columns: str) -> str:
    """Return a subquery of these columns of `task_rows` and the current `flag` of each task that has one."""
    selected, condition = ", ".join(columns), scope.tasks()
    if not scope.corrections.has_feedback:
        return compose(_LOGGED, columns=selected, condition=condition)
    return compose(
        _CURRENT,
        columns=selected,
        condition=condition,
        flag=current_flag("last_feedback.flag", "task.logged_flag"),
        feedback=scope.feedback(),
        last_feedback=last_feedback(scope.feedback()),
    )
