"""Payloads of webhooks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def payload(row: Mapping[str, Any], event: Mapping[str, Any], *, with_evidence: bool) -> dict[str, Any]:
    """
    Return the body of the request for one event, with the API's names.

    The evidence, up to 200 characters of what a user or the app said, is empty unless it is asked for; no other text
    of the task is sent.
    """
    fields = ("definition_version", "engine", "scope", "score", "value", "category")
    return {
        "type": "event.added" if row["source"] == "label" else "event.detected",
        "timestamp": row["created"],
        "data": {
            "id": event["id"],
            "name": event["name"],
            "project_id": row["project_id"],
            "task_id": row["task_id"],
            "session_id": row["session_id"],
            "user_id": row["user_id"],
            "version_id": row["version_id"],
            "created_at": row["created"],
            **{name: event[name] for name in fields},
            "evidence": event["evidence"] if with_evidence else "",
            "judge": event["judge"],
        },
    }
