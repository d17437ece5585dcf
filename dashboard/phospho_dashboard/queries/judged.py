"""Tasks with feedback: the last comes before what was logged, as in the view `tasks`."""

from __future__ import annotations

from phospho_dashboard.queries.feedback_flags import as_judged, last_feedback
from phospho_dashboard.queries.filters import Scope

_AS_LOGGED = "(SELECT {columns}, toString(flag) AS said FROM task_rows FINAL WHERE {condition} AND flag != '')"
# Few tasks have a flag or feedback: only theirs are joined.
_AS_JUDGED = """(
    SELECT {columns}, {said} AS said
    FROM
    (
        SELECT task_id, {columns}, toString(flag) AS logged_flag
        FROM task_rows FINAL
        WHERE {condition} AND (flag != '' OR task_id IN (
            SELECT task_id FROM feedback_rows WHERE {feedback}
        ))
    ) AS task
    LEFT ANY JOIN {last_feedback} AS last_feedback
    ON task.task_id = last_feedback.task_id
)"""


def judged(scope: Scope, *columns: str) -> str:
    """Return a subquery of these columns of `task_rows` and `said` (success or failure) of each judged task."""
    told, condition = ", ".join(columns), scope.tasks()
    if not scope.corrections.has_feedback:
        return _AS_LOGGED.format(columns=told, condition=condition)
    feedback, said = scope.feedback(), as_judged("last_feedback.flag", "task.logged_flag")
    parts = {"feedback": feedback, "last_feedback": last_feedback(feedback), "said": said}
    return _AS_JUDGED.format(columns=told, condition=condition, **parts)
