"""Steps that came in another export than their task, joined to it by the trace when the task is read."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from phospho_schemas.times import parsed_time
from phospho_store.metadata import with_metadata_as_logged
from phospho_store.store import Store

_MAX_STEPS = 200
_MAX_TASKS = 200
_MAX_STEPS_OF_ALL = 1000
_MAX_METADATA_BYTES = 100_000

_STEPS = """
SELECT trace_id, step FROM step_rows FINAL
WHERE project_id = {project:String} AND trace_id IN {traces:Array(String)}
ORDER BY trace_id, created_at, span_id LIMIT {limit:UInt32} BY trace_id LIMIT {most:UInt32}
"""
# The tasks of a trace are in one session, by the order of their end.
_TASKS = """
SELECT toString(metadata.trace_id) AS trace, task_id,
    toUnixTimestamp64Milli(created_at) + ifNull(latency_ms, 0) AS ended_ms
FROM task_rows FINAL
WHERE project_id = {project:String} AND session_id = {session:String} AND trace IN {traces:Array(String)}
ORDER BY ended_ms, task_id LIMIT {limit:UInt32} BY trace
"""
_METADATA = """
SELECT task_id, session_id, metadata, metadata_text FROM task_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)} AND byteSize(metadata) <= {bytes:UInt32}
"""

Row = Mapping[str, Any]


class LooseSteps:
    """Read the loose steps of tasks. Blocking."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of_session(self, project_id: str, task_ids: Sequence[str]) -> dict[str, Any]:
        """Return the metadata of tasks of one session by id, with all their steps; those of odd size are left out."""
        parameters = {"project": project_id, "tasks": list(task_ids), "bytes": _MAX_METADATA_BYTES}
        return self.joined(project_id, list(map(with_metadata_as_logged, self._store.rows(_METADATA, parameters))))

    def joined(self, project_id: str, tasks: Sequence[Row]) -> dict[str, Any]:
        """
        Return the metadata of tasks of one session by id, with the loose steps of their traces among their own.

        Of several tasks in a trace, a step belongs to the first that ended no earlier, or to the last, as in one
        export.
        """
        metadata_of = {task["task_id"]: task["metadata"] for task in tasks}
        traces = {_trace(metadata) for metadata in metadata_of.values()} - {""}
        parameters = {"project": project_id, "traces": sorted(traces), "limit": _MAX_STEPS}
        steps = self._store.rows(_STEPS, parameters | {"most": _MAX_STEPS_OF_ALL}) if traces else []
        if not steps:
            return metadata_of
        in_traces = self._store.rows(_TASKS, parameters | {"session": tasks[0]["session_id"], "limit": _MAX_TASKS})
        loose = _by_task(steps, in_traces)
        return {task_id: _with_steps(metadata, loose[task_id]) for task_id, metadata in metadata_of.items()}


def _by_task(steps: Sequence[Row], tasks: Sequence[Row]) -> defaultdict[str, list[Any]]:
    of_trace: defaultdict[str, list[Row]] = defaultdict(list)
    for task in tasks:
        of_trace[task["trace"]].append(task)
    of_task: defaultdict[str, list[Any]] = defaultdict(list)
    for row in steps:
        step, candidates = orjson.loads(row["step"]), of_trace[row["trace_id"]]
        index = bisect_left(candidates, _ended_ms(step), key=lambda task: float(task["ended_ms"]))
        if candidates:
            of_task[candidates[min(index, len(candidates) - 1)]["task_id"]].append(step)
    return of_task


def _trace(metadata: Any) -> str:
    trace_id = metadata.get("trace_id") if isinstance(metadata, Mapping) else None
    return trace_id if isinstance(trace_id, str) else ""


def _with_steps(metadata: Any, loose: Sequence[Any]) -> Any:
    if not loose:
        return metadata
    own = metadata.get("steps")
    return {**metadata, "steps": sorted([*(own if isinstance(own, list) else []), *loose], key=_by_start)}


def _ended_ms(step: Mapping[str, Any]) -> float:
    started = parsed_time(str(step.get("started_at") or ""))
    return (started.timestamp() * 1000 if started else 0.0) + _latency_ms(step)


def _by_start(step: Any) -> tuple[str, float]:
    """Return the place of a step: of those that began at once, the longer one encloses the other."""
    return (str(step.get("started_at") or ""), -_latency_ms(step)) if isinstance(step, Mapping) else ("", 0.0)


def _latency_ms(step: Mapping[str, Any]) -> float:
    latency_ms = step.get("latency_ms")
    return float(latency_ms) if isinstance(latency_ms, (int, float)) else 0.0
