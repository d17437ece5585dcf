"""SQL for the flag of a task: the last feedback on it comes before the flag that was logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from phospho_store.sql import compose

# Of two at once, the one of the greater id.
_LAST_FLAG = "argMax(toString(feedback_rows.flag), (feedback_rows.revision, feedback_rows.feedback_id))"

_OF_SPAN = "project_id = {project:String} AND task_id BETWEEN tupleElement($ends, 1) AND tupleElement($ends, 2)"
_LAST_FEEDBACK = """(
    SELECT $columns
    FROM feedback_rows
    WHERE $condition
    GROUP BY $keys
)"""


def last_feedback(condition: str, *columns: str, keys: str = "task_id") -> str:
    """Return a subquery of `keys`, the last `flag` given to a task, and `columns` of all its feedback."""
    selected = ", ".join((keys, f"{_LAST_FLAG} AS flag", *columns))
    return compose(_LAST_FEEDBACK, columns=selected, condition=condition, keys=keys)


def current_flag(last_flag: str, logged_flag: str) -> str:
    """Return the expression of a task's flag, from those of its last feedback (may be empty) and of its log."""
    return f"if({last_flag} != '', {last_flag}, {logged_flag})"


def flag_of(feedback: Sequence[Mapping[str, Any]], logged_flag: str) -> str:
    """Return the flag of a task from its feedback, in the order of revision and id, and its log."""
    return (feedback[-1]["flag"] if feedback else "") or logged_flag


def feedback_of_span(of_span: str) -> str:
    """
    Return a condition on `feedback_rows` that holds for all feedback on the tasks of a span, and little other.

    Feedback has a time of its own; its task is found by the id. Where ids sort by time, the primary key leaves
    those of the span; where they don't, it leaves all. `of_span` is the condition of the span on `task_rows`.
    """
    # The same text twice is read once.
    ends = f"(SELECT (min(task_id), max(task_id)) FROM task_rows WHERE {of_span})"
    return compose(_OF_SPAN, ends=ends)


def has_flag(condition: str, flag: str) -> str:
    """
    Return the condition on a row of `task_rows` that the task's flag is `flag`, an expression.

    `condition` narrows the rows of `feedback_rows` that are read.
    """
    tasks = f"SELECT task_id FROM feedback_rows WHERE {condition} GROUP BY task_id HAVING {_LAST_FLAG}"
    return f"(task_id IN ({tasks} = {flag}) OR (flag = {flag} AND task_id NOT IN ({tasks} != '')))"
