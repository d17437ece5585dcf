"""Past tasks and their analyses, read page by page and bounded by bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from phospho_store.sql import compose
from phospho_store.store import Store

_MAX_PAGE_BYTES = 32_000_000

# $span is the condition of a Span, with its parameters.
# Parameters: after.
_COUNT = "SELECT count() AS tasks FROM task_rows FINAL WHERE $span AND task_id > {after:String}"
# Parameters: after, limit.
_PAGE = """
SELECT task_id, length(input) + length(output) + length(system_prompt) AS bytes FROM task_rows FINAL
WHERE $span AND task_id > {after:String} ORDER BY task_id LIMIT {limit:UInt32}
"""
# Parameters: limit, and event where it has labels.
_NEWEST = """
SELECT task_id FROM task_rows FINAL WHERE $span $unless_labelled
ORDER BY created_at DESC, task_id DESC LIMIT {limit:UInt32}
"""
_UNLESS_LABELLED = """
AND task_id NOT IN
    (SELECT task_id FROM label_rows FINAL
     WHERE project_id = {project:String} AND event_name = {event:String} AND label != '')
"""
# Parameters: project, tasks.
_TASKS = """
SELECT project_id, task_id, revision, session_id, user_id, version_id, input, output, system_prompt,
    formatDateTime(created_at, '%Y-%m-%dT%H:%i:%S.%fZ') AS created_at
FROM task_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)} ORDER BY task_id
"""
# Parameters: project, tasks.
_ANALYSES = """
SELECT * EXCEPT (inserted_at, created_at), formatDateTime(created_at, '%Y-%m-%dT%H:%i:%S.%fZ') AS created_at
FROM analysis_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
"""


@dataclass(frozen=True)
class Span:
    """The tasks of a project from one time on, before another; without limit where None."""

    project_id: str
    from_at: datetime | None = None
    to_at: datetime | None = None

    @property
    def condition(self) -> str:
        """The condition in SQL, on the parameters of `parameters`."""
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
    """Reads of tasks and analyses, and writes of analyses. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def count(self, span: Span, after: str = "") -> int:
        """Return how many tasks of a span come after an id."""
        [row] = self._store.rows(compose(_COUNT, span=span.condition), span.parameters | {"after": after})
        return int(row["tasks"])

    def page(self, span: Span, after: str, limit: int) -> list[str]:
        """Return the ids of the next tasks, in their order: at most `limit` or 32 MB of texts, at least one."""
        parameters = span.parameters | {"after": after, "limit": limit}
        return _within_max_bytes(self._store.rows(compose(_PAGE, span=span.condition), parameters))

    def newest(self, span: Span, limit: int, without_label: str = "") -> list[str]:
        """
        Return the ids of the latest tasks of a span, the latest first: at most `limit`.

        `without_label` names an event whose labelled tasks are left out.
        """
        sql = compose(_NEWEST, span=span.condition, unless_labelled=_UNLESS_LABELLED if without_label else "")
        rows = self._store.rows(sql, span.parameters | {"limit": limit, "event": without_label})
        return [row["task_id"] for row in rows]

    def tasks(self, project_id: str, task_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return these tasks with their whole texts, in the order of their ids."""
        return self._store.rows(_TASKS, {"project": project_id, "tasks": list(task_ids)})

    def analyses(self, project_id: str, task_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the AnalysisRows of these tasks, by the task's id."""
        rows = self._store.rows(_ANALYSES, {"project": project_id, "tasks": list(task_ids)})
        return {row["task_id"]: row for row in rows}

    def save(self, analyses: Sequence[Mapping[str, Any]]) -> None:
        """Store AnalysisRows."""
        if analyses:
            self._store.insert("analysis_rows", b"\n".join(orjson.dumps(row) for row in analyses))


def _within_max_bytes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    task_ids: list[str] = []
    bytes_left = _MAX_PAGE_BYTES
    for row in rows:
        bytes_left -= row["bytes"]
        if task_ids and bytes_left < 0:
            break
        task_ids.append(row["task_id"])
    return task_ids


def _sql_time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]
