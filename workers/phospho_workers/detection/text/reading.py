"""What of a text is read, clause by clause: what the semantic engine scores and what classifiers learn from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.text.embedding import MAX_PIECES, Vectors, directions, embedder

# Of a longer text the beginning and the end are read, half of this each: that is where people say what they want.
MAX_READ_CHARACTERS = 8_000
# A mark, and what follows it as far as white space or the end: `[.!?;:\n]+(?:\s+|$)`, save that marks between such
# ends, which say nothing, are taken with them, and that no run of marks is begun twice: so its cost is linear.
_CLAUSE_END = re.compile(r"(?<![.!?;:\n])[.!?;:\n][.!?;:\s]*(?:\s|$)")

# A clause and its word pieces.
Clause = tuple[str, list[int]]


@dataclass(frozen=True)
class Reading:
    """
    Texts that have a clause each, as directions: first those of all clauses, then those of whole texts.

    `firsts` has the row of each text's first clause. A text of one clause is that clause; `wholes` has the places
    of the others, in the order of their rows, which begin at `clause_count`. `pieces` has those of each row.
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
        """Return for each row the place of its text."""
        of_clauses = [place for place, of_text in enumerate(self.clauses) for _ in of_text]
        return np.array([*of_clauses, *self.wholes], dtype=np.int64)

    def rows(self) -> list[list[int]]:
        """Return for each text the rows of its clauses and that of the whole."""
        rows = [
            list(range(first, first + len(of_text))) for first, of_text in zip(self.firsts, self.clauses, strict=True)
        ]
        for row, place in enumerate(self.wholes, self.clause_count):
            rows[place].append(row)
        return rows


def clauses_of(text: str) -> list[Clause]:
    """Return the clauses of what is read of a text, 2048 word pieces together at most; none where nothing is said."""
    kept: list[Clause] = []
    room = MAX_PIECES
    model = embedder()
    for clause in _CLAUSE_END.split(_read(text)):
        pieces = model.pieces(clause)[:room]
        room -= len(pieces)
        if pieces:
            kept.append((clause, pieces))
    return kept


def reading(clauses: Sequence[Sequence[Clause]]) -> Reading:
    """Return what texts say, from their clauses; there is at least one text, and each has at least one clause."""
    wholes = [place for place, of_text in enumerate(clauses) if len(of_text) > 1]
    pieces = [pieces for of_text in clauses for _, pieces in of_text]
    pieces += [[piece for _, of_clause in clauses[place] for piece in of_clause] for place in wholes]
    firsts = list(accumulate(map(len, clauses[:-1]), initial=0))
    return Reading(clauses, firsts, wholes, directions(embedder().sums(pieces)), pieces)


def whole(texts: Sequence[str]) -> Vectors:
    """Return what each text says as one direction, shape (texts, 256); zeros where it says nothing."""
    pieces = [[piece for _, of_clause in clauses_of(text) for piece in of_clause] for text in texts]
    return directions(embedder().sums(pieces))


def _read(text: str) -> str:
    if len(text) <= MAX_READ_CHARACTERS:
        return text
    half = MAX_READ_CHARACTERS // 2
    return f"{text[:half]}\n{text[-half:]}"
