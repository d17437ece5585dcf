"""Students for an evaluation, cross-fitted: no text is scored by a student that saw it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from phospho_workers.detection.learning.student_fitting import learn_student
from phospho_workers.detection.semantic.student import Student

_SIDES = ("input", "output")


class Part(NamedTuple):
    """The indexes of some tasks, and the student that scores them; None where there is none."""

    indexes: Sequence[int]
    student: Student | None


def whole(tasks: Sequence[Mapping[str, Any]]) -> list[Part]:
    """Return all tasks as one part without a student."""
    return [Part(range(len(tasks)), None)]


def cross_fitted(tasks: Sequence[Mapping[str, Any]]) -> list[Part]:
    """
    Return two halves of the tasks, each with the student of the other's texts; one part without, where none is learnt.

    Tasks with the same texts are in one half, and a text that both halves have teaches neither.
    """
    halves = [[index for index, task in enumerate(tasks) if _half(task) == half] for half in (0, 1)]
    parts = []
    for half, indexes in enumerate(halves):
        learnt = learn_student(_only_in(tasks, halves[1 - half], indexes))
        if learnt is None or not learnt[1].is_worth_it:
            return whole(tasks)
        parts.append(Part(indexes, learnt[0]))
    return parts


def _only_in(
    tasks: Sequence[Mapping[str, Any]], indexes: Sequence[int], others: Sequence[int]
) -> dict[Any, Sequence[str]]:
    """Return the texts by side of tasks that no task of `others` has."""
    return {
        side: sorted({tasks[index][side] for index in indexes} - {tasks[index][side] for index in others})
        for side in _SIDES
    }


def _half(task: Mapping[str, Any]) -> int:
    texts = f"{task['input']}\n{task['output']}"
    return hashlib.blake2b(texts.encode("utf-8", "replace"), digest_size=1).digest()[0] % 2
