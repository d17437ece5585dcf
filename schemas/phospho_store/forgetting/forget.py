"""Forget a user, a session or a task: delete every row about it, and what was learnt from it."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import Literal

import orjson

from phospho_schemas.ids import HybridClock
from phospho_store.forgetting.deletion import (
    TABLES_OF_DEAD_LETTERS,
    TABLES_OF_TRACES,
    count_rows,
    delete_rows,
    pages,
)
from phospho_store.forgetting.tombstones import store_tombstones
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.themes import ThemeRepository
from phospho_store.revisions import observe_stored
from phospho_store.rollups.rollups import Hour, Rollups
from phospho_store.sql import compose
from phospho_store.store import Store

SubjectKind = Literal["user", "session", "task"]

# Longer than a stage goes without a look at the tombstones.
_KNOWN_AFTER_S = 2.0

_TASKS = """
SELECT DISTINCT task_id, session_id FROM
(
    SELECT task_id, session_id FROM task_rows WHERE project_id = {project:String} AND $field = {id:String}
    UNION ALL
    SELECT task_id, session_id FROM analysis_rows WHERE project_id = {project:String} AND $field = {id:String}
)
"""
_TRACES = """
SELECT DISTINCT toString(metadata.trace_id) AS trace_id FROM task_rows
WHERE project_id = {project:String} AND task_id IN {ids:Array(String)} AND trace_id != ''
"""
# The letters of the project by the ids in their JSON, as extraction reads them. Where a letter is no JSON object, its
# bytes are searched for the ids as whole words, since an id may be as short as "1", or the beginning of an e-mail
# address. Letters that name no project stay: other tenants' may be among them.
_DEAD_LETTERS = r"""
WITH
    tryBase64Decode(payload_base64) AS payload,
    isValidJSON(payload) AND JSONType(payload) = 'Object' AS is_object,
    JSONExtract(payload, 'task_id', 'String') AS letter_task_id,
    JSONExtract(payload, 'user_id', 'String') AS letter_user_id,
    if(letter_task_id != '', letter_task_id, JSONExtract(payload, 'event_id', 'String')) AS of_task,
    if(letter_user_id != '', letter_user_id, JSONExtract(payload, 'metadata', 'user_id', 'String')) AS of_user,
    JSONExtract(payload, 'session_id', 'String') AS of_session,
    of_task IN {ids:Array(String)} OR JSONExtract(payload, 'trace_id', 'String') IN {traces:Array(String)} AS has_id,
    arrayStringConcat(arrayMap(id -> regexpQuoteMeta(id), {words:Array(String)}), '|') AS words
SELECT DISTINCT dead_letter_id FROM dead_letter_rows
WHERE (project_id = {project:String} OR project_id = '' AND JSONExtractString(payload, 'project_id') = {project:String})
    AND if(is_object, has_id OR $subject = {id:String}, match(payload, concat({before:String}, words, {after:String})))
"""
# Between a letter or digit and another, these belong to an id: ann is not in ann-2, ann.b or ann@example.com.
_JOINERS = r".@+\-"
_BEFORE_WORD = rf"(?s)(^|[^\p{{L}}\p{{M}}\p{{N}}_{_JOINERS}])[{_JOINERS}]*("
_AFTER_WORD = rf")[{_JOINERS}]*($|[^\p{{L}}\p{{M}}\p{{N}}_{_JOINERS}])"

_OLDER = "$condition AND version < (SELECT max(version) FROM $table WHERE $condition)"

# What is deleted, by the column that has the id. Tasks come last, so that a repetition finds what is left of them.
_OF_SESSIONS = {"session_analysis_rows": "session_id", "session_close_rows": "session_id"}
_EXAMPLES = {"label_rows": "task_id", "judgement_rows": "task_id"}
_OF_TASKS = {
    **_EXAMPLES,
    "note_rows": "task_id",
    "review_rows": "task_id",
    "feedback_rows": "task_id",
    "session_task_rows": "task_id",
    "webhook_delivery_rows": "JSONExtractString(payload, 'data', 'task_id')",
    "log_part_rows": "task_id",
    "analysis_rows": "task_id",
    "task_rows": "task_id",
}


@dataclass
class Forgotten:
    """The deleted rows by table, and the tasks and sessions that they were of."""

    revision: int
    rows: Counter[str] = field(default_factory=Counter)
    tasks: int = 0
    sessions: int = 0
    remaining_rows: int = 0


class Forgetting:
    """
    Deletes what was logged about a subject up to now. Blocking; raises what the store raises. Safe to repeat.

    Tombstones come first. The sink reads them again after each insert, so that a row is deleted either here or there.
    """

    def __init__(self, store: Store, clock: HybridClock) -> None:
        self._store = store
        self._clock = clock
        self._definitions = DefinitionRepository(store, clock)
        self._themes = ThemeRepository(store)
        self._rollups = Rollups(store)

    def forget(self, project_id: str, kind: SubjectKind, identifier: str) -> Forgotten:
        """
        Forget a user, a session or a task of a project, with all that was derived from it. Takes seconds.

        The second pass deletes what a process has inserted before it knew of the tombstone.
        """
        observe_stored(self._clock, self._store)
        forgotten = Forgotten(self._clock.next())
        self._delete_all(project_id, kind, identifier, forgotten)
        time.sleep(_KNOWN_AFTER_S)
        self._delete_all(project_id, kind, identifier, forgotten)
        return forgotten

    def _delete_all(self, project_id: str, kind: SubjectKind, identifier: str, forgotten: Forgotten) -> None:
        store_tombstones(self._store, project_id, [(kind, identifier)], forgotten.revision)
        pairs = self._tasks(project_id, kind, identifier)
        task_ids = sorted({task_id for task_id, _ in pairs} | ({identifier} if kind == "task" else set()))
        session_ids = sorted({session_id for _, session_id in pairs} | ({identifier} if kind == "session" else set()))
        forgotten.tasks = max(forgotten.tasks, len(task_ids))
        forgotten.sessions = max(forgotten.sessions, len(session_ids))
        hours = self._rolled_up_hours(project_id, task_ids, session_ids)
        for ids in pages(task_ids) if task_ids else ([],):
            traces = self._store.rows(_TRACES, {"project": project_id, "ids": list(ids)})
            trace_ids = [row["trace_id"] for row in traces]
            marks = [*(("task", each) for each in ids), *(("trace", each) for each in trace_ids)]
            store_tombstones(self._store, project_id, marks, forgotten.revision)
            self._delete_dead_letters(project_id, (kind, identifier), ids, trace_ids=trace_ids, forgotten=forgotten)
            forgotten.rows += delete_rows(self._store, TABLES_OF_TRACES, project_id, trace_ids)
            forgotten.rows += delete_rows(self._store, _OF_TASKS, project_id, ids)
        forgotten.rows += delete_rows(self._store, _OF_SESSIONS, project_id, session_ids)
        self._rollups.end_deletion(hours)
        self._reset_models(project_id, forgotten)
        self._reset_themes(project_id, set(task_ids), forgotten)
        remaining = (count_rows(self._store, _OF_TASKS, project_id, ids) for ids in pages(task_ids))
        forgotten.remaining_rows = sum(counts.total() for counts in remaining)

    def _rolled_up_hours(self, project_id: str, task_ids: Sequence[str], session_ids: Sequence[str]) -> list[Hour]:
        """Return the hours of the tasks and of whole sessions, whose findings go too; no rollup of them holds."""
        hours: set[Hour] = set()
        for column, identifiers in (("task_id", task_ids), ("session_id", session_ids)):
            for ids in pages(identifiers):
                condition = column + " IN {ids:Array(String)}"
                hours.update(self._rollups.begin_deletion(project_id, condition, {"ids": list(ids)}))
        return sorted(hours)

    def _tasks(self, project_id: str, kind: SubjectKind, identifier: str) -> list[tuple[str, str]]:
        sql = compose(_TASKS, field=f"{kind}_id")
        rows = self._store.rows(sql, {"project": project_id, "id": identifier})
        return [(row["task_id"], row["session_id"]) for row in rows]

    def _delete_dead_letters(
        self,
        project_id: str,
        subject: tuple[SubjectKind, str],
        task_ids: Sequence[str],
        *,
        trace_ids: Sequence[str],
        forgotten: Forgotten,
    ) -> None:
        """Delete the dead letters of a subject and its tasks, with tombstones of their own: they may be no JSON."""
        kind, identifier = subject
        parameters = {
            "project": project_id,
            "id": identifier,
            "ids": list(task_ids),
            "traces": list(trace_ids),
            "words": _as_written([identifier, *task_ids]),
            "before": _BEFORE_WORD,
            "after": _AFTER_WORD,
        }
        sql = compose(_DEAD_LETTERS, subject=f"of_{kind}")
        ids = [row["dead_letter_id"] for row in self._store.rows(sql, parameters)]
        store_tombstones(self._store, project_id, [("dead_letter", each) for each in ids], forgotten.revision)
        for of_project in (project_id, ""):
            forgotten.rows += delete_rows(self._store, TABLES_OF_DEAD_LETTERS, of_project, ids)

    def _reset_models(self, project_id: str, forgotten: Forgotten) -> None:
        """
        Replace what was learnt from the deleted rows by nothing, so that jobs learn it anew from the others.

        A student is learnt from texts; classifiers from labels and judgements.
        """
        if any(forgotten.rows[table] for table in _EXAMPLES):
            for classifier in self._definitions.classifiers():
                if classifier.project_id == project_id:
                    empty = {"version": classifier.version + 1, "classifier": "", "quality": "{}", "labels_digest": ""}
                    self._definitions.save_classifier(classifier.model_copy(update=empty))
                    self._delete_older("classifier_rows", project_id, forgotten, name=classifier.name)
        if forgotten.rows["task_rows"]:
            for student in self._definitions.students():
                if student.project_id == project_id:
                    empty = {"version": student.version + 1, "student": "", "quality": "{}", "tasks": 0}
                    self._definitions.save_student(student.model_copy(update=empty))
                    self._delete_older("student_rows", project_id, forgotten)

    def _reset_themes(self, project_id: str, task_ids: Set[str], forgotten: Forgotten) -> None:
        """Take deleted tasks out of the examples of themes, and have the job find themes without their texts."""
        if not forgotten.rows["task_rows"] or self._themes.model(project_id) is None:
            return
        themes = [theme for theme in self._themes.themes(project_id) if not task_ids.isdisjoint(theme.examples)]
        for theme in themes:
            left = [task_id for task_id in theme.examples if task_id not in task_ids]
            self._themes.save_theme(theme.model_copy(update={"examples": left}))
        self._themes.request_refresh(project_id, "forget")

    def _delete_older(self, table: str, project_id: str, forgotten: Forgotten, name: str = "") -> None:
        condition = "project_id = {project:String}" + (" AND name = {name:String}" if name else "")
        older = compose(_OLDER, table=table, condition=condition)
        parameters = {"project": project_id, "name": name}
        rows = self._store.rows(f"SELECT count() AS found FROM {table} WHERE {older}", parameters)
        forgotten.rows[table] += int(rows[0]["found"])
        self._store.command(f"DELETE FROM {table} WHERE {older}", parameters)


def _as_written(identifiers: Sequence[str]) -> list[str]:
    """Return each id as it stands in text and in JSON, whose writers escape more or less of it, in either case."""
    forms: dict[str, None] = {}
    for identifier in identifiers:
        escaped = json.dumps(identifier)[1:-1]
        upper = re.sub(r"(?<=\\u)[0-9a-f]{4}", lambda digits: digits[0].upper(), escaped)
        forms.update(dict.fromkeys((identifier, orjson.dumps(identifier).decode()[1:-1], escaped, upper)))
    return list(forms)
