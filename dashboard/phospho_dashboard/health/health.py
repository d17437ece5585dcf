"""The health of the pipeline for one project, by the rows in ClickHouse."""

from __future__ import annotations

import time
from typing import Any

from phospho_dashboard.health.freshness import dead_letter_count, freshness
from phospho_dashboard.health.stages import Stages
from phospho_dashboard.queries.periods import Span
from phospho_dashboard.web.times import with_times
from phospho_store.store import Store

# The arrival of rows, which no view shows: the tables, without FINAL, since a row that came twice counts twice.
_THROUGHPUT = """
SELECT
    countIf(inserted_at >= now64(3) - INTERVAL 1 MINUTE) AS last_minute,
    countIf(inserted_at >= now64(3) - INTERVAL 15 MINUTE) AS last_15_minutes,
    count() AS last_hour
FROM task_rows
WHERE project_id = {project:String} AND inserted_at >= now64(3) - INTERVAL 1 HOUR
"""
_DEAD_LETTERS = """
SELECT stage, reason, count() AS dead_letters, toUnixTimestamp64Milli(max(received_at)) AS last_at_ms
FROM dead_letter_rows FINAL
WHERE project_id IN {projects:Array(String)}
GROUP BY stage, reason
ORDER BY dead_letters DESC, stage, reason
LIMIT 100
"""


class ProjectHealth:
    """Read the health of a project. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stages = Stages(store)

    def read(self, project_id: str, projects: list[str]) -> dict[str, Any]:
        """Return freshness, throughput and the stages of a project, and the dead letters of `projects` by reason."""
        fresh = freshness(self._store, project_id, time.time_ns() // 1_000_000)
        dead_letters = dead_letter_count(self._store, projects, Span())
        [throughput] = self._store.rows(_THROUGHPUT, {"project": project_id})
        reasons = self._store.rows(_DEAD_LETTERS, {"projects": projects})
        return {
            "project_id": project_id,
            "freshness": fresh | {"dead_letters": dead_letters},
            "rows": throughput,
            "stages": self._stages.read(project_id, fresh["backlog_tasks"]),
            "dead_letters": [with_times(row) for row in reasons],
        }
