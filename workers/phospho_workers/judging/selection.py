"""Whom to ask first, where there is not money for all."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Literal, NamedTuple

from phospho_schemas.engines import engine_spec
from phospho_schemas.messages import EventDefinition
from phospho_workers.judging.questions import MAX_DEFINITIONS

# After so many turns a text is drawn by chance: doubt alone would never look where a score is wrong.
_TURNS_BETWEEN_DRAWS = 2


class Open(NamedTuple):
    """A candidate without a judgement."""

    task_id: str
    name: str
    definition_version: int
    scope: str
    content: str
    doubt: float


class OpenText(NamedTuple):
    """What one scope reads of a task, and what is open about it: at most one candidate a definition."""

    task_id: str
    scope: str
    content: str
    candidates: list[Open]


# A scope and a content: what a text is known by.
_Place = tuple[str, str]
JudgeName = Literal["encoder", "llm"]


def judge_of(definition: EventDefinition, *, has_llm: bool, has_encoder: bool) -> JudgeName | None:
    """
    Return who is asked about a definition, of those that there are; None where nobody is.

    The engine `llm` has an LLM or nobody. What a definition leaves to the project goes to the LLM, or else to the
    encoder, and only of the semantic engine: the others are sure of what they find.
    """
    spec = engine_spec(definition.engine)
    wanted = "llm" if spec.is_decided_by_llm else definition.judge
    if wanted == "project" and spec.has_doubt:
        wanted = "llm" if has_llm else "encoder"
    if wanted == "llm" and has_llm:
        return "llm"
    return "encoder" if wanted == "encoder" and has_encoder else None


def in_order(candidates: Sequence[Open]) -> list[OpenText]:
    """
    Return the texts in the order to ask about them, each once.

    The definitions take turns, so that none of them eats what the others learn from. Each chooses the text that it
    doubts much and the others of its scope do too, since one call settles all of them: by its own doubt, times the
    square root of that of all. With every second turn comes a text by chance, the same for the same candidates.
    """
    texts = _texts(candidates)
    by_chance = iter(sorted(texts, key=_place))
    ordered: dict[_Place, None] = {}
    for number, place in enumerate(_turns(texts), 1):
        if number % _TURNS_BETWEEN_DRAWS == 0:
            ordered[next((other for other in by_chance if other not in ordered), place)] = None
        ordered[place] = None
    return [texts[place] for place in ordered]


def asked_about(text: OpenText, definitions: Sequence[EventDefinition], judged: Container[str]) -> list[Open]:
    """
    Return what to ask about a text: its candidates, and others of `definitions` where a call has room for them.

    A call costs little more for them, and what is said of them teaches: that an event is not there, mostly. They
    are those of the semantic engine that read the same scope and that nobody has `judged` of this text; where there
    are too many, each text has others.
    """
    open_names = {one.name for one in text.candidates}
    others = [
        Open(text.task_id, one.name, one.version, text.scope, text.content, 0.0)
        for one in definitions
        if engine_spec(one.engine).learns and one.scope == text.scope and one.name not in open_names
        if one.name not in judged
    ]
    room = -len(text.candidates) % MAX_DEFINITIONS
    return [*text.candidates, *sorted(others, key=lambda one: _hash(one.content, one.name))[:room]]


def _texts(candidates: Sequence[Open]) -> dict[_Place, OpenText]:
    """Return what is open by scope and content; of tasks that say the same, the first by id is named."""
    texts: dict[_Place, OpenText] = {}
    for one in sorted(candidates, key=lambda one: (one.task_id, one.name)):
        text = texts.setdefault((one.scope, one.content), OpenText(one.task_id, one.scope, one.content, []))
        if all(one.name != known.name for known in text.candidates):
            text.candidates.append(one._replace(task_id=text.task_id))
    return texts


def _turns(texts: Mapping[_Place, OpenText]) -> Iterator[_Place]:
    """Yield the places of each definition's texts, the most worth first, one definition after the other."""
    of_name: dict[str, list[tuple[float, bytes, _Place]]] = {}
    for place, text in texts.items():
        doubted = math.sqrt(sum(one.doubt for one in text.candidates))
        for one in text.candidates:
            of_name.setdefault(one.name, []).append((-one.doubt * doubted, _hash(*place), place))
    for turn in zip_longest(*(sorted(of_name[name]) for name in sorted(of_name))):
        yield from (one[2] for one in turn if one is not None)


def _place(place: _Place) -> bytes:
    return _hash(*place)


def _hash(*parts: str) -> bytes:
    return hashlib.blake2b("\n".join(parts).encode("utf-8", "replace"), digest_size=8).digest()
