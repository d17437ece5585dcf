"""The tasks that people have labelled, and those that an LLM has: what a head is learnt from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phospho_schemas.messages import EventDefinition
from phospho_store.store import Store
from phospho_workers.followers.session_examples import SessionExamples
from phospho_workers.followers.session_facts import SessionFacts

# The newest labels of either kind of one definition that are read. More teach next to nothing, and learning takes
# time with their number: some seconds a definition with so many.
MAX_LABELS = 300
MAX_LABELS_AT_ONCE = 20_000
_TASKS_AT_ONCE = 500
# Detection reads the beginning and the end of a long text, neither longer than this.
_KEPT_CHARACTERS = 4_000


# What people say; where no person has spoken, with half of their weight, what an LLM said of the definition as it is.
_LESSONS = """
SELECT toString(project_id) AS project_id, event_name, task_id, label_rows.revision AS revision,
    verdict = 'confirmed' AS is_there, 1. AS weight
FROM label_rows FINAL WHERE verdict != ''
UNION ALL
SELECT toString(v.project_id) AS project_id, v.name AS event_name, v.task_id AS task_id, v.revision AS revision,
    v.verdict = 'yes' AS is_there, 0.5 AS weight
FROM (SELECT * FROM verdict_rows FINAL WHERE verdict != '' AND judge = 'llm') AS v
LEFT ANTI JOIN (SELECT * FROM label_rows FINAL WHERE verdict != '') AS l
ON v.project_id = l.project_id AND v.name = l.event_name AND v.task_id = l.task_id
WHERE (v.project_id, v.name, v.definition_version) IN
    (SELECT project_id, name, max(version) FROM definition_rows GROUP BY project_id, name)
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

    def digests(self) -> dict[tuple[str, str], str]:
        """
        Return for each project and event name that has labels or verdicts a text that changes with them.

        It changes with each label, and whenever verdicts have become a quarter more.
        """
        rows = self._store.rows(
            "SELECT project_id, event_name, countIf(weight = 1) AS labels, countIf(weight < 1) AS verdicts,"
            " groupBitXorIf(sipHash64(task_id, revision, is_there), weight = 1) AS digest"
            f" FROM ({_LESSONS}) GROUP BY project_id, event_name"
        )
        return {(row["project_id"], row["event_name"]): _digest(row) for row in rows}

    def revision(self) -> int:
        """Return a number that rises with every verdict of a judge: a cheap question to ask often."""
        return int(self._store.rows("SELECT max(revision) AS revision FROM verdict_rows")[0]["revision"])

    def examples(self, project_id: str, definitions: Sequence[EventDefinition]) -> dict[str, list[Example]]:
        """
        Return the labelled tasks of each of these definitions, by name, in the order of their ids, as each reads them.

        Those of people first, then those of an LLM, each the newest: at most MAX_LABELS of either kind a
        definition and MAX_LABELS_AT_ONCE in all.
        """
        rows = self._store.rows(
            f"SELECT event_name, task_id, is_there, weight FROM (SELECT * FROM ({_LESSONS})"
            " WHERE project_id = {project:String} AND event_name IN {names:Array(String)}"
            f" ORDER BY weight DESC, revision DESC LIMIT {MAX_LABELS} BY event_name, is_there"
            f" LIMIT {MAX_LABELS_AT_ONCE}) ORDER BY event_name, task_id",
            {"project": project_id, "names": [one.name for one in definitions]},
        )
        tasks = self._tasks_by_id(project_id, sorted({row["task_id"] for row in rows}))
        labels: dict[str, list[Mapping[str, Any]]] = {one.name: [] for one in definitions}
        for row in rows:
            labels[row["event_name"]].append(row)
        return {one.name: self._of_one(one, labels[one.name], tasks) for one in definitions}

    def _of_one(
        self, definition: EventDefinition, rows: Sequence[Mapping[str, Any]], tasks: Mapping[str, Mapping[str, Any]]
    ) -> list[Example]:
        labelled = [tasks[row["task_id"]] for row in rows if row["task_id"] in tasks]
        read = self._sessions.tasks(definition, labelled)
        return [
            Example(read[row["task_id"]], bool(row["is_there"]), row["weight"])
            for row in rows
            if row["task_id"] in read
        ]

    def _tasks_by_id(self, project_id: str, task_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        return {task["task_id"]: task for ids in _slices(task_ids) for task in self._tasks(project_id, ids)}

    def _tasks(self, project_id: str, task_ids: Sequence[str]) -> list[dict[str, Any]]:
        texts = ", ".join(f"{_bounded(column)} AS {column}" for column in ("input", "output", "system_prompt"))
        return self._store.rows(
            f"SELECT project_id, task_id, t.session_id AS session_id, {texts} FROM (SELECT * FROM task_rows FINAL"
            " WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}) AS t ORDER BY task_id",
            {"project": project_id, "tasks": list(task_ids)},
        )


def _digest(row: Mapping[str, Any]) -> str:
    return f"{row['labels']}-{row['digest']}-{math.ceil(math.log(1 + row['verdicts'], 1.25))}"


def _slices(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[begin : begin + _TASKS_AT_ONCE] for begin in range(0, len(ids), _TASKS_AT_ONCE))


def _bounded(column: str) -> str:
    """Return SQL for the beginning and the end of a text that is long, and all of one that is not."""
    text = f"t.{column}"
    ends = f"concat(leftUTF8({text}, {_KEPT_CHARACTERS}), '\\n', rightUTF8({text}, {_KEPT_CHARACTERS}))"
    return f"if(lengthUTF8({text}) > {2 * _KEPT_CHARACTERS}, {ends}, {text})"
