"""Rows of the tables of facts, with what a test does not care about filled in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from phospho_store.store import Store

MOMENT = "2026-01-01T10:00:00.000Z"


def task(project_id: str, task_id: str, revision: int = 1, **fields: Any) -> dict[str, Any]:
    row = {"project_id": project_id, "task_id": task_id, "revision": revision, "session_id": "session"}
    return row | {"created_at": MOMENT, "received_at": MOMENT, "input": "hello", "output": "hi"} | fields


def analysis(
    project_id: str, task_id: str, revision: int = 1, names: Sequence[str] = (), **fields: Any
) -> dict[str, Any]:
    row = {"project_id": project_id, "task_id": task_id, "revision": revision, "session_id": "session"}
    events = [event(f"{task_id}-{name}", name) for name in names]
    return row | {"created_at": MOMENT, "language": "en", "sentiment": "neutral", "events": events} | fields


def event(event_id: str, name: str) -> dict[str, Any]:
    found = {"id": event_id, "name": name, "definition_version": 1, "engine": "keyword", "scope": "input"}
    return found | {"score": 0.5, "evidence": name}


def feedback(
    project_id: str, task_id: str, feedback_id: str, revision: int = 1, flag: str = "success", **fields: Any
) -> dict[str, Any]:
    row = {"project_id": project_id, "task_id": task_id, "feedback_id": feedback_id, "revision": revision}
    return row | {"flag": flag, "score": int(flag == "success"), "created_at": MOMENT, "received_at": MOMENT} | fields


def note(project_id: str, task_id: str, revision: int = 1, **fields: Any) -> dict[str, Any]:
    row = {"project_id": project_id, "task_id": task_id, "note_id": "n", "revision": revision, "text": "hello"}
    return row | {"created_at": MOMENT, "is_deleted": False} | fields


def label(
    project_id: str, task_id: str, event_name: str = "refund", revision: int = 1, **fields: Any
) -> dict[str, Any]:
    row = {"project_id": project_id, "task_id": task_id, "event_name": event_name, "revision": revision}
    return row | {"label": "confirmed", "comment": "hello", "created_at": MOMENT} | fields


def judgement(project_id: str, task_id: str, content: str, revision: int = 1, **fields: Any) -> dict[str, Any]:
    row = {"project_id": project_id, "task_id": task_id, "content": content, "revision": revision, "name": "refund"}
    return row | {"definition_version": 1, "answer": "yes", "judge": "llm", "created_at": MOMENT} | fields


def dead_letter(project_id: str, dead_letter_id: str, revision: int = 1, **fields: Any) -> dict[str, Any]:
    row = {"project_id": project_id, "dead_letter_id": dead_letter_id, "revision": revision, "stage": "extraction"}
    row |= {"reason": "invalid_json", "source_topic": "phospho.raw-logs", "source_partition": 0, "source_offset": 1}
    return row | {"payload_base64": "", "received_at": MOMENT} | fields


def insert(store: Store, table: str, *rows: dict[str, Any], token: str = "") -> None:
    store.insert(table, b"\n".join(orjson.dumps(row) for row in rows), token)


def view(store: Store, name: str, project_id: str, columns: str = "*") -> list[dict[str, Any]]:
    """Return the rows of a view that are of one project, in an order that its contents decide."""
    rows = store.rows(f"SELECT {columns} FROM {name} WHERE project_id = {{project:String}}", {"project": project_id})
    return sorted(rows, key=orjson.dumps)
