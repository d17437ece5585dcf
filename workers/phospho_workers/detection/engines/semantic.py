"""Descriptions in plain words, compared with what was said by the cosine of their embeddings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.embedding import (
    MAX_PIECES,
    Embedder,
    Vectors,
    cosines,
    directions,
    embedder,
)
from phospho_workers.detection.engine import NO_HITS, Hit, Hits, Side, looks_at, shortened

# Macro F1 of 20 definitions in plain words on 19,384 turns of task-oriented dialogue, by threshold: 0.25 0.51,
# 0.3 0.54, 0.35 0.55, 0.4 0.52, 0.5 0.43. It is flat around its best; a rare event may want a higher one.
DEFAULT_THRESHOLD = 0.35
# Of a longer text the beginning and the end are read, half of this each: that is where people say what they want.
MAX_READ_CHARACTERS = 8_000
_TEXTS_AT_ONCE = 1_024

# Who does it is the same for most definitions of a project, and so tells nothing apart.
_ACTOR = re.compile(r"\s*the (user|assistant)\b(\s+(is|has|wants to|says that))?\s*", re.IGNORECASE)
_CLAUSE_END = re.compile(r"[.!?;:\n]+(?:\s+|$)")

# A clause and its word pieces.
Clause = tuple[str, list[int]]


class SemanticEngine:
    """
    Finds what means the same as a description; the evidence is the clause that comes nearest.

    The score is the greater of the cosines with the whole text and with its best clause. A definition is found
    where it reaches its threshold, or DEFAULT_THRESHOLD.
    """

    def __init__(self, definitions: Sequence[EventDefinition]) -> None:
        self._of_input = _Descriptions([one for one in definitions if looks_at(one, "input")])
        self._of_output = _Descriptions([one for one in definitions if looks_at(one, "output")])

    @staticmethod
    def refusal(definition: EventDefinition) -> str | None:
        if not embedder().pieces(_essence(definition.description)):
            return "it has no description: say in plain words what happens"
        return None

    def find(self, texts: Sequence[str], side: Side) -> Sequence[Hits]:
        descriptions = self._of_input if side == "input" else self._of_output
        slices = range(0, len(texts), _TEXTS_AT_ONCE)
        return [hits for begin in slices for hits in descriptions.find(texts[begin : begin + _TEXTS_AT_ONCE])]


class _Descriptions:
    """The definitions that read one side: a row of the matrix each."""

    def __init__(self, definitions: Sequence[EventDefinition]) -> None:
        self._definitions = definitions
        self._embedder = embedder()
        bags = [self._embedder.pieces(_essence(one.description))[:MAX_PIECES] for one in definitions]
        self._matrix = directions(self._embedder.sums(bags))
        self._thresholds = np.array([_threshold(one) for one in definitions], dtype=np.float32)

    def find(self, texts: Sequence[str]) -> Sequence[Hits]:
        """Return the hits in each text; one without words has none."""
        found: list[list[Hit]] = [[] for _ in texts]
        read = [_clauses(self._embedder, text) for text in texts] if self._definitions else []
        turns = [place for place, clauses in enumerate(read) if clauses]
        if not turns:
            return [NO_HITS] * len(texts)
        firsts, by_clause, best = self._scores([read[place] for place in turns])
        for row, column in np.argwhere(best >= self._thresholds).tolist():
            clauses = read[turns[row]]
            nearest = int(np.argmax(by_clause[firsts[row] : firsts[row] + len(clauses), column]))
            hit = Hit(self._definitions[column], float(best[row, column]), shortened(clauses[nearest][0]))
            found[turns[row]].append(hit)
        return found

    def _scores(self, turns: Sequence[list[Clause]]) -> tuple[list[int], Vectors, Vectors]:
        """
        Score turns that have a clause each.

        Returns the row of each turn's first clause, the cosines of the clauses, shape (clauses, definitions), and
        the scores of the turns, shape (turns, definitions), in [0, 1].
        """
        firsts = list(accumulate(map(len, turns[:-1]), initial=0))
        sums = self._embedder.sums([pieces for clauses in turns for _, pieces in clauses])
        by_clause = cosines(directions(sums), self._matrix)
        whole = cosines(directions(np.add.reduceat(sums, firsts, axis=0)), self._matrix)
        best = np.maximum(np.maximum.reduceat(by_clause, firsts, axis=0), whole)
        return firsts, by_clause, np.clip(best, 0.0, 1.0)


def _clauses(model: Embedder, text: str) -> list[Clause]:
    """Return the clauses of what is read of a text, 2048 word pieces together at most."""
    kept: list[Clause] = []
    room = MAX_PIECES
    for clause in _CLAUSE_END.split(_read(text)):
        pieces = model.pieces(clause)[:room]
        room -= len(pieces)
        if pieces:
            kept.append((clause, pieces))
    return kept


def _read(text: str) -> str:
    if len(text) <= MAX_READ_CHARACTERS:
        return text
    half = MAX_READ_CHARACTERS // 2
    return f"{text[:half]}\n{text[-half:]}"


def _essence(description: str) -> str:
    """Return a description without "The user is" and the like, or as it is where nothing else is in it."""
    actor = _ACTOR.match(description)
    rest = description[actor.end() :] if actor else ""
    return rest or description


def _threshold(definition: EventDefinition) -> float:
    """Return the definition's threshold, or the default; never 0, at which nothing in common would be enough."""
    return max(DEFAULT_THRESHOLD if definition.threshold is None else definition.threshold, 1e-4)
