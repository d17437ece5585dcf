"""Search by meaning: the tasks whose inputs are most like a text, or like the input of a task."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from phospho_dashboard.analytics.tasks import Tasks
from phospho_dashboard.queries.filters import MAX_CHARACTERS, Scope
from phospho_schemas.messages import Meaning
from phospho_store.sql import compose
from phospho_store.store import Store
from phospho_web.problems import Problem

SIMILAR_TASKS = 20
# The nearest codes, whose texts are compared. More of them find little more, and cost a read of their texts.
_MAX_CANDIDATES = 400
# Of a longer input the beginning is compared.
_MAX_TEXT_CHARACTERS = 2_000
# Texts that are less alike have no more than common words in common.
_MIN_SIMILARITY = 0.3

# Without FINAL: an outdated row may propose a task, and `_TEXTS` reads what it is now.
_CANDIDATES = """
SELECT task_id FROM analysis_rows
WHERE $condition AND meaning.1 != 0
ORDER BY bitCount(bitXor(meaning.1, {meaning_1:UInt64})) + bitCount(bitXor(meaning.2, {meaning_2:UInt64}))
    + bitCount(bitXor(meaning.3, {meaning_3:UInt64})) + bitCount(bitXor(meaning.4, {meaning_4:UInt64}))
LIMIT {limit:UInt32}
"""
_TEXTS = """
SELECT task_id, leftUTF8(input, {characters:UInt32}) AS input FROM task_rows FINAL
WHERE $condition ORDER BY created_at DESC, task_id
"""
_INPUT = """
SELECT leftUTF8(input, {characters:UInt32}) AS input FROM task_rows FINAL
WHERE project_id = {project:String} AND task_id = {task:String}
"""

Row = dict[str, Any]


@dataclass(frozen=True)
class MeaningReader:
    """
    Functions of detection, handed in by the process.

    `code` returns the 256 bits by which similar texts are found; zeros for a text without words. `similarities`
    returns how alike a text is to each of others, from -1 to 1.
    """

    code: Callable[[str], Meaning]
    similarities: Callable[[str, Sequence[str]], list[float]]


class SimilarTasks:
    """Finds tasks by meaning. Blocking; raises what the store raises."""

    def __init__(self, store: Store, reader: MeaningReader) -> None:
        self._store = store
        self._reader = reader
        self._tasks = Tasks(store)

    def like_text(self, scope: Scope, text: str, without: Collection[str] = ()) -> list[Row]:
        """
        Return the tasks of a scope whose inputs are most like a text, the most similar first, 20 at most.

        Each has its `similarity`. Of equal inputs the newest task is there, and none of the ids `without`. Those whose
        words the scope searches for are not looked for: its `q` is ignored.
        """
        scope = replace(scope, filters=replace(scope.filters, q=""))
        task_ids = self._candidates(scope, text)
        if not task_ids:
            return []
        ranked = self._ranked(replace(scope, task_ids=tuple(task_ids)), text, without)
        tasks = self._tasks.previews(scope.project_id, list(ranked))
        return [task | {"similarity": ranked[task["task_id"]]} for task in tasks]

    def like_task(self, scope: Scope, task_id: str) -> list[Row]:
        """Return the tasks of a scope that are most like one of the project; Problem 404."""
        parameters = {"project": scope.project_id, "task": task_id, "characters": _MAX_TEXT_CHARACTERS}
        rows = self._store.rows(_INPUT, parameters)
        if not rows:
            raise Problem(404, "unknown_task", f"there is no task {task_id!r} in this project")
        return self.like_text(scope, rows[0]["input"], {task_id})

    def _candidates(self, scope: Scope, text: str) -> list[str]:
        """Return the ids of the tasks with the nearest codes, as many as fit into a query."""
        code = self._reader.code(text)
        if not any(code):
            return []
        bits = {f"meaning_{number}": part for number, part in enumerate(code, 1)}
        sql = compose(_CANDIDATES, condition=scope.analyses())
        rows = self._store.rows(sql, scope.parameters(limit=_MAX_CANDIDATES, **bits))
        task_ids, room = [], MAX_CHARACTERS
        for task_id in dict.fromkeys(row["task_id"] for row in rows):
            room -= len(task_id)
            if room >= 0:
                task_ids.append(task_id)
        return task_ids

    def _ranked(self, scope: Scope, text: str, without: Collection[str]) -> dict[str, float]:
        """Return the similarity of the best tasks of a scope by their ids, the best first."""
        sql = compose(_TEXTS, condition=scope.tasks())
        rows = self._store.rows(sql, scope.parameters(characters=_MAX_TEXT_CHARACTERS))
        newest = {row["input"]: row["task_id"] for row in reversed(rows) if row["task_id"] not in without}
        similarities = self._reader.similarities(text, list(newest))
        best = sorted(zip(similarities, newest.values(), strict=True), key=lambda pair: (-pair[0], pair[1]))
        return {task_id: round(value, 3) for value, task_id in best[:SIMILAR_TASKS] if value >= _MIN_SIMILARITY}
