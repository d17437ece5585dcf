"""
Tasks out of ClickHouse: by their ids, as a page of a project, as the tasks of a session.

These read the base tables, not the views: a page needs the newest tasks of one project, and the view would join every
row of it. The rules are the views': FINAL, and the last feedback before the log's flag.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from phospho_gateway.legacy.reads.chunks import chunks
from phospho_gateway.legacy.reads.filters import Condition
from phospho_store.cursors import encoded_cursor
from phospho_store.store import Store

LIMITS = " SETTINGS max_execution_time = 20, max_memory_usage = 2000000000"
_MAX_GROUP = 500
_END_OF_TIME = (2**62, "")
_START_OF_TIME = (-(2**62), "")

# Upstream's clients tell whole seconds: of two tasks in one, the one that was written first stands first.
_PLACE = """
    task_id, toUnixTimestamp64Milli(created_at) AS created_at_ms,
    concat(leftPad(toString(revision), 20, '0'), task_id) AS place
"""
# Narrow columns only; the wide ones are read for the tasks of one page.
_NEWEST = f"""
SELECT {_PLACE}
FROM task_rows FINAL
WHERE project_id = {{project:String}} AND (created_at_ms, place) < ({{place_ms:Int64}}, {{place:String}})
    AND %s
ORDER BY created_at_ms DESC, place DESC
LIMIT {{limit:UInt32}}
"""
_OF_SESSION = f"""
SELECT {_PLACE}
FROM task_rows FINAL
WHERE project_id = {{project:String}} AND session_id = {{session:String}}
    AND (created_at_ms, place) > ({{place_ms:Int64}}, {{place:String}})
ORDER BY created_at_ms, place
LIMIT {{limit:UInt32}}
"""
_SIZES = """
SELECT task_id,
    length(input) + length(output) + length(system_prompt) + length(raw_input) + length(raw_output)
        + length(toJSONString(metadata)) AS size_bytes
FROM task_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
"""
_EVENT_COUNTS = """
SELECT task_id, count() AS event_count
FROM events
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
GROUP BY task_id
"""
_ROWS = """
SELECT
    task_id, revision, toUnixTimestamp64Milli(created_at) AS created_at_ms, session_id, user_id, version_id,
    input, output, system_prompt, flag, model, metadata, raw_input, raw_output, source
FROM task_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
"""
_ANALYSES = """
SELECT task_id, language, sentiment, sentiment_score, sentiment_magnitude
FROM analysis_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
"""
# Of the view, which shows events as people corrected them; with what a value means by the definition of today.
EVENTS = """
SELECT
    e.session_id AS session_id, e.task_id AS task_id, toUnixTimestamp64Milli(e.created_at) AS created_at_ms,
    e.project_id AS project_id, e.id AS id, e.name AS name, e.engine AS engine, e.evidence AS evidence,
    e.label AS label, e.score AS score, e.value AS value, e.category AS category,
    tupleElement(d.score_range, 'min') AS least, tupleElement(d.score_range, 'max') AS greatest
FROM (SELECT * FROM events WHERE project_id = {project:String} AND %s) AS e
LEFT ANY JOIN (SELECT name, score_range FROM definitions WHERE project_id = {project:String}) AS d
ON e.name = d.name
ORDER BY session_id, created_at_ms, task_id, name
"""
_EVENTS_OF_TASKS = EVENTS % "task_id IN {tasks:Array(String)}"
_FEEDBACK = """
SELECT task_id, feedback_id, flag, comment, source, toUnixTimestamp64Milli(created_at) AS created_at_ms
FROM feedback_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
ORDER BY revision, feedback_id
"""
_POSITIONS = """
SELECT task_id, position, session_length
FROM
(
    SELECT
        task_id,
        row_number() OVER (PARTITION BY session_id ORDER BY created_at, revision, task_id) AS position,
        count() OVER (PARTITION BY session_id) AS session_length
    FROM task_rows FINAL
    WHERE project_id = {project:String} AND session_id IN (
        SELECT session_id FROM task_rows FINAL
        WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
    )
)
WHERE task_id IN {tasks:Array(String)}
"""

Row = dict[str, Any]


@dataclass(frozen=True)
class StoredTask:
    """
    One task as it is stored: its row, what detection says of it, its events, and its feedback, the last one last.

    `position` counts from 1 in the session; times are Unix milliseconds.
    """

    project_id: str
    row: Row
    analysis: Row
    events: list[Row]
    feedback: list[Row]
    position: int
    session_length: int

    @property
    def flag(self) -> str:
        """The last feedback, or what was logged with the task; empty where there is none."""
        return str(self.feedback[-1]["flag"] if self.feedback else self.row["flag"])


@dataclass(frozen=True)
class TaskPage:
    """Some tasks in their order, and where the next ones begin."""

    tasks: list[StoredTask]
    next_cursor: str | None


class TaskReads:
    """Reads tasks of one project at a time. Blocking. A page holds at most `max_page_bytes`, and at least one task."""

    def __init__(self, store: Store, max_page_bytes: int) -> None:
        self._store = store
        self._max_page_bytes = max_page_bytes

    def one(self, project_id: str, task_id: str) -> StoredTask | None:
        """Return a task, or None."""
        return self.named(project_id, [task_id]).get(task_id)

    def named(self, project_id: str, task_ids: Iterable[str]) -> dict[str, StoredTask]:
        """Return the tasks of these ids that there are, by id."""
        return {name: task for chunk in chunks(dict.fromkeys(task_ids)) for name, task in self._read(project_id, chunk)}

    def first_of(self, project_id: str, task_ids: list[str]) -> tuple[dict[str, StoredTask], list[str]]:
        """Return those of the first ids that there are, as many as fit on a page, and the ids that are left."""
        asked = next(chunks(task_ids[:_MAX_GROUP]))
        fitting = self._that_fit(project_id, [{"task_id": name} for name in asked])
        return self.named(project_id, [row["task_id"] for row in fitting]), task_ids[len(fitting) :]

    def newest(
        self, project_id: str, chosen: Condition, after: tuple[int, str] | None, limit: int, is_by_event: bool = False
    ) -> TaskPage:
        """Return the tasks that `chosen` lets through, the newest first; `is_by_event` if each event repeats it."""
        found = self._found(_NEWEST % chosen.sql, project_id, chosen.parameters, after or _END_OF_TIME, limit)
        return self._page(project_id, found, limit, is_by_event)

    def of_session(self, project_id: str, session_id: str, after: tuple[int, str] | None, limit: int) -> TaskPage:
        """Return the tasks of a session in the order of the conversation; none where there is no such session."""
        found = self._found(_OF_SESSION, project_id, {"session": session_id}, after or _START_OF_TIME, limit)
        return self._page(project_id, found, limit)

    def _found(self, sql: str, project_id: str, chosen: Row, place: tuple[int, str], limit: int) -> list[Row]:
        """Return the places of a page's tasks, and of one more where there is one."""
        parameters = chosen | {"project": project_id, "place_ms": place[0], "place": place[1], "limit": limit + 1}
        return self._store.rows(sql + LIMITS, parameters)

    def _page(self, project_id: str, found: list[Row], limit: int, is_by_event: bool = False) -> TaskPage:
        shown = self._that_fit(project_id, found[:limit], is_by_event)
        stored = self.named(project_id, [row["task_id"] for row in shown])
        last = shown[-1] if len(shown) < len(found) else None
        cursor = encoded_cursor(last["created_at_ms"], last["place"]) if last else None
        # A task that retention has taken between two queries is left out.
        return TaskPage([stored[row["task_id"]] for row in shown if row["task_id"] in stored], cursor)

    def _that_fit(self, project_id: str, found: list[Row], is_by_event: bool = False) -> list[Row]:
        """Return the first rows whose texts have room on one page, at least one."""
        sizes: dict[str, int] = {}
        for chunk in chunks(row["task_id"] for row in found):
            sizes |= self._sizes(project_id, chunk, is_by_event)
        size_bytes = 0
        for count, row in enumerate(found):
            size_bytes += sizes.get(row["task_id"], 0)
            if count and size_bytes > self._max_page_bytes:
                return found[:count]
        return found

    def _sizes(self, project_id: str, task_ids: list[str], is_by_event: bool) -> dict[str, int]:
        """Return the bytes of each task's texts, as often as they are told."""
        parameters = {"project": project_id, "tasks": task_ids}
        sizes = {name: row["size_bytes"] for name, row in self._by_task(_SIZES, parameters).items()}
        if is_by_event:
            for name, row in self._by_task(_EVENT_COUNTS, parameters).items():
                sizes[name] = sizes.get(name, 0) * row["event_count"]
        return sizes

    def _read(self, project_id: str, task_ids: list[str]) -> Iterable[tuple[str, StoredTask]]:
        parameters = {"project": project_id, "tasks": task_ids}
        analyses, positions = self._by_task(_ANALYSES, parameters), self._by_task(_POSITIONS, parameters)
        events, feedback = self._lists_by_task(_EVENTS_OF_TASKS, parameters), self._lists_by_task(_FEEDBACK, parameters)
        for name, row in self._by_task(_ROWS, parameters).items():
            place = positions.get(name, {"position": 1, "session_length": 1})
            yield (
                name,
                StoredTask(
                    project_id,
                    row,
                    analyses.get(name, {}),
                    events.get(name, []),
                    feedback.get(name, []),
                    place["position"],
                    place["session_length"],
                ),
            )

    def _by_task(self, sql: str, parameters: Row) -> dict[str, Row]:
        return {row["task_id"]: row for row in self._store.rows(sql + LIMITS, parameters)}

    def _lists_by_task(self, sql: str, parameters: Row) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = {}
        for row in self._store.rows(sql + LIMITS, parameters):
            found.setdefault(row["task_id"], []).append(row)
        return found
