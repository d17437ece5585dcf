"""The last feedback comes before the flag that was logged with a task: the rule of the view `tasks`, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# Of two at once, the one of the greater id.
_LAST_FLAG = "argMax(toString(feedback_rows.flag), (revision, feedback_id))"


def last_feedback(condition: str, *columns: str) -> str:
    """Return a subquery of `task_id`, its last `flag`, and `columns` of all its feedback, where it has any."""
    told = ", ".join(("task_id", f"{_LAST_FLAG} AS flag", *columns))
    return f"(SELECT {told} FROM feedback_rows WHERE {condition} GROUP BY task_id)"


def has_flag(condition: str, flag: str) -> str:
    """Return the condition on a row of `task_rows` that its flag is `flag`, an expression, as people judged it."""
    judged = f"SELECT task_id FROM feedback_rows WHERE {condition} GROUP BY task_id HAVING {_LAST_FLAG}"
    return f"(task_id IN ({judged} = {flag}) OR (flag = {flag} AND task_id NOT IN ({judged} != '')))"


def as_judged(feedback: str, logged: str) -> str:
    """Return the flag of a task of which `feedback` is the last one, empty where there is none."""
    return f"if({feedback} != '', {feedback}, {logged})"


def flag_as_judged(feedback: Sequence[Mapping[str, Any]], logged: str) -> str:
    """Return the same of a task's feedback, in the order of revision and id."""
    return (feedback[-1]["flag"] if feedback else "") or logged
