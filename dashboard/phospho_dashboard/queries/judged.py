"""Tasks that somebody judged: a person's last verdict comes before what was logged, as in the view `tasks`."""

from __future__ import annotations

from phospho_dashboard.filters import Scope

_AS_LOGGED = "(SELECT {columns}, toString(flag) AS said FROM task_rows FINAL WHERE {condition} AND flag != '')"
# Few tasks have a flag or feedback: only theirs are joined.
_AS_JUDGED = """(
    SELECT {columns}, if(verdict.flag != '', verdict.flag, task.logged_flag) AS said
    FROM
    (
        SELECT task_id, {columns}, toString(flag) AS logged_flag
        FROM task_rows FINAL
        WHERE {condition} AND (flag != '' OR task_id IN (
            SELECT task_id FROM feedback_rows WHERE {feedback}
        ))
    ) AS task
    LEFT ANY JOIN
    (
        SELECT task_id, argMax(toString(feedback_rows.flag), (revision, feedback_id)) AS flag
        FROM feedback_rows WHERE {feedback} GROUP BY task_id
    ) AS verdict
    ON task.task_id = verdict.task_id
)"""


def judged(scope: Scope, *columns: str) -> str:
    """Return a subquery of these columns of `task_rows` and `said` (success or failure) of each judged task."""
    form = _AS_JUDGED if scope.corrections.has_feedback else _AS_LOGGED
    return form.format(columns=", ".join(columns), condition=scope.tasks(), feedback=scope.feedback())
