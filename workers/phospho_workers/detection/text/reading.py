"""Reading a text clause by clause, as the semantic engine scores it and as classifiers learn from it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from phospho_schemas.normalisation import plain
from phospho_workers.detection.text.embedding import MAX_PIECES, Vectors, directions, embedder

# Of a longer text the beginning and the end are read, half of this each: people say what they want there.
MAX_READ_CHARACTERS = 32_000
MAX_READ_PIECES = 8_192
# A mark, with what follows it up to white space or the end. Simpler would be `[.!?;:\n]+(?:\s+|$)`; this also takes
# marks between such ends, and begins no run of marks twice, which makes its cost linear.
_CLAUSE_END = re.compile(r"(?<![.!?;:\n])[.!?;:\n][.!?;:\s]*(?:\s|$)")

_CAPITAL = re.compile(r"[A-Z\u00c0-\u00de\u0130\u0391-\u03a9\u0401-\u042f]")
# A clause with more capitals than this, of all its letters, is shouted; with fewer it may be an acronym.
_SHOUTED_SHARE = 0.6
_MIN_SHOUTED = 5

# A clause and its word pieces.
Clause = tuple[str, list[int]]


@dataclass(frozen=True)
class Reading:
    """
    A batch of texts as directions, one row for each clause and then one for each whole text of several clauses.

    clauses: those of each text, at least one.
    firsts: the row of each text's first clause.
    wholes: the indexes of the texts of several clauses, in the order of their rows, which begin at `clause_count`.
    pieces: the word pieces of each row.
    """

    clauses: Sequence[Sequence[Clause]]
    firsts: Sequence[int]
    wholes: Sequence[int]
    directions: Vectors
    pieces: Sequence[Sequence[int]]

    @property
    def clause_count(self) -> int:
        return len(self.pieces) - len(self.wholes)

    def texts(self) -> NDArray[np.int64]:
        """Return the index of each row's text."""
        of_clauses = [index for index, text_clauses in enumerate(self.clauses) for _ in text_clauses]
        return np.array([*of_clauses, *self.wholes], dtype=np.int64)

    def rows(self) -> list[list[int]]:
        """Return the rows of each text: those of its clauses, and that of the whole."""
        rows = [
            list(range(first, first + len(text_clauses)))
            for first, text_clauses in zip(self.firsts, self.clauses, strict=True)
        ]
        for row, index in enumerate(self.wholes, self.clause_count):
            rows[index].append(row)
        return rows


def clauses_of(text: str) -> list[Clause]:
    """Return the clauses of the part of a text that is read, at most 8192 word pieces together; none without words."""
    clauses: list[Clause] = []
    room = MAX_READ_PIECES
    model = embedder()
    for clause in _CLAUSE_END.split(_read(text)):
        pieces = model.pieces(_as_read(clause))[: min(room, MAX_PIECES)]
        room -= len(pieces)
        if pieces:
            clauses.append((clause, pieces))
    return clauses


def reading(clauses: Sequence[Sequence[Clause]]) -> Reading:
    """Return the reading of texts, of which there is at least one; each has at least one clause."""
    wholes = [index for index, text_clauses in enumerate(clauses) if len(text_clauses) > 1]
    pieces = [pieces for text_clauses in clauses for _, pieces in text_clauses]
    pieces += [_all_pieces(clauses[index]) for index in wholes]
    firsts = list(accumulate(map(len, clauses[:-1]), initial=0))
    return Reading(
        clauses=clauses, firsts=firsts, wholes=wholes, directions=directions(embedder().sums(pieces)), pieces=pieces
    )


def whole(texts: Sequence[str]) -> Vectors:
    """Return each text as one direction, shape (texts, 256); zeros where it has no words."""
    return directions(embedder().sums([_all_pieces(clauses_of(text)) for text in texts]))


def _all_pieces(clauses: Sequence[Clause]) -> list[int]:
    """Return the pieces of a whole text, of a long one those of the beginning."""
    return [piece for _, pieces in clauses for piece in pieces][:MAX_PIECES]


def _as_read(clause: str) -> str:
    """Return a clause as the embedding knows words: with plain apostrophes, and in lower case where it is shouted."""
    read = plain(clause)
    capitals = len(_CAPITAL.findall(read))
    if capitals >= _MIN_SHOUTED and capitals > _SHOUTED_SHARE * sum(map(str.isalpha, read)):
        return read.lower().replace("i\u0307", "i")
    return read


def _read(text: str) -> str:
    if len(text) <= MAX_READ_CHARACTERS:
        return text
    half = MAX_READ_CHARACTERS // 2
    return f"{text[:half]}\n{text[-half:]}"
