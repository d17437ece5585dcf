"""How tasks were judged: a person's last verdict comes before what was logged, as in the view `tasks`."""

from __future__ import annotations

from phospho_dashboard.filters import Scope

_AS_LOGGED = "(SELECT {columns}, toString(flag) AS said FROM task_rows FINAL WHERE {condition})"
_AS_JUDGED = """(
    SELECT {names}, if(verdict.flag != '', verdict.flag, task.logged_flag) AS said
    FROM (SELECT task_id, {columns}, toString(flag) AS logged_flag FROM task_rows FINAL WHERE {condition}) AS task
    LEFT ANY JOIN
    (
        SELECT task_id, argMax(toString(feedback_rows.flag), (revision, feedback_id)) AS flag
        FROM feedback_rows WHERE {feedback} GROUP BY task_id
    ) AS verdict
    ON task.task_id = verdict.task_id
)"""


def judged(scope: Scope, **columns: str) -> str:
    """Return a subquery of the tasks of `scope`: `columns` by name, each an expression on `task_rows`, and `said`."""
    named = ", ".join(f"{expression} AS {name}" for name, expression in columns.items())
    if not scope.corrections.has_feedback:
        return _AS_LOGGED.format(columns=named, condition=scope.tasks())
    return _AS_JUDGED.format(
        names=", ".join(columns), columns=named, condition=scope.tasks(), feedback=scope.feedback()
    )
