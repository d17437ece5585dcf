"""Feedback on tasks and labels of events, as they are sent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Callable, Literal

from .json_values import text_of, to_jsonable

__all__ = ["FLAGS", "Flag", "feedback_content", "flag_of", "label_content", "score_of"]

Flag = Literal["success", "failure"]
FLAGS = ("success", "failure")

_SUCCESS_SIGNS = frozenset(
    ["👍", "🙂", "😀", "😊", "❤️", "⭐", "success", "thumbs_up", "up", "good", "yes", "true", "1", "+1"]
)


def flag_of(raw_flag: Any, raw_flag_to_flag: Callable[[Any], Flag] | None = None) -> Flag:
    """Return the flag that *raw_flag_to_flag* makes of *raw_flag*. By default the known signs are a success."""
    if raw_flag_to_flag is not None:
        return raw_flag_to_flag(raw_flag)
    return "success" if str(raw_flag).strip().lower() in _SUCCESS_SIGNS else "failure"


def score_of(score: Any) -> int | None:
    """Return a score as 0 or 1, or None for anything else. Never raises."""
    try:
        return int(score) if score in (0, 1) else None
    except Exception:  # the app's own `__eq__`
        return None


def feedback_content(feedback_id: str, task_id: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of one feedback. *fields* that are None are left out."""
    content = {**fields, "feedback_id": feedback_id, "client_created_at": time.time()}
    present = {name: to_jsonable(value) for name, value in content.items() if value is not None}
    return {"task_id": text_of(task_id), **present}


def label_content(task_id: Any, name: Any, value: str, comment: Any) -> dict[str, Any] | None:
    """Return the content of a label, "confirmed", "rejected" or "". None if the task or the event is not named."""
    if task_id is None or name is None:
        return None
    label = {"event": text_of(name), "task_id": text_of(task_id), "label": value}
    if comment is not None:
        label["comment"] = text_of(comment)
    return label if label["task_id"] and label["event"] else None
