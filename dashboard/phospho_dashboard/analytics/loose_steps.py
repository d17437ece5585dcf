"""Steps that came in another export than their task, joined to it by the trace when the task is read."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

import orjson

from phospho_schemas.times import parsed_time
from phospho_store.store import Store

_MAX_STEPS = 200
_MAX_TASKS = 200

_STEPS = """
SELECT step FROM step_rows FINAL
WHERE project_id = {project:String} AND trace_id = {trace:String}
ORDER BY created_at, span_id LIMIT {limit:UInt32}
"""
# The tasks of a trace are in one session, by the order of their end.
_TASKS = """
SELECT task_id, toUnixTimestamp64Milli(created_at) + ifNull(latency_ms, 0) AS ended_ms
FROM task_rows FINAL
WHERE project_id = {project:String} AND session_id = {session:String}
    AND toString(metadata.trace_id) = {trace:String}
ORDER BY ended_ms, task_id LIMIT {limit:UInt32}
"""


class LooseSteps:
    """Read the loose steps of a task. Blocking."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def joined(self, project_id: str, task: Mapping[str, Any]) -> Any:
        """
        Return the metadata of a task with the loose steps of its trace among its own.

        Of several tasks in the trace, a step belongs to the first that ended no earlier, or to the last, as in one
        export.
        """
        metadata = task["metadata"]
        trace_id = metadata.get("trace_id") if isinstance(metadata, Mapping) else None
        if not isinstance(trace_id, str) or not trace_id:
            return metadata
        parameters = {"project": project_id, "trace": trace_id}
        rows = self._store.rows(_STEPS, parameters | {"limit": _MAX_STEPS})
        if not rows:
            return metadata
        tasks = self._store.rows(_TASKS, parameters | {"session": task["session_id"], "limit": _MAX_TASKS})
        ends = [float(row["ended_ms"]) for row in tasks]
        own = metadata.get("steps")
        steps = list(own) if isinstance(own, list) else []
        for step in (orjson.loads(row["step"]) for row in rows):
            index = min(bisect_left(ends, _ended_ms(step)), len(tasks) - 1)
            if tasks[index]["task_id"] == task["task_id"]:
                steps.append(step)
        return {**metadata, "steps": sorted(steps, key=_by_start)} if steps else metadata


def _ended_ms(step: Mapping[str, Any]) -> float:
    started = parsed_time(str(step.get("started_at") or ""))
    return (started.timestamp() * 1000 if started else 0.0) + _latency_ms(step)


def _by_start(step: Any) -> tuple[str, float]:
    """Return the place of a step: of those that began at once, the longer one encloses the other."""
    return (str(step.get("started_at") or ""), -_latency_ms(step)) if isinstance(step, Mapping) else ("", 0.0)


def _latency_ms(step: Mapping[str, Any]) -> float:
    latency_ms = step.get("latency_ms")
    return float(latency_ms) if isinstance(latency_ms, (int, float)) else 0.0
