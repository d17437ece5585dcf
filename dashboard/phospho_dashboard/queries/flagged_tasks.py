"""A subquery of the tasks that have a flag, logged or given as feedback."""

from __future__ import annotations

from phospho_dashboard.queries.filters import Scope
from phospho_store.sql import compose
from phospho_store.sql.feedback import current_flag, last_feedback

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
