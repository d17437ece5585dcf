"""Tasks: a page of them, and one with everything that is known of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from phospho_dashboard.queries.feedback_flags import flag_as_judged
from phospho_dashboard.queries.filters import Scope
from phospho_dashboard.queries.newest import newest
from phospho_dashboard.queries.periods import Extent, Span
from phospho_dashboard.queries.task_events import TaskEvents
from phospho_dashboard.web.times import with_times
from phospho_store.cursors import encoded_cursor
from phospho_store.store import Store
from phospho_web.problems import Problem

PREVIEW_CHARACTERS = 240
_FIRST_PLACE = (2**62, "\U0010ffff")

# By which a list is sorted, the greatest first: the name in the URL, how it reads, and an Int64.
SORTS = {
    "newest": ("Newest first", "toUnixTimestamp64Milli(created_at)"),
    "oldest": ("Oldest first", "-toUnixTimestamp64Milli(created_at)"),
    "slowest": ("Slowest first", "toInt64(round(least(ifNull(latency_ms, -1), 1e12) * 1000))"),
    "tokens": ("Most tokens first", "toInt64(ifNull(tokens_in, 0)) + toInt64(ifNull(tokens_out, 0))"),
}

# Narrow columns only; the wide ones are read for the tasks of one page.
_PLACES = """
SELECT task_id, %(sort)s AS place
FROM task_rows FINAL
WHERE %(condition)s AND (place, task_id) < ({before:Int64}, {before_id:String})
ORDER BY place DESC, task_id DESC
LIMIT {limit:UInt32}
"""
_PREVIEWS = """
SELECT
    task_id, session_id, user_id, version_id, toUnixTimestamp64Milli(created_at) AS created_at_ms,
    leftUTF8(input, {characters:UInt32}) AS input, leftUTF8(output, {characters:UInt32}) AS output,
    flag, model, tokens_in, tokens_out, latency_ms
FROM task_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
"""
_TASK = """
SELECT
    task_id, session_id, user_id, version_id, toUnixTimestamp64Milli(created_at) AS created_at_ms,
    toUnixTimestamp64Milli(received_at) AS received_at_ms, input, output, system_prompt, flag, model,
    tokens_in, tokens_out, latency_ms, metadata, raw_input, raw_output, source
FROM task_rows FINAL
WHERE project_id = {project:String} AND task_id = {task:String}
"""
_ANALYSES = """
SELECT task_id, language, sentiment, sentiment_score, sentiment_magnitude, output_language, output_sentiment,
    output_sentiment_score, output_sentiment_magnitude, events, candidates
FROM analysis_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
"""
_FEEDBACK = """
SELECT task_id, flag, score, comment, source, toUnixTimestamp64Milli(created_at) AS created_at_ms
FROM feedback_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
ORDER BY revision, feedback_id
"""
_NOTES = """
SELECT task_id, note_id, text, created_by, toUnixTimestamp64Milli(created_at) AS created_at_ms
FROM note_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)} AND NOT is_deleted
ORDER BY created_at, note_id
"""
# The tasks before and after one in its session.
_NEIGHBOURS = """
SELECT
    argMaxIf(task_id, place, place < ({at_ms:Int64}, {task:String})) AS previous,
    argMinIf(task_id, place, place > ({at_ms:Int64}, {task:String})) AS next
FROM
(
    SELECT task_id, (toUnixTimestamp64Milli(created_at), task_id) AS place
    FROM task_rows FINAL
    WHERE project_id = {project:String} AND session_id = {session:String}
)
"""

_SAID = (
    "language", "sentiment", "sentiment_score", "sentiment_magnitude", "output_language", "output_sentiment",
    "output_sentiment_score", "output_sentiment_magnitude",
)  # fmt: skip

Row = dict[str, Any]


class Tasks:
    """Reads tasks."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._events = TaskEvents(store)

    def page(self, scope: Scope, extent: Extent, sort: str, after: tuple[int, str] | None, limit: int) -> Row:
        """Return `{"tasks", "next_cursor"}`: up to `limit` tasks of `scope` by one of SORTS, with previews of texts."""
        place, place_id = after or _FIRST_PLACE

        def read(part: Scope) -> list[Row]:
            part = _up_to(part, place) if sort == "newest" else part
            sql = _PLACES % {"sort": SORTS[sort][1], "condition": part.tasks()}
            return self._store.rows(sql, part.parameters(before=place, before_id=place_id, limit=limit + 1))

        found = newest(read, scope, extent, place, limit + 1) if sort == "newest" else read(scope)
        shown = found[:limit]
        last = shown[-1] if len(found) > limit else None
        return {
            "tasks": self.previews(scope.project_id, [row["task_id"] for row in shown]),
            "next_cursor": encoded_cursor(last["place"], last["task_id"]) if last else None,
        }

    def previews(self, project_id: str, task_ids: list[str]) -> list[Row]:
        """Return the tasks of these ids in their order, with their texts cut; those that are gone are left out."""
        if not task_ids:
            return []
        parameters = {"project": project_id, "tasks": task_ids, "characters": PREVIEW_CHARACTERS}
        known = {row["task_id"]: row for row in self._store.rows(_PREVIEWS, parameters)}
        return self.with_findings(project_id, [known[task_id] for task_id in task_ids if task_id in known])

    def task(self, project_id: str, task_id: str) -> Row:
        """Return one task with its texts, findings, feedback and neighbours in the session; Problem 404."""
        found = self._store.rows(_TASK, {"project": project_id, "task": task_id})
        if not found:
            raise Problem(404, "unknown_task", f"there is no task {task_id!r} in this project")
        place = {"at_ms": found[0]["created_at_ms"], "task": task_id, "session": found[0]["session_id"]}
        [neighbours] = self._store.rows(_NEIGHBOURS, {"project": project_id, **place})
        [task] = self.with_findings(project_id, found)
        return {"task": task, **neighbours}

    def with_findings(self, project_id: str, tasks: list[Row]) -> list[Row]:
        """Return `tasks` with what detection and people said of each; the last feedback is the task's flag."""
        parameters = {"project": project_id, "tasks": [task["task_id"] for task in tasks]}
        analyses = {row.pop("task_id"): row for row in self._store.rows(_ANALYSES, parameters)}
        feedback = _by_task(with_times(row) for row in self._store.rows(_FEEDBACK, parameters))
        events = self._events.events(project_id, tasks, analyses)
        notes = _by_task(with_times(row) for row in self._store.rows(_NOTES, parameters))
        return [
            _found(task, analyses.get(task["task_id"], {}), feedback[task["task_id"]])
            | {"events": events[task["task_id"]], "notes": notes[task["task_id"]]}
            for task in tasks
        ]


def _by_task(rows: Iterable[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row.pop("task_id")].append(row)
    return grouped


def _up_to(scope: Scope, last_ms: int) -> Scope:
    """Return `scope` without what is after `last_ms`, which the cursor leaves out too: so that no index reads it."""
    end_ms = scope.span.end_ms
    is_last = last_ms < _FIRST_PLACE[0] and (end_ms is None or last_ms < end_ms)
    return scope.within(Span(scope.span.start_ms, last_ms + 1)) if is_last else scope


def _found(task: Row, analysis: Row, feedback: list[Row]) -> Row:
    said = {name: analysis.get(name) for name in _SAID}
    return with_times(task) | said | {"flag": flag_as_judged(feedback, task["flag"]), "feedback": feedback}
