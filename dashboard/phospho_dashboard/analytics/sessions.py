"""
Sessions: the list of them, and the transcript of one.

As on all pages, the queries read the tables with the shared SQL of `phospho_store.sql`. A page needs the newest
sessions of one project, and the views, which are for people's SQL and BI, would aggregate or join every row of it. The
rules are the same: FINAL, and the last feedback before the log's flag.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from phospho_dashboard.analytics.loose_steps import LooseSteps
from phospho_dashboard.analytics.tasks import Tasks
from phospho_dashboard.analytics.texts import SHORT_TEXTS, WHOLE_TEXTS, Texts
from phospho_dashboard.layout.views import (
    PAGING,
    Content,
    PageExtras,
    Paging,
    View,
    ViewRequest,
    chosen_columns,
    sort_labels,
)
from phospho_dashboard.queries.filters import Scope, newest
from phospho_dashboard.queries.periods import Extent
from phospho_dashboard.saved_views.saved import SavedViews
from phospho_dashboard.transcripts.messages import TEXT_PARAMETER, with_messages
from phospho_dashboard.transcripts.steps import step_tree
from phospho_dashboard.web.formats import with_times
from phospho_store.sql import compose
from phospho_store.sql.analysed import analysed, session_facts
from phospho_store.sql.feedback import current_flag, last_feedback
from phospho_store.sql.sessions import SESSION_FACTS
from phospho_store.store import Store
from phospho_web.cursors import encoded_cursor
from phospho_web.problems import Problem

PREVIEW_CHARACTERS = 200
TRANSCRIPT_TASKS = 200
_START_OF_TIME = (-(2**62), "")
_FIRST_PLACE = (2**62, "")

# The sorts of the list, the greatest first: the name in the URL, the label, and an Int64 of a session's tasks.
SORTS = {
    "newest": ("Newest first", "toUnixTimestamp64Milli(max(created_at))"),
    "oldest": ("Oldest first", "-toUnixTimestamp64Milli(max(created_at))"),
    "longest": ("Most tasks first", "toInt64(count())"),
    "tokens": ("Most tokens first", "toInt64(sum(ifNull(tokens_in, 0)) + sum(ifNull(tokens_out, 0)))"),
}

# Narrow columns only. The wide ones are read for the sessions of one page.
_PAGE_KEYS = """
SELECT session_id, $sort AS place
FROM task_rows FINAL
WHERE $condition
GROUP BY session_id
HAVING (place, session_id) < ({before:Int64}, {before_id:String})
ORDER BY place DESC, session_id DESC
LIMIT {limit:UInt32}
"""
_FEEDBACK = """project_id = {project:String} AND task_id IN (
        SELECT task_id FROM task_rows WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)}
    )"""
_SUMMARIES = compose(
    """
SELECT
    task.session_id AS session_id,
    toUnixTimestamp64Milli($first_task_at) AS first_task_at_ms,
    toUnixTimestamp64Milli($last_task_at) AS last_task_at_ms,
    argMin(task.preview, (task.created_at, task.task_id)) AS preview,
    $tasks AS tasks,
    $user_ids AS user_ids,
    countIf($flag = 'success') AS successes,
    countIf($flag = 'failure') AS failures,
    sum(last_feedback.number) AS feedback
FROM
(
    SELECT session_id, task_id, created_at, user_id, flag, leftUTF8(input, {characters:UInt32}) AS preview
    FROM task_rows FINAL
    WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)}
) AS task
LEFT ANY JOIN $last_feedback AS last_feedback
ON task.task_id = last_feedback.task_id
GROUP BY session_id
""",
    **{name: SESSION_FACTS[name] for name in ("first_task_at", "last_task_at", "tasks", "user_ids")},
    flag=current_flag("last_feedback.flag", "task.flag"),
    last_feedback=last_feedback(_FEEDBACK, "uniqExact(feedback_id) AS number"),
)
_ANALYSIS_TOTALS = """
SELECT
    session_id,
    sumMap(names, arrayMap(name -> 1, names)) AS event_counts,
    sumMapIf([toString(sentiment)], [1], sentiment != '') AS sentiment_counts,
    arraySort(groupUniqArrayIf(20)(toString(language), language != '')) AS languages
FROM $analysed
GROUP BY session_id
"""
# `bytes` is what a task adds to its page.
_TASK_PAGE = """
SELECT task_id, toUnixTimestamp64Milli(created_at) AS created_at_ms, $bytes AS bytes
FROM task_rows FINAL
WHERE project_id = {project:String} AND session_id = {session:String}
    AND (created_at_ms, task_id) > ({after_ms:Int64}, {after_id:String})
ORDER BY created_at_ms, task_id
LIMIT {limit:UInt32}
"""
_LAST_TASK = """
SELECT argMax(task_id, (created_at, task_id)) AS task_id FROM task_rows FINAL
WHERE project_id = {project:String} AND session_id = {session:String}
"""
_SESSION_TOTALS = compose(
    """
SELECT * EXCEPT (first_task_at, last_task_at),
    toUnixTimestamp64Milli(first_task_at) AS first_task_at_ms, toUnixTimestamp64Milli(last_task_at) AS last_task_at_ms
FROM $facts
""",
    facts=session_facts("session_id = {session:String}"),
)

Row = dict[str, Any]


class Sessions:
    """Reads sessions."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tasks = Tasks(store)

    def page(self, scope: Scope, extent: Extent, paging: Paging) -> Row:
        """
        Return `{"sessions", "next_cursor"}`: a page of the sessions that have a task in `scope`, by one of SORTS.

        They are sorted by their tasks in `scope`. The columns of each count all of its tasks.
        """
        position = paging.position(_FIRST_PLACE)

        def read(part: Scope) -> list[Row]:
            sql = compose(_PAGE_KEYS, sort=SORTS[paging.sort][1], condition=part.tasks())
            return self._store.rows(sql, part.parameters(**position))

        is_newest = paging.sort == "newest"
        rows = newest(read, scope, extent, position["before"], limit=position["limit"]) if is_newest else read(scope)
        page_rows, next_cursor = paging.split(rows, "session_id")
        sessions = self._summaries(scope, [row["session_id"] for row in page_rows])
        return {"sessions": sessions, "next_cursor": next_cursor}

    def transcript(self, project_id: str, session_id: str, after: tuple[int, str] | None, texts: Texts) -> Row:
        """
        Return a session with its tasks in their order; Problem 404 where there is none.

        There are up to TRANSCRIPT_TASKS tasks, and fewer where their `texts` are long. `events` are those of the whole
        session, each with its `task_id`.
        """
        parameters: Row = {"project": project_id, "session": session_id}
        totals = self._store.rows(_SESSION_TOTALS, parameters)
        if not totals:
            raise Problem(404, "unknown_session", f"there is no session {session_id!r} in this project")
        after_ms, after_id = after or _START_OF_TIME
        position = {"after_ms": after_ms, "after_id": after_id, "limit": TRANSCRIPT_TASKS + 1}
        rows = self._store.rows(compose(_TASK_PAGE, bytes=texts.bytes_sql), parameters | position)
        page_rows = _rows_within(rows[:TRANSCRIPT_TASKS], texts.max_page_bytes)
        last = page_rows[-1] if len(rows) > len(page_rows) else None
        cursor = encoded_cursor(last["created_at_ms"], last["task_id"]) if last else None
        task_list = self._tasks.tasks(project_id, [row["task_id"] for row in page_rows], texts)
        events = self._events_of_session(project_id, parameters)
        session = with_times(totals[0]) | {"events": events, "task_list": task_list}
        return {"session": session, "next_cursor": cursor}

    def _events_of_session(self, project_id: str, parameters: Row) -> list[Row]:
        """Return the events of a session as a whole, which stand at its last task; without rejected ones."""
        tasks = self._store.rows(_LAST_TASK, parameters)
        return [
            event | {"task_id": task["task_id"]}
            for task in self._tasks.previews(project_id, [row["task_id"] for row in tasks])
            for event in task["events"]
            if event.get("scope") == "session" and event["label"] != "rejected"
        ]

    def _summaries(self, scope: Scope, session_ids: list[str]) -> list[Row]:
        if not session_ids:
            return []
        parameters = {"project": scope.project_id, "sessions": session_ids, "characters": PREVIEW_CHARACTERS}
        condition = "session_id IN {sessions:Array(String)}"
        analyses = analysed(scope.of_project(), "session_id", "sentiment", "language", within=condition)
        sql = compose(_ANALYSIS_TOTALS, analysed=analyses)
        summaries = {row["session_id"]: row for row in self._store.rows(_SUMMARIES, parameters)}
        findings = {row["session_id"]: row for row in self._store.rows(sql, parameters)}
        # A session whose last task moved to another session between two queries is gone.
        return [
            with_times(summaries[session_id]) | _findings(findings.get(session_id))
            for session_id in session_ids
            if session_id in summaries
        ]


def _rows_within(rows: list[Row], max_bytes: int) -> list[Row]:
    """Return the first rows, up to `max_bytes` of texts; at least one."""
    sizes = accumulate(row["bytes"] for row in rows)
    return [row for index, (row, size) in enumerate(zip(rows, sizes, strict=True)) if not index or size <= max_bytes]


def _findings(row: Row | None) -> Row:
    if row is None:
        return {"events": [], "sentiments": {}, "languages": []}
    events = [{"name": name, "events": count} for name, count in zip(*row["event_counts"], strict=True)]
    sentiments = dict(zip(*row["sentiment_counts"], strict=True))
    return {"events": events, "sentiments": sentiments, "languages": row["languages"]}


# The columns that the list may show beside the first words, with their labels, and those shown by default.
COLUMNS = {
    "session": "Session", "tasks": "Tasks", "users": "Users", "languages": "Languages", "feedback": "Feedback",
    "sentiment": "Sentiment", "events": "Events", "time": "Time",
}  # fmt: skip
DEFAULT_COLUMNS = ("tasks", "users", "feedback", "sentiment", "events", "time")


class SessionPages:
    """The views of the list of sessions and of one session."""

    def __init__(self, store: Store, addable_events: PageExtras, saved_views: SavedViews) -> None:
        self._saved_views = saved_views
        self._sessions = Sessions(store)
        self._loose_steps = LooseSteps(store)
        self._addable_events = addable_events

    def views(self) -> list[View]:
        return [
            View(
                "sessions",
                "/sessions",
                "analytics/sessions.html",
                self.read_list,
                page_extras=self._list_extras,
                parameters=PAGING,
                page_parameters=("columns",),
            ),
            View(
                "sessions",
                "/sessions",
                "analytics/session.html",
                self.read_item,
                is_item=True,
                page_extras=self._item_extras,
                parameters=("cursor", TEXT_PARAMETER),
            ),
        ]

    def _list_extras(self, request: ViewRequest, _content: Content) -> Content:
        columns = chosen_columns(request, COLUMNS, DEFAULT_COLUMNS)
        saved = self._saved_views.of_list(request.project_id, "sessions", request.query, request.columns)
        return columns | sort_labels(SORTS) | saved

    def _item_extras(self, request: ViewRequest, content: Content) -> Content:
        tasks = content["session"]["task_list"]
        metadata = self._loose_steps.of_session(request.project_id, [task["task_id"] for task in tasks])
        trees = {task_id: step_tree(of_task) for task_id, of_task in metadata.items()}
        return self._addable_events(request, content) | with_messages(request.query, tasks) | {"step_trees": trees}

    def read_list(self, request: ViewRequest) -> Content:
        paging = request.paging(SORTS)
        page = self._sessions.page(request.scope, request.extent, paging)
        return {"sort": paging.sort, "has_tasks": request.has_tasks} | page

    def read_item(self, request: ViewRequest) -> Content:
        texts = SHORT_TEXTS if request.is_page else WHOLE_TEXTS
        return self._sessions.transcript(request.project_id, request.item_id, request.cursor(), texts)
