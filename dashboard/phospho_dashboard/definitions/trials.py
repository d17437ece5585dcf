"""Trials of a definition on the tasks of its project: previews, and the tasks that nobody has labelled."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from phospho_dashboard.analytics.tasks import Tasks
from phospho_dashboard.detection import Detection
from phospho_dashboard.layout.views import Paging
from phospho_dashboard.queries.extent import Extents
from phospho_dashboard.queries.filters import Filters, Scope
from phospho_dashboard.queries.periods import Span
from phospho_schemas.messages import EventDefinition
from phospho_store.store import Store
from phospho_web.problems import Problem

PREVIEW_TASKS = 200
PREVIEW_EXAMPLES = 20

_TEXTS = """
SELECT project_id, task_id, revision, session_id, user_id, version_id, created_at, input, output, system_prompt
FROM task_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
"""
# Of detection alone: labels are to teach the engine, also on events that a judge took away.
_UNLABELLED = """
SELECT task_id
FROM analysis_rows FINAL
ARRAY JOIN events AS event
WHERE project_id = {project:String} AND event.name = {event:String} AND task_id NOT IN (
    SELECT task_id FROM label_rows FINAL
    WHERE project_id = {project:String} AND event_name = {event:String} AND label != ''
)
ORDER BY event.score, task_id
LIMIT {limit:UInt32}
"""
# Of detection alone, whose rows stay when a definition is deleted; judgements and labels are apart.
_TASKS_WITH_EVENT = """
SELECT count() AS tasks FROM analysis_rows FINAL
WHERE project_id = {project:String} AND has(CAST(events.name, 'Array(String)'), {event:String})
"""


class DefinitionTrials:
    """Try definitions on the tasks of a project. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tasks = Tasks(store)
        self._extents = Extents(store)

    def preview(self, definition: EventDefinition, detection: Detection) -> dict[str, Any]:
        """
        Return the events of a definition in the last PREVIEW_TASKS tasks, and those that it would lose there.

        `found` and `lost` are tasks with previews of their texts, at most PREVIEW_EXAMPLES of each; `found_now` and
        `found_before` count them all. Nothing is stored. Raises Problem 503 in a process that can't detect.
        """
        if detection.preview is None:
            raise Problem(
                503,
                "no_preview",
                "previews are not available in this process",
                "save the definition to see its matches",
            )
        recent = self._recent(definition.project_id)
        texts = self._texts(definition.project_id, [task["task_id"] for task in recent])
        tasks = [task for task in recent if task["task_id"] in texts]
        events = detection.preview(definition, [texts[task["task_id"]] for task in tasks])
        matches = [task | {"hit": event} for task, event in zip(tasks, events, strict=True) if event is not None]
        before = [task for task in tasks if _has(task, definition.name)]
        matching_ids = {task["task_id"] for task in matches}
        return {
            "tasks": len(tasks),
            "warning": detection.warning(definition),
            "found_now": len(matches),
            "found_before": len(before),
            "found": matches[:PREVIEW_EXAMPLES],
            "lost": [task for task in before if task["task_id"] not in matching_ids][:PREVIEW_EXAMPLES],
        }

    def match_counts(
        self, project_id: str, definitions: Sequence[EventDefinition], detection: Detection
    ) -> tuple[int, dict[str, int]]:
        """Return the number of recent tasks, and how many of them each definition matches; none that can't be tried."""
        rows = list(self._texts(project_id, [task["task_id"] for task in self._recent(project_id)]).values())
        if detection.preview is None or not rows:
            return len(rows), {}
        return len(rows), {
            definition.name: sum(event is not None for event in detection.preview(definition, rows))
            for definition in definitions
        }

    def has_tasks(self, project_id: str) -> bool:
        """Return True if the project has a task."""
        return self._extents.extent(project_id).last_ms is not None

    def least_certain(self, project_id: str, event: str, limit: int) -> list[str]:
        """Return the tasks that have an event with the lowest scores, and no label of it yet."""
        rows = self._store.rows(_UNLABELLED, {"project": project_id, "event": event, "limit": limit})
        return [row["task_id"] for row in rows]

    def count_tasks(self, project_id: str, event: str) -> int:
        """Return the number of tasks in which detection found an event."""
        return int(self._store.rows(_TASKS_WITH_EVENT, {"project": project_id, "event": event})[0]["tasks"])

    def _recent(self, project_id: str) -> list[dict[str, Any]]:
        now_ms = time.time_ns() // 1_000_000
        scope = Scope(project_id, Filters(), Span(None, now_ms), self._extents.corrections(project_id))
        page = self._tasks.page(scope, self._extents.extent(project_id), Paging("newest", None, PREVIEW_TASKS))
        return list(page["tasks"])

    def _texts(self, project_id: str, task_ids: list[str]) -> dict[str, dict[str, Any]]:
        rows = self._store.rows(_TEXTS, {"project": project_id, "tasks": task_ids})
        return {row["task_id"]: row for row in rows}


def _has(task: dict[str, Any], name: str) -> bool:
    return any(event["name"] == name and event["engine"] != "person" for event in task["events"])
