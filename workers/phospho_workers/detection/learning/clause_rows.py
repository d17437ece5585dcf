"""Clauses as rows of numbers: the inputs of a classifier, one row for each clause and for the whole of a task."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# The length of the vector of a clause's phrases, and of the other side, where that of the clause's embedding is 1.
# Chosen like every constant here by the mean over three domains; see docs/detection.md.
PHRASES_LENGTH = 1.5
OTHER_SIDE_LENGTH = 1.5
_MAX_PHRASES = 300


class ClauseRows(NamedTuple):
    """
    The clauses of one or more tasks, and the whole of each task of several clauses.

    Unit vectors of the clauses and of the other side, shape (rows, 256); zeros where the other side says nothing.
    The scores of the description, shape (rows). The phrases of each row.
    """

    vectors: NDArray[np.float64]
    other_sides: NDArray[np.float64]
    description_scores: NDArray[np.float64]
    phrases: Sequence[set[int]]


def joined(parts: Sequence[ClauseRows]) -> ClauseRows:
    """Return the rows of all parts, in order."""
    return ClauseRows(
        np.vstack([part.vectors for part in parts]),
        np.vstack([part.other_sides for part in parts]),
        np.concatenate([part.description_scores for part in parts]),
        [phrases for part in parts for phrases in part.phrases],
    )


def best_row(rows: ClauseRows) -> ClauseRows:
    """Return the one row that the description scores highest."""
    best = int(np.argmax(rows.description_scores))
    return ClauseRows(
        rows.vectors[[best]], rows.other_sides[[best]], rows.description_scores[[best]], [rows.phrases[best]]
    )


def centred(rows: ClauseRows) -> tuple[ClauseRows, NDArray[np.float64]]:
    """Return the rows with the mean of their other sides subtracted, and that mean; empty other sides stay zero."""
    has_other_side = np.any(rows.other_sides != 0.0, axis=1, keepdims=True)
    mean: NDArray[np.float64] = rows.other_sides.sum(axis=0) / max(1, int(has_other_side.sum()))
    return rows._replace(other_sides=has_other_side * (rows.other_sides - mean)), mean


def phrase_columns(confirmed: Sequence[ClauseRows]) -> dict[int, int]:
    """Return the column of each phrase to learn: the most frequent ones of the confirmed tasks, 300 at most."""
    counts = Counter(phrase for rows in confirmed for phrase in set().union(*rows.phrases))
    most_frequent = sorted(counts, key=lambda phrase: (-counts[phrase], phrase))[:_MAX_PHRASES]
    return {phrase: column for column, phrase in enumerate(most_frequent)}


def inputs_of(rows: ClauseRows, columns: Mapping[int, int]) -> NDArray[np.float64]:
    """Return the inputs of a regression, shape (rows, 512 + phrases + 1): embeddings, phrases and a constant."""
    phrase_inputs = np.zeros((len(rows.phrases), len(columns)))
    for row, phrases in enumerate(rows.phrases):
        row_columns = [columns[phrase] for phrase in phrases if phrase in columns]
        phrase_inputs[row, row_columns] = PHRASES_LENGTH / math.sqrt(len(phrases))
    inputs: NDArray[np.float64] = np.c_[
        rows.vectors, OTHER_SIDE_LENGTH * rows.other_sides, phrase_inputs, np.ones(len(phrase_inputs))
    ]
    return inputs
