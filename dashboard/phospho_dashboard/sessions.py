"""
What the pages say of sessions: a page of them, and the transcript of one.

These read the base tables, not the views: a page needs the newest sessions of one project, and the views would
aggregate or join every row of it. The rules are the views': FINAL, and a person's last verdict before the log's flag.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from phospho_dashboard.times import with_times
from phospho_schemas.errors import Problem
from phospho_store.cursors import encoded_cursor
from phospho_store.store import Store

PREVIEW_CHARACTERS = 200
TRANSCRIPT_TASKS = 200
_START_OF_TIME = (-(2**62), "")
_END_OF_TIME = (2**62, "")

# Narrow columns only; the wide ones are read for the sessions of one page.
_PAGE = """
SELECT session_id, toUnixTimestamp64Milli(max(created_at)) AS last_task_at_ms
FROM task_rows FINAL
WHERE project_id = {project:String} AND %(condition)s
GROUP BY session_id
HAVING (last_task_at_ms, session_id) < ({before_ms:Int64}, {before_id:String})
ORDER BY last_task_at_ms DESC, session_id DESC
LIMIT {limit:UInt32}
"""
_WITH_EVENT = """session_id IN (
    SELECT session_id FROM analysis_rows FINAL
    WHERE project_id = {project:String} AND has(events.name, {event:String})
)"""
_WITH_WORDS = """session_id IN (
    SELECT session_id FROM task_rows FINAL WHERE project_id = {project:String}
    AND (positionCaseInsensitiveUTF8(input, {words:String}) > 0
        OR positionCaseInsensitiveUTF8(output, {words:String}) > 0)
)"""
_SUMMARIES = """
SELECT
    task.session_id AS session_id,
    toUnixTimestamp64Milli(min(task.created_at)) AS first_task_at_ms,
    toUnixTimestamp64Milli(max(task.created_at)) AS last_task_at_ms,
    argMin(task.preview, (task.created_at, task.task_id)) AS preview,
    count() AS tasks,
    arraySort(groupUniqArrayIf(20)(task.user_id, task.user_id != '')) AS user_ids,
    countIf(if(verdict.flag != '', verdict.flag, task.flag) = 'success') AS successes,
    countIf(if(verdict.flag != '', verdict.flag, task.flag) = 'failure') AS failures,
    sum(verdict.facts) AS feedback
FROM
(
    SELECT session_id, task_id, created_at, user_id, flag, leftUTF8(input, {characters:UInt32}) AS preview
    FROM task_rows FINAL
    WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)}
) AS task
LEFT ANY JOIN
(
    SELECT task_id, uniqExact(feedback_id) AS facts, argMax(toString(feedback_rows.flag), revision) AS flag
    FROM feedback_rows
    WHERE project_id = {project:String} AND task_id IN (
        SELECT task_id FROM task_rows WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)}
    )
    GROUP BY task_id
) AS verdict
ON task.task_id = verdict.task_id
GROUP BY session_id
"""
_FINDINGS = """
SELECT
    session_id,
    sumMap(CAST(events.name, 'Array(String)'), arrayMap(name -> 1, events.name)) AS event_counts,
    sumMapIf([toString(sentiment)], [1], sentiment != '') AS sentiment_counts,
    arraySort(groupUniqArrayIf(20)(toString(language), language != '')) AS languages
FROM analysis_rows FINAL
WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)}
GROUP BY session_id
"""
_FEEDBACK_OF = """
SELECT task_id, flag, score, comment, source, toUnixTimestamp64Milli(created_at) AS created_at_ms
FROM feedback_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
ORDER BY revision, feedback_id
"""
_TRANSCRIPT = """
SELECT
    task_id, toUnixTimestamp64Milli(created_at) AS created_at_ms, user_id, version_id,
    input, output, system_prompt, flag, model, tokens_in, tokens_out, latency_ms,
    metadata, raw_input, raw_output, source
FROM task_rows FINAL
WHERE project_id = {project:String} AND session_id = {session:String}
    AND (created_at_ms, task_id) > ({after_ms:Int64}, {after_id:String})
ORDER BY created_at_ms, task_id
LIMIT {limit:UInt32}
"""
_TRANSCRIPT_ANALYSES = """
SELECT task_id, language, sentiment, sentiment_score, events
FROM analysis_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
"""
_SESSION_TOTALS = """
SELECT count() AS tasks, toUnixTimestamp64Milli(min(created_at)) AS first_task_at_ms,
    toUnixTimestamp64Milli(max(created_at)) AS last_task_at_ms,
    sum(ifNull(tokens_in, 0)) AS tokens_in, sum(ifNull(tokens_out, 0)) AS tokens_out,
    arraySort(groupUniqArrayIf(20)(user_id, user_id != '')) AS user_ids,
    arraySort(groupUniqArrayIf(20)(toString(version_id), version_id != '')) AS version_ids,
    arraySort(groupUniqArrayIf(20)(toString(model), model != '')) AS models
FROM task_rows FINAL
WHERE project_id = {project:String} AND session_id = {session:String}
"""
# A definition that has found nothing yet is counted too: zero is an answer.
_EVENT_COUNTS = """
SELECT name, sum(found) AS events, uniqExactIf(session_id, found > 0) AS sessions
FROM
(
    SELECT toString(name) AS name, session_id, 1 AS found FROM events WHERE project_id = {project:String}
    UNION ALL
    SELECT name, '' AS session_id, 0 AS found FROM definitions WHERE project_id = {project:String}
)
GROUP BY name
ORDER BY events DESC, name
LIMIT 1000
"""


@dataclass(frozen=True)
class SessionFilter:
    """What a list of sessions is narrowed to; empty strings narrow nothing. `words` is one phrase, any case."""

    event: str = ""
    words: str = ""

    def condition(self) -> str:
        """Return the SQL condition; it takes the parameters `event` and `words`."""
        chosen = [_WITH_EVENT] if self.event else []
        chosen += [_WITH_WORDS] if self.words else []
        return " AND ".join(chosen) or "1"


class Sessions:
    """Reads sessions. Blocking; times come as text: ISO 8601, UTC."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(
        self, project_id: str, chosen: SessionFilter, before: tuple[int, str] | None, limit: int
    ) -> dict[str, Any]:
        """Return up to `limit` sessions, the one with the latest task first, and the cursor of the next page."""
        before_ms, before_id = before or _END_OF_TIME
        parameters: dict[str, Any] = {"project": project_id, "event": chosen.event, "words": chosen.words}
        parameters |= {"before_ms": before_ms, "before_id": before_id, "limit": limit + 1}
        found = self._store.rows(_PAGE % {"condition": chosen.condition()}, parameters)
        shown = found[:limit]
        last = shown[-1] if len(found) > limit else None
        return {
            "sessions": self._summaries(project_id, [row["session_id"] for row in shown]),
            "next_cursor": encoded_cursor(last["last_task_at_ms"], last["session_id"]) if last else None,
        }

    def event_counts(self, project_id: str) -> list[dict[str, Any]]:
        """Return `{"name", "events", "sessions"}` of each event of a project, the most frequent first."""
        return self._store.rows(_EVENT_COUNTS, {"project": project_id})

    def transcript(self, project_id: str, session_id: str, after: tuple[int, str] | None) -> dict[str, Any]:
        """Return a session with up to TRANSCRIPT_TASKS tasks in their order; Problem 404 where there is none."""
        parameters: dict[str, Any] = {"project": project_id, "session": session_id}
        totals = self._store.rows(_SESSION_TOTALS, parameters)[0]
        if not totals["tasks"]:
            raise Problem(404, "unknown_session", f"there is no session {session_id!r} in this project")
        after_ms, after_id = after or _START_OF_TIME
        place = {"after_ms": after_ms, "after_id": after_id, "limit": TRANSCRIPT_TASKS + 1}
        found = self._store.rows(_TRANSCRIPT, parameters | place)
        shown = found[:TRANSCRIPT_TASKS]
        last = shown[-1] if len(found) > TRANSCRIPT_TASKS else None
        cursor = encoded_cursor(last["created_at_ms"], last["task_id"]) if last else None
        session = {"session_id": session_id, **with_times(totals), "task_list": self._turns(project_id, shown)}
        return {"session": session, "next_cursor": cursor}

    def _summaries(self, project_id: str, session_ids: list[str]) -> list[dict[str, Any]]:
        if not session_ids:
            return []
        parameters = {"project": project_id, "sessions": session_ids, "characters": PREVIEW_CHARACTERS}
        summaries = {row["session_id"]: row for row in self._store.rows(_SUMMARIES, parameters)}
        findings = {row["session_id"]: row for row in self._store.rows(_FINDINGS, parameters)}
        # A session whose last task moved to another one between two queries is gone, and left out.
        known = [session_id for session_id in session_ids if session_id in summaries]
        return [with_times(summaries[session_id]) | _findings(findings.get(session_id)) for session_id in known]

    def _turns(self, project_id: str, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        task_ids = [task["task_id"] for task in tasks]
        found = self._store.rows(_TRANSCRIPT_ANALYSES, {"project": project_id, "tasks": task_ids})
        analyses = {row["task_id"]: row for row in found}
        verdicts = self._feedback(project_id, task_ids)
        return [_turn(task, analyses.get(task["task_id"], {}), verdicts.get(task["task_id"], [])) for task in tasks]

    def _feedback(self, project_id: str, task_ids: list[str]) -> dict[str, list[dict[str, Any]]]:
        """Return the verdicts on each task, the last one last."""
        verdicts: dict[str, list[dict[str, Any]]] = {}
        for row in self._store.rows(_FEEDBACK_OF, {"project": project_id, "tasks": task_ids}):
            verdicts.setdefault(row.pop("task_id"), []).append(with_times(row))
        return verdicts


def _findings(row: dict[str, Any] | None) -> dict[str, Any]:
    if row is None:
        return {"events": [], "sentiments": {}, "languages": []}
    events = [{"name": name, "events": count} for name, count in zip(*row["event_counts"], strict=True)]
    sentiments = dict(zip(*row["sentiment_counts"], strict=True))
    return {"events": events, "sentiments": sentiments, "languages": row["languages"]}


def _turn(task: dict[str, Any], analysis: dict[str, Any], verdicts: list[dict[str, Any]]) -> dict[str, Any]:
    said = {name: analysis.get(name) for name in ("language", "sentiment", "sentiment_score")}
    return (
        with_times(task)
        | said
        | {"flag": _flag(task, verdicts), "events": analysis.get("events", []), "feedback": verdicts}
    )


def _flag(task: dict[str, Any], verdicts: list[dict[str, Any]]) -> str:
    return str(verdicts[-1]["flag"]) if verdicts else str(task["flag"])
