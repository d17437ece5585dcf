"""Tasks: the list of them, and one with its texts, findings, feedback and notes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from phospho_dashboard.analytics.loose_steps import LooseSteps
from phospho_dashboard.analytics.texts import WHOLE_TEXTS, Texts
from phospho_dashboard.layout.views import Paging, ViewRequest, chosen_columns, sort_labels
from phospho_dashboard.queries.filters import Scope, newest
from phospho_dashboard.queries.periods import Extent, Span
from phospho_dashboard.web.formats import with_times
from phospho_store.events import Content, content_of, judged_events, labelled_events
from phospho_store.metadata import with_metadata_as_logged
from phospho_store.sql import compose
from phospho_store.sql.feedback import flag_of
from phospho_store.sql.sessions import session_events
from phospho_store.sql.themes import current_themes, theme_of
from phospho_store.store import Store
from phospho_web.problems import Problem

_LABELS = """
SELECT task_id, event_name, label, event_id, value, category
FROM label_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)} AND label != ''
ORDER BY event_name
"""
_JUDGEMENTS = """
SELECT name, definition_version, content, answer, score, judge, value, category
FROM judgement_rows FINAL
WHERE project_id = {project:String} AND name IN {names:Array(String)} AND content IN {contents:Array(String)}
    AND answer != ''
"""
# By the primary key, and nothing for most pages: their state is read only for the sessions that have events.
_SESSIONS_WITH_EVENTS = """
SELECT DISTINCT session_id FROM session_analysis_rows
WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)} AND notEmpty(events.name)
"""
_OF_SESSIONS = "project_id = {project:String} AND session_id IN {sessions:Array(String)}"
_SESSION_EVENTS = compose(
    "SELECT task_id, arrayJoin(events) AS event FROM $session_events ORDER BY task_id, turn",
    session_events=session_events(
        _OF_SESSIONS + " AND task_id IN {tasks:Array(String)}",
        "found.task_id AS task_id",
        "found.turn AS turn",
        "found.events AS events",
        tasks=_OF_SESSIONS,
    ),
)

Row = dict[str, Any]


class TaskEvents:
    """Reads of the events of tasks. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def events(self, project_id: str, tasks: Sequence[Row], analyses: Mapping[str, Row]) -> dict[str, list[Row]]:
        """
        Return, by task, its events in the order in which they were found, each with a person's `label`.

        A rejected event is still listed, so that its rejection can be seen and taken back. What was found in a session
        stands at its last task, and what was found in a turn with those before it at the turn's. `analyses` are rows
        of `analysis_rows`, by task, with `events` and `candidates`.
        """
        ids = [task["task_id"] for task in tasks]
        parameters = {"project": project_id, "tasks": ids}
        labels = _by_task(self._store.rows(_LABELS, parameters))
        session_rows = self._session_events(parameters, tasks)
        judgements = self._judgements(project_id, analyses)
        events: dict[str, list[Row]] = {}
        for task_id in ids:
            analysis = analyses.get(task_id)
            own_events = judged_events(analysis, judgements) if analysis else ()
            in_sessions = (row["event"] for row in session_rows[task_id])
            events[task_id] = list(labelled_events([*own_events, *in_sessions], labels[task_id]))
        return events

    def _session_events(self, parameters: Row, tasks: Sequence[Row]) -> dict[str, list[Row]]:
        sessions = _distinct(tasks, "session_id")
        rows = self._store.rows(_SESSIONS_WITH_EVENTS, parameters | {"sessions": sessions})
        if not rows:
            return defaultdict(list)
        return _by_task(self._store.rows(_SESSION_EVENTS, parameters | {"sessions": _distinct(rows, "session_id")}))

    def _judgements(self, project_id: str, analyses: Mapping[str, Row]) -> dict[Content, Row]:
        candidates = [candidate for row in analyses.values() for candidate in row["candidates"]]
        if not candidates:
            return {}
        contents = {"names": _distinct(candidates, "name"), "contents": _distinct(candidates, "content")}
        rows = self._store.rows(_JUDGEMENTS, {"project": project_id, **contents})
        return {content_of(row): row for row in rows}


def _distinct(rows: Iterable[Row], column: str) -> list[str]:
    return sorted({row[column] for row in rows})


def _by_task(rows: Iterable[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row.pop("task_id")].append(row)
    return grouped


PREVIEW_CHARACTERS = 240
MATCH_CHARACTERS = 1000
_FIRST_PLACE = (2**62, "\U0010ffff")

# The sorts of the list, the greatest first: the name in the URL, the label, and an Int64.
SORTS = {
    "newest": ("Newest first", "toUnixTimestamp64Milli(created_at)"),
    "oldest": ("Oldest first", "-toUnixTimestamp64Milli(created_at)"),
    "slowest": ("Slowest first", "toInt64(round(least(ifNull(latency_ms, -1), 1e12) * 1000))"),
    "tokens": ("Most tokens first", "toInt64(ifNull(tokens_in, 0)) + toInt64(ifNull(tokens_out, 0))"),
}

# Narrow columns only. The wide ones are read for the tasks of one page.
_PAGE_KEYS = """
SELECT task_id, $sort AS place
FROM task_rows FINAL
WHERE $condition AND (place, task_id) < ({before:Int64}, {before_id:String})
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
_WHOLE = """
SELECT
    task_id, session_id, user_id, version_id, toUnixTimestamp64Milli(created_at) AS created_at_ms,
    toUnixTimestamp64Milli(received_at) AS received_at_ms, $texts, flag, model, tokens_in, tokens_out, latency_ms,
    source, whole_log_id
FROM task_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
"""
# The part of each text around a phrase; the beginning, where the phrase is spelled otherwise.
_AROUND = """substringUTF8(
    task_rows.$side,
    greatest(toInt64(positionCaseInsensitiveUTF8(task_rows.$side, {phrase:String})) - 80, 1),
    {characters:UInt32}
)"""
_MATCHES = compose(
    """
SELECT task_id, $input AS input, $output AS output
FROM task_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
""",
    input=compose(_AROUND, side="input"),
    output=compose(_AROUND, side="output"),
)
_ANALYSES = compose(
    """
SELECT task_id, language, sentiment, sentiment_score, sentiment_magnitude, output_language, output_sentiment,
    output_sentiment_score, output_sentiment_magnitude, $theme AS theme, events, candidates
FROM analysis_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
""",
    theme=theme_of(),
)
_THEMES = compose("SELECT theme_id, title FROM $themes", themes=current_themes("project_id = {project:String}"))
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
    argMaxIf(task_id, place, place < (parseDateTime64BestEffort({at:String}, 3, 'UTC'), {task:String})) AS previous,
    argMinIf(task_id, place, place > (parseDateTime64BestEffort({at:String}, 3, 'UTC'), {task:String})) AS next
FROM
(
    SELECT task_id, (created_at, task_id) AS place
    FROM task_rows FINAL
    WHERE project_id = {project:String} AND session_id = {session:String}
)
"""

_ANALYSIS_COLUMNS = (
    "language", "sentiment", "sentiment_score", "sentiment_magnitude", "output_language", "output_sentiment",
    "output_sentiment_score", "output_sentiment_magnitude", "theme",
)  # fmt: skip


class Tasks:
    """Read tasks. Blocking."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._events = TaskEvents(store)
        self._loose_steps = LooseSteps(store)

    def page(self, scope: Scope, extent: Extent, paging: Paging) -> Row:
        """Return `{"tasks", "next_cursor"}`: a page of the tasks of `scope` by one of SORTS, with previews of texts."""
        position, is_newest = paging.position(_FIRST_PLACE), paging.sort == "newest"

        def read(part: Scope) -> list[Row]:
            part = _up_to(part, position["before"]) if is_newest else part
            sql = compose(_PAGE_KEYS, sort=SORTS[paging.sort][1], condition=part.tasks())
            return self._store.rows(sql, part.parameters(**position))

        rows = newest(read, scope, extent, position["before"], limit=position["limit"]) if is_newest else read(scope)
        page_rows, next_cursor = paging.split(rows, "task_id")
        tasks = self.previews(scope.project_id, [row["task_id"] for row in page_rows])
        return {"tasks": tasks, "next_cursor": next_cursor}

    def count(self, scope: Scope) -> int:
        """Return the number of tasks of `scope`."""
        sql = f"SELECT count() AS tasks FROM task_rows FINAL WHERE {scope.tasks()}"
        [row] = self._store.rows(sql, scope.parameters())
        return int(row["tasks"])

    def previews(self, project_id: str, task_ids: list[str]) -> list[Row]:
        """Return the tasks of these ids in their order, with their texts cut; those that are gone are left out."""
        if not task_ids:
            return []
        parameters = {"project": project_id, "tasks": task_ids, "characters": PREVIEW_CHARACTERS}
        rows = {row["task_id"]: row for row in self._store.rows(_PREVIEWS, parameters)}
        return self.with_findings(project_id, [rows[task_id] for task_id in task_ids if task_id in rows])

    def matches(self, project_id: str, task_ids: list[str], phrase: str) -> dict[str, tuple[str, str]]:
        """Return by task the parts of its input and its output in which a search for `phrase` looks for it."""
        parameters = {"project": project_id, "tasks": task_ids, "phrase": phrase, "characters": MATCH_CHARACTERS}
        rows = self._store.rows(_MATCHES, parameters) if task_ids and phrase else []
        return {row["task_id"]: (row["input"], row["output"]) for row in rows}

    def task(self, project_id: str, task_id: str, texts: Texts = WHOLE_TEXTS) -> Row:
        """Return one task with its texts, findings, feedback and neighbours in the session; Problem 404."""
        tasks = self.tasks(project_id, [task_id], texts)
        if not tasks:
            raise Problem(404, "unknown_task", f"there is no task {task_id!r} in this project")
        position = {"at": tasks[0]["created_at"], "task": task_id, "session": tasks[0]["session_id"]}
        [neighbours] = self._store.rows(_NEIGHBOURS, {"project": project_id, **position})
        tasks[0]["metadata"] = self._loose_steps.joined(project_id, tasks)[task_id]
        return {"task": tasks[0], **neighbours}

    def tasks(self, project_id: str, task_ids: list[str], texts: Texts) -> list[Row]:
        """Return the tasks of these ids in their order, with `texts`, findings and feedback."""
        sql = compose(_WHOLE, texts=texts.columns_sql)
        tasks = map(with_metadata_as_logged, self._store.rows(sql, {"project": project_id, "tasks": task_ids}))
        rows = {row["task_id"]: row for row in tasks}
        return self.with_findings(project_id, [rows[task_id] for task_id in task_ids if task_id in rows])

    def with_findings(self, project_id: str, tasks: list[Row]) -> list[Row]:
        """Return `tasks` with their analyses, events, feedback and notes; the last feedback sets the task's flag."""
        parameters = {"project": project_id, "tasks": [task["task_id"] for task in tasks]}
        analyses = {row.pop("task_id"): row for row in self._store.rows(_ANALYSES, parameters)}
        feedback = _by_task(with_times(row) for row in self._store.rows(_FEEDBACK, parameters))
        events = self._events.events(project_id, tasks, analyses)
        notes = _by_task(with_times(row) for row in self._store.rows(_NOTES, parameters))
        titles = self._theme_titles(project_id, analyses.values())
        return [
            _with_analysis(task, analyses.get(task["task_id"], {}), feedback[task["task_id"]])
            | {"theme_title": titles.get(analyses.get(task["task_id"], {}).get("theme", ""), "")}
            | {"events": events[task["task_id"]], "notes": notes[task["task_id"]]}
            for task in tasks
        ]

    def _theme_titles(self, project_id: str, analyses: Iterable[Row]) -> dict[str, str]:
        """Return the titles of the project's themes by id; none where no analysis has a theme."""
        if not any(row["theme"] for row in analyses):
            return {}
        return {row["theme_id"]: row["title"] for row in self._store.rows(_THEMES, {"project": project_id})}


def _up_to(scope: Scope, last_ms: int) -> Scope:
    """Return `scope` without the tasks after `last_ms`. The cursor excludes them too; the index then skips them."""
    end_ms = scope.span.end_ms
    is_last = last_ms < _FIRST_PLACE[0] and (end_ms is None or last_ms < end_ms)
    return scope.within(Span(scope.span.start_ms, last_ms + 1)) if is_last else scope


def _with_analysis(task: Row, analysis: Row, feedback: list[Row]) -> Row:
    columns = {name: analysis.get(name) for name in _ANALYSIS_COLUMNS}
    return with_times(task) | columns | {"flag": flag_of(feedback, task["flag"]), "feedback": feedback}


# The columns that the list may show beside the input, with their labels, and those shown by default.
COLUMNS = {
    "output": "Output", "theme": "Theme", "events": "Events", "sentiment": "Sentiment", "feedback": "Feedback",
    "language": "Language", "user": "User", "version": "Version", "model": "Model", "latency": "Latency",
    "tokens": "Tokens", "session": "Session", "time": "Time",
}  # fmt: skip
DEFAULT_COLUMNS = ("output", "events", "sentiment", "feedback", "latency", "time")


def task_list_extras(request: ViewRequest, _content: Row) -> Row:
    """Return the columns and the sorts of a list of tasks, for a template."""
    return chosen_columns(request, COLUMNS, DEFAULT_COLUMNS) | sort_labels(SORTS)
