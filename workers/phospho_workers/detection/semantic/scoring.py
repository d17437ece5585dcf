"""
The score of a definition in a text, from its description alone.

It is the margin over the definition's rivals in the static embedding and, where the project has a student, also in the
encoder's space. Some definitions are nearer than others to any text, and spread more. So a margin is counted in
standard deviations from its mean over reference texts: a sample of the project's own, or the examples of the library.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.semantic.acts import ActScores
from phospho_workers.detection.semantic.confidence import EVEN_SCORE
from phospho_workers.detection.semantic.descriptions import expected_direction
from phospho_workers.detection.semantic.library import library
from phospho_workers.detection.semantic.rivalry import Margins, Scores
from phospho_workers.detection.semantic.student import References, Student
from phospho_workers.detection.text.embedding import directions
from phospho_workers.detection.text.reading import Reading
from phospho_workers.detection.text.sides import Side

# The weight of the margin in the encoder's space, where that in the static embedding is 1, or for an encoder of many
# languages, where the static embedding knows English only, next to nothing.
_STUDENT_WEIGHT = 1.2
_FOREIGN_STATIC_WEIGHT = 0.05
# Nothing stands in for missing rivals in the encoder's space, and without any the margin says what a text is about
# rather than what it says. So its weight grows with the definitions; with this many it is half.
_DEFINITIONS_OF_HALF = 6
# Standard deviations above the mean of the references at which a text is as likely as not to show the event; those of a
# project's own texts are nearer to what it finds than those of the library.
_EVEN_DEVIATIONS = 2.5
_EVEN_DEVIATIONS_OF_LIBRARY = 2.9
# The score of one deviation.
_STEP = 0.15
# Margins with a long upper tail are of events that are rare and clear; those of frequent events spread evenly.
_SKEW_SHARE = 0.3
_USUAL_SKEW = 1.0
_MAX_SKEW = 5.0
# Clauses of a text whose whole says as much as its best one; what the best of e times as many must have more, in
# standard deviations of the text's other clauses.
_FEW_CLAUSES = 4
_DEVIATIONS_OF_CHANCE = 0.75
_LEAST_DEVIATION = 1e-6


class DescriptionScores:
    """The scores of descriptions, each of which has a word piece, in texts of one side."""

    def __init__(self, descriptions: Sequence[str], side: Side, student: Student | None = None) -> None:
        """Compile descriptions. A `student` that this process can't use, or that never saw this side, is left out."""
        references = student.references.get(side) if student is not None and student.is_usable else None
        self._student = student if references is not None else None
        self._acts = ActScores(descriptions, side)
        is_foreign = self._student is not None and self._student.is_multilingual
        self._static_weight = _FOREIGN_STATIC_WEIGHT if is_foreign else 1.0
        trust = 1.0 if is_foreign else len(descriptions) / (len(descriptions) + _DEFINITIONS_OF_HALF)
        self._student_weight = _STUDENT_WEIGHT * trust
        expected = directions(np.stack([expected_direction(description) for description in descriptions]))
        self._static = Margins(expected, stand_ins=library().directions)
        self._taught: Margins | None = None
        if self._student is not None:
            self._taught = Margins(np.stack([self._student.description(description) for description in descriptions]))
        self._count_from(references)

    def scores(self, batch: Reading) -> Scores:
        """Return the score of each description in each row of a reading, shape (rows, descriptions)."""
        margins = self._static.of(batch.directions)
        if self._student is not None and self._taught is not None:
            taught = self._taught.of(self._student.vectors(batch))
            margins = self._static_weight * margins + self._student_weight * taught
        scores: Scores = margins * self._slopes + self._offsets
        self._acts.add_to(scores, batch)
        return scores

    def _count_from(self, references: References | None) -> None:
        """Set slope and offset of each description, by which its margins become scores."""
        if references is None or self._taught is None:
            even, margins = _EVEN_DEVIATIONS_OF_LIBRARY, self._static.of(library().example_directions)
        else:
            taught = self._taught.of(references.student)
            rows = self._static_weight * self._static.of(references.static) + self._student_weight * taught
            even, margins = _EVEN_DEVIATIONS, _of_references(rows, references)
        statistics = np.array([_statistics(column) for column in margins.T])
        means, deviations, skews = statistics.T
        even_deviations = even + _SKEW_SHARE * (np.minimum(skews, _MAX_SKEW) - _USUAL_SKEW)
        self._slopes = _STEP / deviations
        self._offsets = EVEN_SCORE - _STEP * (means / deviations + even_deviations)


def of_texts(scores: Scores, batch: Reading) -> Scores:
    """
    Return the scores of texts, from those of their rows.

    That of a text of a few clauses is the mean of the best clause's and the whole's. The whole of a long text is about
    much else, so it counts less; and among many clauses one is near to any definition by chance, so the best one must
    be better.
    """
    of_clauses = scores[: batch.clause_count]
    texts = np.maximum.reduceat(of_clauses, batch.firsts, axis=0)
    counts = np.fromiter(map(len, batch.clauses), dtype=np.float64, count=len(batch.clauses))[:, None]
    chance = _chance(of_clauses, texts, batch) if counts.max() > _FEW_CLAUSES else 0.0
    share = np.minimum(1.0, _FEW_CLAUSES / counts[batch.wholes]) / 2.0
    texts[batch.wholes] = texts[batch.wholes] * (1.0 - share) + scores[batch.clause_count :] * share
    return texts - chance


def _chance(of_clauses: Scores, best: Scores, batch: Reading) -> Scores:
    """
    Return by how much the best of a text's clauses is likely to exceed that of a few, by chance alone.

    Definitions differ in it, and so do texts: it is counted in the standard deviation of a text's other clauses. A
    clause that is repeated is one.
    """
    counts = [(len(clauses), len({clause for clause, _ in clauses})) for clauses in batch.clauses]
    all_counts, different = np.array(counts, dtype=np.float64).T[:, :, None]
    others = np.maximum(all_counts - 1.0, 1.0)
    means = (np.add.reduceat(of_clauses, batch.firsts, axis=0) - best) / others
    squares = (np.add.reduceat(of_clauses**2, batch.firsts, axis=0) - best**2) / others
    deviations = np.sqrt(np.maximum(squares - means**2, 0.0))
    chance: Scores = deviations * np.log(np.maximum(different, _FEW_CLAUSES) / _FEW_CLAUSES) * _DEVIATIONS_OF_CHANCE
    return chance


def _of_references(rows: Scores, references: References) -> Scores:
    """Return the margins of the texts, as `of_texts` does for a few clauses."""
    starts = np.flatnonzero(np.r_[True, references.texts[1:] != references.texts[:-1]])
    of_clauses = np.where(references.wholes[:, None], -np.inf, rows)
    best = np.maximum.reduceat(of_clauses, starts, axis=0)
    wholes = references.texts[references.wholes]
    best[wholes] = (best[wholes] + rows[references.wholes]) / 2.0
    return best


def _statistics(margins: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return mean, standard deviation and skewness of a column, the same ones whatever columns are beside it."""
    column = np.ascontiguousarray(margins)
    mean = float(column.mean())
    deviation = max(float(column.std()), _LEAST_DEVIATION)
    return mean, deviation, float((((column - mean) / deviation) ** 3).mean())
