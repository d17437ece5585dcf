"""The tasks that classifiers are trained on: labelled by people, or judged by an LLM."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from phospho_schemas.definitions.validation import needs_session
from phospho_schemas.messages import EventDefinition
from phospho_store.annotations.judge_statistics import JudgeStatistics, JudgeStatisticsRepository, distrust_reasons
from phospho_store.sql import compose
from phospho_store.store import Store
from phospho_workers.detection.candidates import content_of
from phospho_workers.detection.text.sides import SIDES
from phospho_workers.jobs.sessions.session_detection import joined_task
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.jobs.stored_tasks import shortened

# The newest labels of either kind of one definition. More improve a classifier next to nothing, and training takes
# time with their number: some seconds a definition with so many.
MAX_LABELS = 300
MAX_LABELS_AT_ONCE = 20_000
_TASKS_AT_ONCE = 500
# Of these the whole texts are read, which may be a megabyte each.
_LONG_TASKS_AT_ONCE = 20
# Of a long text the beginning and the end teach, neither longer than this; detection reads more.
_KEPT_CHARACTERS = 4_000

# Labels of people; for tasks without a label, with half of the weight, the judgements of {models} on the present
# versions. `content` identifies the text that was judged, and is empty for a label.
# Parameters: project, names, versions, models, wanted, max_labels, max_labels_at_once.
_LABELS_AND_JUDGEMENTS = """
SELECT event_name, task_id, is_there, weight, content FROM
(
    SELECT * FROM
    (
        SELECT event_name, task_id, revision, label = 'confirmed' AS is_there, 1. AS weight, '' AS content
        FROM label_rows FINAL WHERE project_id = {project:String} AND label != ''
        UNION ALL
        SELECT judged.name AS event_name, judged.task_id AS task_id, judged.revision AS revision,
            judged.answer = 'yes' AS is_there, 0.5 AS weight, judged.content AS content
        FROM
        (
            SELECT * FROM judgement_rows FINAL
            WHERE project_id = {project:String} AND answer != '' AND judge = 'llm'
                AND (name, definition_version, toString(model)) IN
                    (SELECT arrayJoin(
                        arrayZip({names:Array(String)}, {versions:Array(UInt32)}, {models:Array(String)})))
        ) AS judged
        LEFT ANTI JOIN (SELECT * FROM label_rows FINAL WHERE project_id = {project:String} AND label != '') AS labelled
        ON judged.name = labelled.event_name AND judged.task_id = labelled.task_id
    )
    WHERE event_name IN {wanted:Array(String)}
    ORDER BY weight DESC, revision DESC LIMIT {max_labels:UInt32} BY event_name, is_there
    LIMIT {max_labels_at_once:UInt32}
)
ORDER BY event_name, task_id
"""

# Parameters: project.
_LABEL_DIGESTS = """
SELECT event_name, count() AS labels, groupBitXor(sipHash64(task_id, revision, label = 'confirmed')) AS digest
FROM label_rows FINAL WHERE project_id = {project:String} AND label != '' GROUP BY event_name
"""

# The greatest number of a column is found at once.
_REVISIONS = """
SELECT toString(project_id) AS project_id, max(labels) AS labels, max(judgements) AS judgements FROM
(
    SELECT project_id, max(revision) AS labels, 0 AS judgements FROM label_rows GROUP BY project_id
    UNION ALL
    SELECT project_id, 0 AS labels, max(revision) AS judgements FROM judgement_rows GROUP BY project_id
)
GROUP BY project_id
"""

# Parameters: project, tasks.
_TASKS = compose(
    """
SELECT project_id, task_id, t.session_id AS session_id, $is_long AS is_long, $texts
FROM
(
    SELECT * FROM task_rows FINAL
    WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
) AS t
ORDER BY task_id
""",
    is_long=" OR ".join(f"lengthUTF8(t.{side}) > {2 * _KEPT_CHARACTERS}" for side in SIDES),
    texts=shortened(SIDES, _KEPT_CHARACTERS),
)
# Parameters: project, tasks.
_WHOLE_TEXTS = compose(
    """
SELECT task_id, $sides FROM task_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
""",
    sides=", ".join(SIDES),
)

_SESSIONS_AT_ONCE = 20

Task = Mapping[str, Any]


class LabelRevisions(NamedTuple):
    """The greatest revisions of a project's labels and judgements; 0 without any."""

    labels: int = 0
    judgements: int = 0


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
        self._records = JudgeStatisticsRepository(store)

    def revisions(self) -> dict[str, LabelRevisions]:
        """Return the revisions of each project with labels or judgements. A cheap query."""
        return {
            row["project_id"]: LabelRevisions(row["labels"], row["judgements"]) for row in self._store.rows(_REVISIONS)
        }

    def digests(self, project_id: str, versions: Mapping[str, int]) -> dict[str, str]:
        """
        Return for each of these versions of definitions with labels or judgements a text that changes with them.

        It changes with each label, whenever judgements have become a quarter more, and when they begin or cease to be
        worth training on.
        """
        labels = {row["event_name"]: row for row in self._store.rows(_LABEL_DIGESTS, {"project": project_id})}
        judgements: Counter[str] = Counter()
        for record in self._trusted_records(project_id, versions):
            judgements[record.name] += record.judgements
        return {name: _digest(labels.get(name), judgements[name]) for name in labels.keys() | judgements.keys()}

    def examples(self, project_id: str, definitions: Sequence[EventDefinition]) -> dict[str, list[Example]]:
        """
        Return the labelled tasks of each of these definitions, by name, in the order of their ids, as each reads them.

        Labels of people come first, then judgements of an LLM, each the newest: at most MAX_LABELS of either kind a
        definition and MAX_LABELS_AT_ONCE in all. A judgement on a text that its task no longer has is left out.
        """
        labels = self._labels(project_id, {definition.name: definition.version for definition in definitions})
        task_ids = sorted({label["task_id"] for of_name in labels.values() for label in of_name})
        tasks = {
            task["task_id"]: task for ids in _slices(task_ids, _TASKS_AT_ONCE) for task in self._tasks(project_id, ids)
        }
        return {
            definition.name: self._examples_of(definition, labels[definition.name], tasks) for definition in definitions
        }

    def _trusted_records(self, project_id: str, versions: Mapping[str, int]) -> list[JudgeStatistics]:
        """Return the models and definitions whose judgements are worth training on."""
        records = self._records.of(project_id, versions)
        why_not = distrust_reasons(records)
        return [record for record in records if not why_not[record.name, record.model]]

    def _labels(self, project_id: str, versions: Mapping[str, int]) -> dict[str, list[Mapping[str, Any]]]:
        """Return labels and judgements by the name of their event."""
        trusted = self._trusted_records(project_id, versions)
        parameters = {
            "project": project_id,
            "wanted": list(versions),
            "names": [record.name for record in trusted],
            "versions": [versions[record.name] for record in trusted],
            "models": [record.model for record in trusted],
            "max_labels": MAX_LABELS,
            "max_labels_at_once": MAX_LABELS_AT_ONCE,
        }
        labels: dict[str, list[Mapping[str, Any]]] = {name: [] for name in versions}
        for row in self._store.rows(_LABELS_AND_JUDGEMENTS, parameters):
            labels[row["event_name"]].append(row)
        return labels

    def _examples_of(
        self, definition: EventDefinition, labels: Sequence[Mapping[str, Any]], tasks: Mapping[str, Mapping[str, Any]]
    ) -> list[Example]:
        current = [
            label
            for label in labels
            if label["task_id"] in tasks and _is_current(label, tasks[label["task_id"]], definition.scope)
        ]
        read = self._sessions.tasks(definition, [tasks[label["task_id"]] for label in current])
        return [
            Example(read[label["task_id"]], bool(label["is_there"]), label["weight"])
            for label in current
            if label["task_id"] in read
        ]

    def _tasks(self, project_id: str, task_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return tasks with shortened texts, and with `contents`, by scope, of the whole texts."""
        tasks = self._store.rows(_TASKS, {"project": project_id, "tasks": list(task_ids)})
        contents = {task["task_id"]: _contents(task) for task in tasks if not task["is_long"]}
        for ids in _slices([task["task_id"] for task in tasks if task["is_long"]], _LONG_TASKS_AT_ONCE):
            rows = self._store.rows(_WHOLE_TEXTS, {"project": project_id, "tasks": list(ids)})
            contents |= {row["task_id"]: _contents(row) for row in rows}
        return [task | {"contents": contents.get(task["task_id"], {})} for task in tasks]


def _contents(task: Mapping[str, Any]) -> dict[str, str]:
    return {scope: content_of(task, scope) for scope in (*SIDES, "task")}


def _is_current(label: Mapping[str, Any], task: Mapping[str, Any], scope: str) -> bool:
    """Tell whether a label holds for the present task: a person's is of the task, a judgement of its text."""
    return not label["content"] or label["content"] == task["contents"].get(scope)


def _digest(labels: Mapping[str, Any] | None, judgements: int) -> str:
    by_people = f"{labels['labels']}-{labels['digest']}" if labels else "0-0"
    return f"{by_people}-{math.ceil(math.log(1 + judgements, 1.25))}"


def _slices(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (ids[begin : begin + size] for begin in range(0, len(ids), size))


class SessionExamples:
    """Joins labelled tasks with the tasks of their sessions. Blocking; raises what the store raises."""

    def __init__(self, facts: SessionFacts) -> None:
        self._facts = facts

    def tasks(self, definition: EventDefinition, tasks: Sequence[Task]) -> dict[str, Task]:
        """
        Return what a definition reads at each of these tasks of its project, by the task's id.

        A session is read up to the labelled task, as it was when that was its last. A task that is not among the last
        of its session is left out, and so is the middle of a long text.
        """
        if not needs_session(definition) or (definition.is_last_task and definition.scope != "session"):
            return {task["task_id"]: task for task in tasks}
        wanted = {task["task_id"] for task in tasks}
        session_ids = sorted({task["session_id"] for task in tasks})
        return {
            up_to_task[-1]["task_id"]: _without_middles(joined_task(definition, up_to_task))
            for begin in range(0, len(session_ids), _SESSIONS_AT_ONCE)
            for up_to_task in self._up_to(wanted, definition.project_id, session_ids[begin : begin + _SESSIONS_AT_ONCE])
        }

    def _up_to(self, wanted: set[str], project_id: str, session_ids: Sequence[str]) -> Iterator[Sequence[Task]]:
        """Yield for each wanted task the last tasks of its session up to it."""
        for tasks in self._facts.tasks.of_sessions(project_id, session_ids).values():
            for length, task in enumerate(tasks, 1):
                if task["task_id"] in wanted:
                    yield tasks[:length]


def _without_middles(task: Task) -> Task:
    """Return a task without the middle of its long texts, which no engine is trained on."""
    characters = _KEPT_CHARACTERS
    long_texts = {side: task[side] for side in SIDES if len(task[side]) > 2 * characters}
    return {**task, **{side: f"{text[:characters]}\n{text[-characters:]}" for side, text in long_texts.items()}}
