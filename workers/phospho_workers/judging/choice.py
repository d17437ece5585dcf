"""Whom to ask first, where there is not money for all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Literal, NamedTuple

from phospho_schemas.messages import EventDefinition

# After so many turns a task is drawn by chance: doubt alone would never look where a score is wrong.
_TURNS_BETWEEN_DRAWS = 2


class Open(NamedTuple):
    """A candidate without a verdict."""

    task_id: str
    name: str
    definition_version: int
    scope: str
    content: str
    doubt: float


JudgeName = Literal["encoder", "llm"]


def judge_of(definition: EventDefinition, *, has_llm: bool, has_encoder: bool) -> JudgeName | None:
    """
    Return who is asked about a definition, of those that there are; None where nobody is.

    The engine `llm` has an LLM or nobody. What a definition leaves to the project goes to the LLM, or else to the
    encoder, and only of the semantic engine: the others are sure of what they find.
    """
    wanted = "llm" if definition.engine == "llm" else definition.second_opinion
    if wanted == "project" and definition.engine == "semantic":
        wanted = "llm" if has_llm else "encoder"
    if wanted == "llm" and has_llm:
        return "llm"
    return "encoder" if wanted == "encoder" and has_encoder else None


def in_order(candidates: Sequence[Open]) -> list[str]:
    """
    Return the ids of the tasks in the order to ask about them, each once.

    The definitions take turns, each with the task that it doubts most, so that none of them eats what the others
    learn from; with every second turn comes a task by chance, the same for the same candidates.
    """
    by_chance = iter(sorted({one.task_id for one in candidates}, key=_place))
    ordered: dict[str, None] = {}
    for number, task_id in enumerate(_turns(candidates), 1):
        if number % _TURNS_BETWEEN_DRAWS == 0:
            drawn = next((other for other in by_chance if other not in ordered), task_id)
            ordered[drawn] = None
        ordered[task_id] = None
    return list(ordered)


def _turns(candidates: Sequence[Open]) -> Iterator[str]:
    """Yield the tasks of each definition, the most doubtful first, one definition after the other."""
    of_name: dict[str, list[Open]] = {}
    for one in sorted(candidates, key=lambda one: (-one.doubt, _place(one.task_id))):
        of_name.setdefault(one.name, []).append(one)
    for turn in zip_longest(*(of_name[name] for name in sorted(of_name))):
        yield from (one.task_id for one in turn if one is not None)


def _place(task_id: str) -> bytes:
    return hashlib.blake2b(task_id.encode("utf-8", "replace"), digest_size=8).digest()
