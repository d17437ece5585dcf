"""
Tasks out of ClickHouse: by their ids, as a page of a project, as the tasks of a session.

These read the base tables, not the views: a page needs the newest tasks of one project, and the view would join every
row of it. The rules are the views': FINAL, and the last feedback before the log's flag.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from phospho_gateway.legacy.endpoints import PageRequest
from phospho_gateway.legacy.reads.filters import ANY_TASK, Condition
from phospho_gateway.read_store import chunks
from phospho_store.metadata import metadata_text, with_metadata_as_logged
from phospho_store.sql import compose
from phospho_store.store import Store
from phospho_web.cursors import encoded_cursor

LIMITS = " SETTINGS max_execution_time = 20, max_memory_usage = 2000000000"
_MAX_IDS_A_CHANGE = 500
_END_OF_TIME = (2**62, "")
_START_OF_TIME = (-(2**62), "")

# Upstream's clients send whole seconds: of two tasks in one second, the one that was written first comes first.
_SORT_COLUMNS = """
    task_id, toUnixTimestamp64Milli(created_at) AS created_at_ms,
    concat(leftPad(toString(revision), 20, '0'), task_id) AS sort_key
"""
# Narrow columns only; the wide ones are read for the tasks of one page.
_NEWEST = """
SELECT $sort_columns
FROM task_rows FINAL
WHERE project_id = {project:String} AND (created_at_ms, sort_key) < ({after_ms:Int64}, {after:String})
    AND $condition
ORDER BY created_at_ms DESC, sort_key DESC
LIMIT {limit:UInt32}
"""
_OF_SESSION = """
SELECT $sort_columns
FROM task_rows FINAL
WHERE project_id = {project:String} AND session_id = {session:String}
    AND (created_at_ms, sort_key) > ({after_ms:Int64}, {after:String})
ORDER BY created_at_ms, sort_key
LIMIT {limit:UInt32}
"""
_SIZES = compose(
    """
SELECT task_id,
    length(input) + length(output) + length(system_prompt) + length(raw_input) + length(raw_output)
        + length($metadata) AS size_bytes
FROM task_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
""",
    metadata=metadata_text(),
)
_EVENT_COUNTS = """
SELECT task_id, count() AS event_count
FROM events
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
GROUP BY task_id
"""
_ROWS = """
SELECT
    task_id, revision, toUnixTimestamp64Milli(created_at) AS created_at_ms, session_id, user_id, version_id,
    input, output, system_prompt, flag, model, metadata, metadata_text, raw_input, raw_output, source, whole_log_id
FROM task_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
"""
_ANALYSES = """
SELECT task_id, language, sentiment, sentiment_score, sentiment_magnitude
FROM analysis_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
"""
# Of the view, which has applied labels; with the range of scores of the current definition.
_EVENTS = """
SELECT
    e.session_id AS session_id, e.task_id AS task_id, toUnixTimestamp64Milli(e.created_at) AS created_at_ms,
    e.project_id AS project_id, e.id AS id, e.name AS name, e.engine AS engine, e.evidence AS evidence,
    e.label AS label, e.score AS score, e.value AS value, e.category AS category,
    tupleElement(d.score_range, 'min') AS least, tupleElement(d.score_range, 'max') AS greatest
FROM (SELECT * FROM events WHERE project_id = {project:String} AND $condition) AS e
LEFT ANY JOIN (SELECT name, score_range FROM definitions WHERE project_id = {project:String}) AS d
ON e.name = d.name
ORDER BY session_id, created_at_ms, task_id, name
"""


def events_sql(condition: str) -> str:
    """Return the query of the events that a condition on the view `events` selects."""
    return compose(_EVENTS, condition=condition)


_EVENTS_OF_TASKS = events_sql("task_id IN {tasks:Array(String)}")
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
    A stored task: its row, its analysis, its events, and its feedback, the last one last.

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
    """Tasks in their order, and the cursor of the next page."""

    tasks: list[StoredTask]
    next_cursor: str | None


class TaskReads:
    """Reads tasks of one project at a time. Blocking. A page holds at most `max_page_bytes`, and at least one task."""

    def __init__(self, store: Store, max_page_bytes: int) -> None:
        self._store = store
        self._max_page_bytes = max_page_bytes

    def task(self, project_id: str, task_id: str) -> StoredTask | None:
        """Return a task, or None."""
        return self.tasks(project_id, [task_id]).get(task_id)

    def tasks(self, project_id: str, task_ids: Iterable[str]) -> dict[str, StoredTask]:
        """Return the tasks of these ids that exist, by id."""
        return {
            task.row["task_id"]: task
            for chunk in chunks(dict.fromkeys(task_ids))
            for task in self._read(project_id, chunk)
        }

    def first_page_of(self, project_id: str, task_ids: list[str]) -> tuple[dict[str, StoredTask], list[str]]:
        """Return the tasks of the first ids, as many as fit on a page, and the ids after them."""
        candidates = next(chunks(task_ids[:_MAX_IDS_A_CHANGE]))
        fitting = self._keys_of_page(project_id, [{"task_id": task_id} for task_id in candidates])
        return self.tasks(project_id, [row["task_id"] for row in fitting]), task_ids[len(fitting) :]

    def newest(
        self, project_id: str, page: PageRequest, condition: Condition = ANY_TASK, *, is_by_event: bool = False
    ) -> TaskPage:
        """Return a page of the tasks that meet `condition`, newest first; `is_by_event` if each event repeats it."""
        sql = compose(_NEWEST, sort_columns=_SORT_COLUMNS, condition=condition.sql)
        keys = self._keys(sql, condition.parameters | {"project": project_id}, page, _END_OF_TIME)
        return self._page(project_id, keys, page.limit, is_by_event=is_by_event)

    def of_session(self, project_id: str, session_id: str, page: PageRequest) -> TaskPage:
        """Return a page of the tasks of a session in the order of the conversation."""
        sql = compose(_OF_SESSION, sort_columns=_SORT_COLUMNS)
        keys = self._keys(sql, {"project": project_id, "session": session_id}, page, _START_OF_TIME)
        return self._page(project_id, keys, page.limit)

    def _keys(self, sql: str, parameters: Row, page: PageRequest, start: tuple[int, str]) -> list[Row]:
        """Return the sort keys of a page's tasks, and of one more if there is one."""
        after_ms, after = page.after or start
        parameters |= {"after_ms": after_ms, "after": after, "limit": page.limit + 1}
        return self._store.rows(sql + LIMITS, parameters)

    def _page(self, project_id: str, keys: list[Row], limit: int, *, is_by_event: bool = False) -> TaskPage:
        shown = self._keys_of_page(project_id, keys[:limit], is_by_event=is_by_event)
        tasks = self.tasks(project_id, [row["task_id"] for row in shown])
        last = shown[-1] if len(shown) < len(keys) else None
        cursor = encoded_cursor(last["created_at_ms"], last["sort_key"]) if last else None
        # A task that retention has deleted between two queries is left out.
        return TaskPage([tasks[row["task_id"]] for row in shown if row["task_id"] in tasks], cursor)

    def _keys_of_page(self, project_id: str, keys: list[Row], *, is_by_event: bool = False) -> list[Row]:
        """Return the first keys whose tasks fit on one page, at least one."""
        sizes: dict[str, int] = {}
        for chunk in chunks(row["task_id"] for row in keys):
            sizes |= self._sizes(project_id, chunk, is_by_event=is_by_event)
        size_bytes = 0
        for count, row in enumerate(keys):
            size_bytes += sizes.get(row["task_id"], 0)
            if count and size_bytes > self._max_page_bytes:
                return keys[:count]
        return keys

    def _sizes(self, project_id: str, task_ids: list[str], *, is_by_event: bool) -> dict[str, int]:
        """Return the bytes of each task's texts, as often as the page repeats them."""
        parameters = {"project": project_id, "tasks": task_ids}
        sizes = {task_id: row["size_bytes"] for task_id, row in self._by_task(_SIZES, parameters).items()}
        if is_by_event:
            for task_id, row in self._by_task(_EVENT_COUNTS, parameters).items():
                sizes[task_id] = sizes.get(task_id, 0) * row["event_count"]
        return sizes

    def _read(self, project_id: str, task_ids: list[str]) -> Iterable[StoredTask]:
        parameters = {"project": project_id, "tasks": task_ids}
        analyses, positions = self._by_task(_ANALYSES, parameters), self._by_task(_POSITIONS, parameters)
        events, feedback = self._lists_by_task(_EVENTS_OF_TASKS, parameters), self._lists_by_task(_FEEDBACK, parameters)
        for task_id, row in self._by_task(_ROWS, parameters).items():
            position = positions.get(task_id, {"position": 1, "session_length": 1})
            yield StoredTask(
                project_id,
                with_metadata_as_logged(row),
                analysis=analyses.get(task_id, {}),
                events=events.get(task_id, []),
                feedback=feedback.get(task_id, []),
                position=position["position"],
                session_length=position["session_length"],
            )

    def _by_task(self, sql: str, parameters: Row) -> dict[str, Row]:
        return {row["task_id"]: row for row in self._store.rows(sql + LIMITS, parameters)}

    def _lists_by_task(self, sql: str, parameters: Row) -> dict[str, list[Row]]:
        rows: dict[str, list[Row]] = {}
        for row in self._store.rows(sql + LIMITS, parameters):
            rows.setdefault(row["task_id"], []).append(row)
        return rows
