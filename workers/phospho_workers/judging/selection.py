"""The choice of a judge, and the order in which it is asked when the budget is not enough for all candidates."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Literal, NamedTuple

from phospho_schemas.definitions.engines import engine_spec
from phospho_schemas.definitions.validation import needs_session
from phospho_schemas.messages import EventDefinition
from phospho_workers.judging.prompts import MAX_DEFINITIONS

# After so many texts one is drawn at random: doubt alone would never look where a score is wrong.
_TEXTS_BETWEEN_DRAWS = 2


class OpenCandidate(NamedTuple):
    """A candidate without a judgement."""

    task_id: str
    name: str
    definition_version: int
    scope: str
    content: str
    doubt: float


class OpenText(NamedTuple):
    """The text that one scope reads of a task, and its open candidates: at most one a definition."""

    task_id: str
    scope: str
    content: str
    candidates: list[OpenCandidate]


# A scope and a content, which identify a text.
_TextKey = tuple[str, str]
JudgeName = Literal["encoder", "llm"]


def judge_of(definition: EventDefinition, *, has_llm: bool, has_encoder: bool) -> JudgeName | None:
    """
    Return the judge of a definition, out of those that are there, or None. No judge reads sessions.

    An engine that is decided by an LLM has an LLM or no judge. A definition that leaves the choice to the project gets
    the LLM, or else the encoder, if its engine has doubt; other engines are sure of what they find.
    """
    if needs_session(definition):
        return None
    spec = engine_spec(definition.engine)
    judge = "llm" if spec.is_decided_by_llm else definition.judge
    if judge == "project" and spec.has_doubt:
        judge = "llm" if has_llm else "encoder"
    if judge == "llm" and has_llm:
        return "llm"
    return "encoder" if judge == "encoder" and has_encoder else None


def ordered_texts(candidates: Sequence[OpenCandidate]) -> list[OpenText]:
    """
    Return the texts in the order in which to ask about them, each once.

    The definitions take turns, so that none uses up the budget of the others. Each picks its text of the greatest
    worth: its own doubt times the square root of the doubt of all definitions, since one call settles all of them.
    Every second turn also takes a text at random, the same one for the same candidates.
    """
    texts = _texts(candidates)
    random_keys = iter(sorted(texts, key=lambda key: _hash(*key)))
    ordered: dict[_TextKey, None] = {}
    for number, key in enumerate(_turns(texts), 1):
        if number % _TEXTS_BETWEEN_DRAWS == 0:
            ordered[next((other for other in random_keys if other not in ordered), key)] = None
        ordered[key] = None
    return [texts[key] for key in ordered]


def candidates_to_ask(
    text: OpenText, definitions: Sequence[EventDefinition], judged: Container[str]
) -> list[OpenCandidate]:
    """
    Return the candidates of a text, and other `definitions` of its scope where a call has room for them.

    The others cost little more and train their classifiers, mostly by being rejected. They are those that learn and
    have no judgement on this text (`judged` has the names of those that do). Where there are too many, each text gets
    different ones.
    """
    open_names = {candidate.name for candidate in text.candidates}
    others = [
        OpenCandidate(
            task_id=text.task_id,
            name=definition.name,
            definition_version=definition.version,
            scope=text.scope,
            content=text.content,
            doubt=0.0,
        )
        for definition in definitions
        if engine_spec(definition.engine).learns and definition.scope == text.scope
        if definition.name not in open_names and definition.name not in judged
    ]
    room = -len(text.candidates) % MAX_DEFINITIONS
    return [*text.candidates, *sorted(others, key=lambda other: _hash(other.content, other.name))[:room]]


def _texts(candidates: Sequence[OpenCandidate]) -> dict[_TextKey, OpenText]:
    """Return the open texts by scope and content. Of several tasks with one text, the first by id is named."""
    texts: dict[_TextKey, OpenText] = {}
    for candidate in sorted(candidates, key=lambda candidate: (candidate.task_id, candidate.name)):
        key = (candidate.scope, candidate.content)
        text = texts.setdefault(key, OpenText(candidate.task_id, *key, []))
        if all(candidate.name != other.name for other in text.candidates):
            text.candidates.append(candidate._replace(task_id=text.task_id))
    return texts


def _turns(texts: Mapping[_TextKey, OpenText]) -> Iterator[_TextKey]:
    """Yield the keys of each definition's texts, those of the greatest worth first, one definition after the other."""
    by_name: dict[str, list[tuple[float, bytes, _TextKey]]] = {}
    for key, text in texts.items():
        common_doubt = math.sqrt(sum(candidate.doubt for candidate in text.candidates))
        for candidate in text.candidates:
            by_name.setdefault(candidate.name, []).append((-candidate.doubt * common_doubt, _hash(*key), key))
    for turn in zip_longest(*(sorted(by_name[name]) for name in sorted(by_name))):
        yield from (entry[2] for entry in turn if entry is not None)


def _hash(*parts: str) -> bytes:
    return hashlib.blake2b("\n".join(parts).encode("utf-8", "replace"), digest_size=8).digest()
