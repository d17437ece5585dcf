"""Reading a text clause by clause, as the semantic engine scores it and as classifiers learn from it."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, takewhile

import numpy as np
from numpy.typing import NDArray

from phospho_schemas.text.normalisation import plain
from phospho_workers.detection.text.embedding import MAX_PIECES, Vectors, directions, embedder

# Of a longer text the beginning and the end are read, half of this each: people say what they want there.
MAX_READ_CHARACTERS = 32_000
MAX_READ_PIECES = 8_192
# A line break, or a mark with what follows it up to white space or the end. Simpler is `[.!?;:\n]+(?:\s+|$)|\n`. This
# also takes marks between such ends, and begins no run of marks twice, which makes its cost linear. A line of 50
# characters that goes on in lower case is wrapped: no clause ends there.
_CLAUSE_END = re.compile(r"(?<![.!?;:\n])(?:[.!?;:\n][.!?;:\s]*(?:\s|$)|\n(?!(?<=[^\n]{50}\n)[a-z]))")

# Parts of detection read the same texts of a batch, one after the other: short ones are cut into clauses once.
_MAX_KEPT_CHARACTERS = 2_000
_KEPT_TEXTS = 2_048

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


def clauses_of(text: str, max_pieces: int = MAX_READ_PIECES) -> Sequence[Clause]:
    """
    Return the clauses of the part of a text that is read; none without words.

    Those of a text of more than 2,000 characters have at most `max_pieces` together.
    """
    return _kept_clauses(text) if len(text) <= _MAX_KEPT_CHARACTERS else _cut(text, max_pieces)


@functools.lru_cache(maxsize=_KEPT_TEXTS)
def _kept_clauses(text: str) -> Sequence[Clause]:
    return _cut(text, MAX_READ_PIECES)


def _cut(text: str, max_pieces: int) -> Sequence[Clause]:
    clauses: list[Clause] = []
    room = max_pieces
    model = embedder()
    read = _read(text)
    is_plain = plain(read) is read
    for clause in _CLAUSE_END.split(read):
        pieces = model.pieces(clause if is_plain else plain(clause))
        if len(pieces) > MAX_PIECES or len(pieces) > room:
            pieces = pieces[: min(room, MAX_PIECES)]
        if pieces:
            room -= len(pieces)
            clauses.append((clause, pieces))
        if not room:
            break
    return clauses


def reading(clauses: Sequence[Sequence[Clause]]) -> Reading:
    """Return the reading of texts, of which there is at least one; each has at least one clause."""
    wholes = [index for index, text_clauses in enumerate(clauses) if len(text_clauses) > 1]
    pieces = [pieces for text_clauses in clauses for _, pieces in text_clauses]
    firsts = list(accumulate(map(len, clauses[:-1]), initial=0))
    sums = embedder().sums(pieces)
    ends = [firsts[index] + _count_first(clauses[index]) for index in wholes]
    of_wholes = [sums[firsts[index] : end].sum(axis=0) for index, end in zip(wholes, ends, strict=True)]
    pieces += [list(chain.from_iterable(pieces[firsts[index] : end])) for index, end in zip(wholes, ends, strict=True)]
    return Reading(
        clauses=clauses,
        firsts=firsts,
        wholes=wholes,
        directions=directions(np.vstack([sums, *of_wholes])),
        pieces=pieces,
    )


def whole(texts: Sequence[str]) -> Vectors:
    """Return each text as one direction, shape (texts, 256); zeros where it has no words."""
    return directions(embedder().sums([_all_pieces(clauses_of(text, 2 * MAX_PIECES)) for text in texts]))


def _all_pieces(clauses: Sequence[Clause]) -> list[int]:
    """Return the pieces of a whole text, of a long one those of its first clauses."""
    return [piece for _, pieces in clauses[: _count_first(clauses)] for piece in pieces]


def _count_first(clauses: Sequence[Clause]) -> int:
    """Return the number of clauses at the beginning of a text that have at most 2048 word pieces together."""
    totals = accumulate(len(pieces) for _, pieces in clauses)
    return sum(1 for _ in takewhile(MAX_PIECES.__ge__, totals))


def _read(text: str) -> str:
    if len(text) <= MAX_READ_CHARACTERS:
        return text
    half = MAX_READ_CHARACTERS // 2
    return f"{text[:half]}\n{text[-half:]}"
