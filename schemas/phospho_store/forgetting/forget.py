"""Forget a user, a session or a task: delete every row about it, and what was learnt from it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from phospho_schemas.ids import HybridClock
from phospho_store.forgetting.tombstones import bury
from phospho_store.ledger.deletions import record_deletions
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.revisions import observe_stored
from phospho_store.rollups.rollups import Hour, Rollups
from phospho_store.sql import compose
from phospho_store.store import Store

SubjectKind = Literal["user", "session", "task"]

# Longer than a stage goes without a look at the tombstones.
_KNOWN_AFTER_S = 2.0
_IDS_AT_ONCE = 10_000
# ClickHouse searches for so many texts at a time.
_NEEDLES_AT_ONCE = 200

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
_DEAD_LETTERS = """
SELECT DISTINCT dead_letter_id FROM dead_letter_rows
WHERE (project_id = {project:String} OR project_id = '')
    AND multiSearchAny(tryBase64Decode(payload_base64), {ids:Array(String)})
"""
_COUNT = "SELECT count() AS found FROM $table WHERE project_id = {project:String} AND $column IN {ids:Array(String)}"
_HAS_ID = "$column IN {ids:Array(String)}"
_DELETE = "DELETE FROM $table WHERE project_id = {project:String} AND $column IN {ids:Array(String)}"

_OLDER = "$condition AND version < (SELECT max(version) FROM $table WHERE $condition)"

# What is deleted, by the column that has the id. Tasks come last: while anything about one is there, it is.
_OF_SESSIONS = {"session_analysis_rows": "session_id", "session_close_rows": "session_id"}
_OF_TRACES = {"step_rows": "trace_id"}
_LEARNT_FROM = {"label_rows": "task_id", "judgement_rows": "task_id"}
_OF_TASKS = {
    **_LEARNT_FROM,
    "note_rows": "task_id",
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

    Tombstones come first. A sink reads them after each insert as well, so that a row is either deleted here or there.
    """

    def __init__(self, store: Store, clock: HybridClock) -> None:
        self._store = store
        self._clock = clock
        self._definitions = DefinitionRepository(store, clock)
        self._rollups = Rollups(store)

    def forget(self, project_id: str, kind: SubjectKind, identifier: str) -> Forgotten:
        """
        Forget a user, a session or a task of a project, with all that was derived from it. Takes seconds.

        The second pass deletes what a process has inserted before it knew of the tombstone.
        """
        observe_stored(self._clock, self._store)
        forgotten = Forgotten(self._clock.next())
        self._pass(project_id, kind, identifier, forgotten)
        time.sleep(_KNOWN_AFTER_S)
        self._pass(project_id, kind, identifier, forgotten)
        return forgotten

    def _pass(self, project_id: str, kind: SubjectKind, identifier: str, forgotten: Forgotten) -> None:
        bury(self._store, project_id, [(kind, identifier)], forgotten.revision)
        pairs = self._tasks(project_id, kind, identifier)
        task_ids = sorted({task_id for task_id, _ in pairs} | ({identifier} if kind == "task" else set()))
        session_ids = sorted({session_id for _, session_id in pairs} | ({identifier} if kind == "session" else set()))
        forgotten.tasks = max(forgotten.tasks, len(task_ids))
        forgotten.sessions = max(forgotten.sessions, len(session_ids))
        self._delete_dead_letters(project_id, [identifier, *task_ids], forgotten)
        hours = self._rolled_up_hours(project_id, task_ids, session_ids)
        for ids in _pages(task_ids):
            trace_ids = [row["trace_id"] for row in self._rows(_TRACES, project_id, ids)]
            marks = [*(("task", each) for each in ids), *(("trace", each) for each in trace_ids)]
            bury(self._store, project_id, marks, forgotten.revision)
            self._delete(_OF_TRACES, project_id, trace_ids, forgotten)
            self._delete(_OF_TASKS, project_id, ids, forgotten)
        for ids in _pages(session_ids):
            self._delete(_OF_SESSIONS, project_id, ids, forgotten)
        self._rollups.end_deletion(hours)
        self._unlearn(project_id, forgotten)
        forgotten.remaining_rows = sum(self._found(_OF_TASKS, project_id, ids).total() for ids in _pages(task_ids))

    def _rolled_up_hours(self, project_id: str, task_ids: Sequence[str], session_ids: Sequence[str]) -> list[Hour]:
        """Return the hours of the tasks and of whole sessions, whose findings go too; no rollup of them holds."""
        hours: set[Hour] = set()
        for column, identifiers in (("task_id", task_ids), ("session_id", session_ids)):
            for ids in _pages(identifiers):
                condition = column + " IN {ids:Array(String)}"
                hours.update(self._rollups.begin_deletion(project_id, condition, {"ids": list(ids)}))
        return sorted(hours)

    def _tasks(self, project_id: str, kind: SubjectKind, identifier: str) -> list[tuple[str, str]]:
        sql = compose(_TASKS, field=f"{kind}_id")
        rows = self._store.rows(sql, {"project": project_id, "id": identifier})
        return [(row["task_id"], row["session_id"]) for row in rows]

    def _delete_dead_letters(self, project_id: str, identifiers: Sequence[str], forgotten: Forgotten) -> None:
        """Delete dead letters whose bytes have one of the ids, and bury them by their own: they may be no JSON."""
        for needles in _pages(identifiers, _NEEDLES_AT_ONCE):
            ids = [row["dead_letter_id"] for row in self._rows(_DEAD_LETTERS, project_id, needles)]
            for of_project in (project_id, "") if ids else ():
                bury(self._store, of_project, [("dead_letter", each) for each in ids], forgotten.revision)
                self._delete({"dead_letter_rows": "dead_letter_id"}, of_project, ids, forgotten)

    def _delete(
        self, columns: Mapping[str, str], project_id: str, identifiers: Sequence[str], forgotten: Forgotten
    ) -> None:
        counts = self._found(columns, project_id, identifiers)
        # A delete looks into every part, also where it finds nothing.
        for table in [table for table in columns if counts[table]]:
            parameters = {"project": project_id, "ids": list(identifiers)}
            condition = compose(_HAS_ID, column=columns[table])
            record_deletions(self._store, table, condition, parameters, reason="forgotten")
            self._store.command(compose(_DELETE, table=table, column=columns[table]), parameters)
        forgotten.rows.update(counts)

    def _found(self, columns: Mapping[str, str], project_id: str, identifiers: Sequence[str]) -> Counter[str]:
        if not identifiers:
            return Counter()
        return Counter(
            {
                table: int(self._rows(compose(_COUNT, table=table, column=column), project_id, identifiers)[0]["found"])
                for table, column in columns.items()
            }
        )

    def _rows(self, sql: str, project_id: str, identifiers: Sequence[str]) -> list[dict[str, Any]]:
        return list(self._store.rows(sql, {"project": project_id, "ids": list(identifiers)}))

    def _unlearn(self, project_id: str, forgotten: Forgotten) -> None:
        """
        Replace what was learnt from the deleted rows by nothing, so that jobs learn it anew from the others.

        A student is learnt from texts; classifiers from labels and judgements.
        """
        if any(forgotten.rows[table] for table in _LEARNT_FROM):
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

    def _delete_older(self, table: str, project_id: str, forgotten: Forgotten, name: str = "") -> None:
        condition = "project_id = {project:String}" + (" AND name = {name:String}" if name else "")
        older = compose(_OLDER, table=table, condition=condition)
        parameters = {"project": project_id, "name": name}
        rows = self._store.rows(f"SELECT count() AS found FROM {table} WHERE {older}", parameters)
        forgotten.rows[table] += int(rows[0]["found"])
        self._store.command(f"DELETE FROM {table} WHERE {older}", parameters)


def _pages(identifiers: Sequence[str], size: int = _IDS_AT_ONCE) -> Iterator[Sequence[str]]:
    return (identifiers[start : start + size] for start in range(0, len(identifiers), size))
