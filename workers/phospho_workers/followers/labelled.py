"""The tasks that people have labelled, with their verdicts: what a head is learnt from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phospho_store.store import Store

# The newest labels of one definition that are read; more teach next to nothing and cost memory.
MAX_LABELS = 2_000
MAX_LABELS_AT_ONCE = 20_000
_TASKS_AT_ONCE = 500
# Detection reads the beginning and the end of a long text, neither longer than this.
_KEPT_CHARACTERS = 4_000


@dataclass(frozen=True)
class Example:
    """A task (id, input, output, system_prompt) and whether a person says that the event is in it."""

    task: Mapping[str, Any]
    is_there: bool


class LabelledTasks:
    """Reads of labels together with their tasks. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def digests(self) -> dict[tuple[str, str], str]:
        """Return for each project and event name that has labels a text that changes with them."""
        rows = self._store.rows(
            "SELECT project_id, event_name, count() AS labels,"
            " groupBitXor(sipHash64(task_id, revision, toString(verdict))) AS digest"
            " FROM label_rows FINAL WHERE verdict != '' GROUP BY project_id, event_name"
        )
        return {(row["project_id"], row["event_name"]): f"{row['labels']}-{row['digest']}" for row in rows}

    def examples(self, project_id: str, event_names: Sequence[str]) -> dict[str, list[Example]]:
        """
        Return the labelled tasks of each of these definitions, by name, in the order of their ids.

        Those of the newest labels, at most MAX_LABELS a definition and MAX_LABELS_AT_ONCE in all.
        """
        rows = self._store.rows(
            "SELECT event_name, task_id, verdict FROM (SELECT * FROM label_rows FINAL"
            " WHERE project_id = {project:String} AND event_name IN {names:Array(String)} AND verdict != ''"
            f" ORDER BY revision DESC LIMIT {MAX_LABELS} BY event_name LIMIT {MAX_LABELS_AT_ONCE})"
            " ORDER BY event_name, task_id",
            {"project": project_id, "names": list(event_names)},
        )
        tasks = self._tasks_by_id(project_id, sorted({row["task_id"] for row in rows}))
        examples: dict[str, list[Example]] = {name: [] for name in event_names}
        for row in rows:
            if (task := tasks.get(row["task_id"])) is not None:
                examples[row["event_name"]].append(Example(task, row["verdict"] == "confirmed"))
        return examples

    def _tasks_by_id(self, project_id: str, task_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        return {task["task_id"]: task for ids in _slices(task_ids) for task in self._tasks(project_id, ids)}

    def _tasks(self, project_id: str, task_ids: Sequence[str]) -> list[dict[str, Any]]:
        texts = ", ".join(f"{_bounded(column)} AS {column}" for column in ("input", "output", "system_prompt"))
        return self._store.rows(
            f"SELECT project_id, task_id, t.session_id AS session_id, {texts} FROM (SELECT * FROM task_rows FINAL"
            " WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}) AS t ORDER BY task_id",
            {"project": project_id, "tasks": list(task_ids)},
        )


def _slices(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[begin : begin + _TASKS_AT_ONCE] for begin in range(0, len(ids), _TASKS_AT_ONCE))


def _bounded(column: str) -> str:
    """Return SQL for the beginning and the end of a text that is long, and all of one that is not."""
    text = f"t.{column}"
    ends = f"concat(leftUTF8({text}, {_KEPT_CHARACTERS}), '\\n', rightUTF8({text}, {_KEPT_CHARACTERS}))"
    return f"if(lengthUTF8({text}) > {2 * _KEPT_CHARACTERS}, {ends}, {text})"
