"""
Upstream phospho's flattened tasks: one record for each event of a task, as `tasks_df` and its page gave them.

The task is logged as often as it stands there, and is one task. Its events are not taken over: detection finds its own.
"""

from __future__ import annotations

from phospho_store.log_files.formats.values import Event, Format, Record, at_most_one, stated, unix_seconds, unpacked

_TASK = "task_"
# What is said elsewhere in the event, or is counted anew.
_TAKEN = frozenset(
    {"task_id", "task_input", "task_output", "task_eval", "task_created_at", "session_id", "task_metadata", "user_id"}
)
_COUNTED = frozenset({"session_length", "task_position"})


def recognises(record: Record) -> bool:
    """Return True for a record with the columns of a flattened task."""
    return {"task_id", "task_input"} <= record.keys()


def event_of(record: Record) -> Event | None:
    """Return the event of a task; None where it has no input."""
    if record["task_input"] in (None, ""):
        return None
    metadata = unpacked(record.get("task_metadata"))
    others = {
        name.removeprefix(_TASK): value
        for name, value in record.items()
        if name not in _TAKEN and name not in _COUNTED and not name.startswith("event_")
    }
    return stated(
        {
            "task_id": str(record["task_id"]),
            "session_id": record.get("session_id"),
            "user_id": record.get("user_id"),
            "client_created_at": unix_seconds(_number(record.get("task_created_at"))),
            "input": record["task_input"],
            "output": record.get("task_output"),
            "flag": record.get("task_eval"),
            "metadata": stated((metadata if isinstance(metadata, dict) else {}) | others),
        }
    )


def _number(value: object) -> object:
    """Return the number that a cell's text is, or the value."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


FORMAT = Format("flattened tasks", recognises, at_most_one(event_of))
