"""The tasks that people have labelled, and those that an LLM has: what a classifier is learnt from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phospho_schemas.messages import EventDefinition
from phospho_store.annotations.track_record import TrackRecord, TrackRecords, why_not_learnt
from phospho_store.store import Store
from phospho_workers.detection.candidates import content_of
from phospho_workers.detection.text.sides import SIDES
from phospho_workers.jobs.learning.session_examples import SessionExamples
from phospho_workers.jobs.sessions.long_texts import with_ends
from phospho_workers.jobs.sessions.session_facts import SessionFacts

# The newest labels of either kind of one definition that are read. More teach next to nothing, and learning takes
# time with their number: some seconds a definition with so many.
MAX_LABELS = 300
MAX_LABELS_AT_ONCE = 20_000
_TASKS_AT_ONCE = 500
# Of these the whole texts are read, which may be a megabyte each.
_LONG_TASKS_AT_ONCE = 20
# Detection reads the beginning and the end of a long text, neither longer than this.
_KEPT_CHARACTERS = 4_000


# What people say; where no person has spoken, with half of their weight, what the models of {models} said of the
# definitions as they are. `content` is what a judgement is of, and empty for a label.
_LESSONS = """
SELECT event_name, task_id, revision, label = 'confirmed' AS is_there, 1. AS weight, '' AS content
FROM label_rows FINAL WHERE project_id = {project:String} AND label != ''
UNION ALL
SELECT v.name AS event_name, v.task_id AS task_id, v.revision AS revision,
    v.answer = 'yes' AS is_there, 0.5 AS weight, v.content AS content
FROM
(
    SELECT * FROM judgement_rows FINAL
    WHERE project_id = {project:String} AND answer != '' AND judge = 'llm'
        AND (name, definition_version, toString(model)) IN
            (SELECT arrayJoin(arrayZip({names:Array(String)}, {versions:Array(UInt32)}, {models:Array(String)})))
) AS v
LEFT ANTI JOIN (SELECT * FROM label_rows FINAL WHERE project_id = {project:String} AND label != '') AS l
ON v.name = l.event_name AND v.task_id = l.task_id
"""

_LABELS = """
SELECT event_name, count() AS labels, groupBitXor(sipHash64(task_id, revision, label = 'confirmed')) AS digest
FROM label_rows FINAL WHERE project_id = {project:String} AND label != '' GROUP BY event_name
"""

# Of each project that has labels or judgements. The greatest one of a column of numbers is found at once.
_REVISIONS = """
SELECT toString(project_id) AS project_id, max(labels) AS labels, max(judgements) AS judgements FROM
(
    SELECT project_id, max(revision) AS labels, 0 AS judgements FROM label_rows GROUP BY project_id
    UNION ALL
    SELECT project_id, 0 AS labels, max(revision) AS judgements FROM judgement_rows GROUP BY project_id
)
GROUP BY project_id
"""


@dataclass(frozen=True)
class Example:
    """A task (id, input, output, system_prompt) and whether the event is in it; a person's `weight` is 1."""

    task: Mapping[str, Any]
    is_there: bool
    weight: float = 1.0


class LabelledTasks:
    """Reads of labels together with their tasks. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sessions = SessionExamples(SessionFacts(store))
        self._records = TrackRecords(store)

    def revisions(self) -> dict[str, tuple[int, int]]:
        """Return by project numbers of which one rises with each label and each judgement: a cheap question."""
        return {row["project_id"]: (row["labels"], row["judgements"]) for row in self._store.rows(_REVISIONS)}

    def digests(self, project_id: str, versions: Mapping[str, int]) -> dict[str, str]:
        """
        Return for each of these versions of definitions that has labels or judgements a text that changes with them.

        It changes with each label, whenever judgements have become a quarter more, and when they begin or cease to
        be worth learning.
        """
        labels = {row["event_name"]: row for row in self._store.rows(_LABELS, {"project": project_id})}
        judgements: Counter[str] = Counter()
        for one in self._learnt(project_id, versions):
            judgements[one.name] += one.judgements
        return {name: _digest(labels.get(name), judgements[name]) for name in labels.keys() | judgements.keys()}

    def _learnt(self, project_id: str, versions: Mapping[str, int]) -> list[TrackRecord]:
        """Return what models said that is worth learning."""
        records = self._records.of(project_id, versions)
        why_not = why_not_learnt(records)
        return [one for one in records if not why_not[one.name, one.model]]

    def examples(self, project_id: str, definitions: Sequence[EventDefinition]) -> dict[str, list[Example]]:
        """
        Return the labelled tasks of each of these definitions, by name, in the order of their ids, as each reads them.

        Those of people first, then those of an LLM, each the newest: at most MAX_LABELS of either kind a
        definition and MAX_LABELS_AT_ONCE in all. A judgement on what its task does not say any more is left out.
        """
        versions = {one.name: one.version for one in definitions}
        learnt = self._learnt(project_id, versions)
        rows = self._store.rows(
            f"SELECT event_name, task_id, is_there, weight, content FROM (SELECT * FROM ({_LESSONS})"
            " WHERE event_name IN {wanted:Array(String)}"
            f" ORDER BY weight DESC, revision DESC LIMIT {MAX_LABELS} BY event_name, is_there"
            f" LIMIT {MAX_LABELS_AT_ONCE}) ORDER BY event_name, task_id",
            {
                "project": project_id,
                "wanted": list(versions),
                "names": [one.name for one in learnt],
                "versions": [versions[one.name] for one in learnt],
                "models": [one.model for one in learnt],
            },
        )
        tasks = self._tasks_by_id(project_id, sorted({row["task_id"] for row in rows}))
        labels: dict[str, list[Mapping[str, Any]]] = {one.name: [] for one in definitions}
        for row in rows:
            labels[row["event_name"]].append(row)
        return {one.name: self._of_one(one, labels[one.name], tasks) for one in definitions}

    def _of_one(
        self, definition: EventDefinition, rows: Sequence[Mapping[str, Any]], tasks: Mapping[str, Mapping[str, Any]]
    ) -> list[Example]:
        said = [row for row in rows if row["task_id"] in tasks and _is_of(row, tasks[row["task_id"]], definition.scope)]
        read = self._sessions.tasks(definition, [tasks[row["task_id"]] for row in said])
        return [
            Example(read[row["task_id"]], bool(row["is_there"]), row["weight"])
            for row in said
            if row["task_id"] in read
        ]

    def _tasks_by_id(self, project_id: str, task_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        return {
            task["task_id"]: task for ids in _slices(task_ids, _TASKS_AT_ONCE) for task in self._tasks(project_id, ids)
        }

    def _tasks(self, project_id: str, task_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return tasks with their texts shortened, and with `contents`, by scope, of the texts as they are."""
        texts = with_ends(SIDES, _KEPT_CHARACTERS)
        is_long = " OR ".join(f"lengthUTF8(t.{column}) > {2 * _KEPT_CHARACTERS}" for column in SIDES)
        tasks = self._store.rows(
            f"SELECT project_id, task_id, t.session_id AS session_id, {is_long} AS is_long, {texts}"
            " FROM (SELECT * FROM task_rows FINAL"
            " WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}) AS t ORDER BY task_id",
            {"project": project_id, "tasks": list(task_ids)},
        )
        contents = {task["task_id"]: _contents(task) for task in tasks if not task["is_long"]}
        for ids in _slices([task["task_id"] for task in tasks if task["is_long"]], _LONG_TASKS_AT_ONCE):
            contents |= self._contents_of_long(project_id, ids)
        return [task | {"contents": contents.get(task["task_id"], {})} for task in tasks]

    def _contents_of_long(self, project_id: str, task_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        rows = self._store.rows(
            f"SELECT task_id, {', '.join(SIDES)} FROM task_rows FINAL"
            " WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}",
            {"project": project_id, "tasks": list(task_ids)},
        )
        return {row["task_id"]: _contents(row) for row in rows}


def _contents(task: Mapping[str, Any]) -> dict[str, str]:
    return {scope: content_of(task, scope) for scope in (*SIDES, "task")}


def _is_of(lesson: Mapping[str, Any], task: Mapping[str, Any], scope: str) -> bool:
    """Tell whether a lesson is of what its task says now: a person's is of the task, a judgement of a text."""
    return not lesson["content"] or lesson["content"] == task["contents"].get(scope)


def _digest(labels: Mapping[str, Any] | None, judgements: int) -> str:
    of_people = f"{labels['labels']}-{labels['digest']}" if labels else "0-0"
    return f"{of_people}-{math.ceil(math.log(1 + judgements, 1.25))}"


def _slices(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (ids[begin : begin + size] for begin in range(0, len(ids), size))
