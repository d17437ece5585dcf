"""The tasks of the past and what was said of them, read page by page and bounded by bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from phospho_store.store import Store

_MAX_PAGE_BYTES = 32_000_000
_TIMES = "formatDateTime({0}, '%Y-%m-%dT%H:%i:%S.%fZ') AS {0}"


@dataclass(frozen=True)
class Span:
    """The tasks of a project from one time on, before another; without end where None."""

    project_id: str
    from_at: datetime | None = None
    to_at: datetime | None = None

    @property
    def condition(self) -> str:
        """The condition in SQL, with the parameters that `parameters` has."""
        parts = ["project_id = {project:String}"]
        if self.from_at is not None:
            parts.append("created_at >= {from:DateTime64(3, 'UTC')}")
        if self.to_at is not None:
            parts.append("created_at < {to:DateTime64(3, 'UTC')}")
        return " AND ".join(parts)

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of `condition`."""
        times = {"from": self.from_at, "to": self.to_at}
        given = {name: _sql_time(moment) for name, moment in times.items() if moment is not None}
        return {"project": self.project_id} | given


class History:
    """Reads of tasks and analyses, and the writes of analyses. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def count(self, span: Span, after: str = "") -> int:
        """Return how many tasks of a span have an id after that."""
        sql = f"SELECT count() AS tasks FROM task_rows FINAL WHERE {span.condition} AND task_id > {{after:String}}"
        return int(self._store.rows(sql, span.parameters | {"after": after})[0]["tasks"])

    def page(self, span: Span, after: str, limit: int) -> list[str]:
        """Return the ids of the next tasks, in their order: `limit` or 32 MB of texts at most, one at least."""
        rows = self._store.rows(
            "SELECT task_id, length(input) + length(output) + length(system_prompt) AS bytes FROM task_rows FINAL"
            f" WHERE {span.condition} AND task_id > {{after:String}} ORDER BY task_id LIMIT {{limit:UInt32}}",
            span.parameters | {"after": after, "limit": limit},
        )
        return _within(rows)

    def newest(self, span: Span, limit: int, without_label: str = "") -> list[str]:
        """
        Return the ids of the latest tasks of a span, the latest first: `limit` at most.

        `without_label` names an event whose labelled tasks are left out.
        """
        unlabelled = " AND task_id NOT IN (SELECT task_id FROM label_rows FINAL WHERE project_id = {project:String}"
        unlabelled += " AND event_name = {event:String} AND label != '')"
        rows = self._store.rows(
            f"SELECT task_id FROM task_rows FINAL WHERE {span.condition} {unlabelled if without_label else ''}"
            " ORDER BY created_at DESC, task_id DESC LIMIT {limit:UInt32}",
            span.parameters | {"limit": limit, "event": without_label},
        )
        return [row["task_id"] for row in rows]

    def tasks(self, project_id: str, task_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return these tasks, whole, in the order of their ids."""
        return self._store.rows(
            "SELECT project_id, task_id, revision, session_id, user_id, version_id, input, output, system_prompt,"
            f" {_TIMES.format('created_at')} FROM task_rows FINAL"
            " WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)} ORDER BY task_id",
            {"project": project_id, "tasks": list(task_ids)},
        )

    def analyses(self, project_id: str, task_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the AnalysisRows of these tasks, by the task's id."""
        rows = self._store.rows(
            f"SELECT * EXCEPT (inserted_at, created_at), {_TIMES.format('created_at')} FROM analysis_rows FINAL"
            " WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}",
            {"project": project_id, "tasks": list(task_ids)},
        )
        return {row["task_id"]: row for row in rows}

    def save(self, analyses: Sequence[Mapping[str, Any]]) -> None:
        """Store AnalysisRows."""
        if analyses:
            self._store.insert("analysis_rows", b"\n".join(orjson.dumps(row) for row in analyses))


def _within(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    chosen: list[str] = []
    room = _MAX_PAGE_BYTES
    for row in rows:
        room -= row["bytes"]
        if chosen and room < 0:
            break
        chosen.append(row["task_id"])
    return chosen


def _sql_time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]
