"""Tasks of sessions, said so many minutes ago."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from phospho_schemas.ids import HybridClock
from phospho_store.store import Store
from store.facts import insert, task

NOW = datetime.now(UTC)
CLOCK = HybridClock()


def said(project_id: str, session_id: str, text: str, minutes_ago: float, **fields: Any) -> dict[str, Any]:
    """Return a task of a session; its id says when it was, so that the same moment is the same task."""
    moment = (NOW - timedelta(minutes=minutes_ago)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    defaults = {"session_id": session_id, "input": text, "output": "", "created_at": moment}
    return task(project_id, f"{session_id}-{minutes_ago}", CLOCK.next(), **(defaults | fields))


def say(store: Store, project_id: str, session_id: str, text: str, *, minutes_ago: float, **fields: Any) -> None:
    """Log a task of a session."""
    insert(store, "task_rows", said(project_id, session_id, text, minutes_ago, **fields))


def move(store: Store, project_id: str, session_id: str, text: str, *, minutes_ago: float, to: str) -> None:
    """Log a task of a session again, in another one, and have the store forget that it was in the first."""
    insert(store, "task_rows", said(project_id, session_id, text, minutes_ago) | {"session_id": to})
    store.command("OPTIMIZE TABLE task_rows FINAL")


def said_long_ago(
    store: Store, project_id: str, session_id: str, text: str, *, minutes_ago: float, **fields: Any
) -> None:
    """Log a task that arrived at its own time."""
    moment = NOW - timedelta(minutes=minutes_ago)
    arrived = {"inserted_at": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    row = said(project_id, session_id, text, minutes_ago, **fields)
    insert(store, "task_rows", row | arrived | {"revision": int(moment.timestamp() * 1000) << 16})
