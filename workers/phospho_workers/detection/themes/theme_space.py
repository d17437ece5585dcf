"""
The space in which the tasks of a project are compared to find its themes.

A text is a direction in the space of the project's student, or of the static embedding where no encoder suits its
language, less what all texts of the project have in common. A model keeps its space for as long as it can: a theme
whose texts lie elsewhere would be another theme.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from phospho_schemas.text.normalisation import plain
from phospho_workers.detection.semantic.student import Student, rounded_weights
from phospho_workers.detection.text.embedding import DIMENSIONS, MAX_PIECES, Vectors, directions, unit
from phospho_workers.detection.text.reading import Clause, clauses_of, reading

# A clause that begins so many of the different texts is a template that surrounds what users say.
_BOILERPLATE_SHARE = 0.2
_MIN_BOILERPLATE_TEXTS = 10
_MAX_BOILERPLATE = 50
_MAX_BOILERPLATE_CHARACTERS = 300
_NUMBERED_WORD = re.compile(r"[\w-]*\d[\w-]*")
_STATIC = "static"
# Of 256: in more, distances say less, and themes are too many.
_STATIC_DIMENSIONS = 32


class ReadTexts(NamedTuple):
    """Texts in a theme space: the direction of each that has words, shape (texts, dimensions), and their indexes."""

    indexes: list[int]
    directions: Vectors


@dataclass(frozen=True)
class ThemeSpace:
    """
    `student` maps a text; it needs no encoder. `center` is the mean direction, in the units of directions.

    `boilerplate` has clauses that are not read, as `clause_key` gives them.
    """

    student: Student
    center: Vectors
    boilerplate: frozenset[str] = frozenset()

    @property
    def dimensions(self) -> int:
        return len(self.center)

    def read(self, texts: Sequence[str]) -> ReadTexts:
        """Return the directions of texts; those without words have none."""
        rows = [(index, pieces) for index, text in enumerate(texts) if (pieces := self._pieces(text))]
        if not rows:
            return ReadTexts([], np.zeros((0, self.dimensions), dtype=np.float32))
        batch = reading([[("", pieces)] for _, pieces in rows])
        centered: Vectors = directions(self.student.vectors(batch) - self.center)
        return ReadTexts([index for index, _ in rows], centered)

    def without_boilerplate(self, text: str) -> str:
        """Return what is read of a text, a line for each clause where some are left out."""
        return "\n".join(clause.strip() for clause, _ in self._clauses(text)) if self.boilerplate else text

    def _pieces(self, text: str) -> list[int]:
        return [piece for _, pieces in self._clauses(text) for piece in pieces][:MAX_PIECES]

    def _clauses(self, text: str) -> Sequence[Clause]:
        clauses = clauses_of(text)
        if not self.boilerplate or len(clauses) < 2:
            return clauses
        return [clause for clause in clauses if clause_key(clause[0]) not in self.boilerplate] or clauses

    def to_value(self) -> dict[str, Any]:
        """Return the space as JSON values."""
        return {
            "student": replace(self.student, references={}).to_json(),
            "center": self.center.astype(int).tolist(),
            "boilerplate": sorted(self.boilerplate),
        }

    @classmethod
    def from_value(cls, value: Mapping[str, Any]) -> ThemeSpace:
        """Return the space of `to_value`. Raises ValueError, KeyError or TypeError."""
        return cls(
            student=Student.from_json(value["student"]),
            center=np.array(value["center"], dtype=np.float32),
            boilerplate=frozenset(value["boilerplate"]),
        )


def theme_space(texts: Sequence[str], student: Student | None) -> ThemeSpace:
    """Return the space of a project from different texts of it, at least one with words; `student` is the project's."""
    boilerplate = _boilerplate(texts)
    if student is None:
        static = _static_student(np.eye(DIMENSIONS))
        rows = ThemeSpace(static, np.zeros(DIMENSIONS, dtype=np.float32), boilerplate).read(texts).directions
        student = _static_student(_principal(rows))
    basis = np.zeros((0, len(student.mean)), dtype=np.float32)
    kept = replace(student, references={}, basis=basis)
    space = ThemeSpace(kept, np.zeros(len(student.mean), dtype=np.float32), boilerplate)
    mean = space.read(texts).directions.mean(axis=0, dtype=np.float64)
    return replace(space, center=np.rint(mean).astype(np.float32))


def text_key(text: str) -> str:
    """Return the form of a text in which near-duplicates are equal: those that differ in numbers, case or marks."""
    return " ".join(re.findall(r"\w+", _NUMBERED_WORD.sub("0", plain(text).lower())))


def clause_key(clause: str) -> str:
    """Return the form in which clauses are compared with the boilerplate."""
    return " ".join(clause.split())[:_MAX_BOILERPLATE_CHARACTERS]


def _boilerplate(texts: Sequence[str]) -> frozenset[str]:
    """Return the clauses that stand in a large share of the texts, beside others."""
    counts: Counter[str] = Counter()
    for text in texts:
        clauses = clauses_of(text)
        if len(clauses) > 1:
            counts.update({clause_key(clause) for clause, _ in clauses})
    least = max(_MIN_BOILERPLATE_TEXTS, _BOILERPLATE_SHARE * len(texts))
    return frozenset(clause for clause, count in counts.most_common(_MAX_BOILERPLATE) if count >= least)


def _principal(rows: Vectors) -> NDArray[np.float64]:
    """Return the directions in which static embeddings of texts differ most, shape (256, kept)."""
    unit_rows = unit(rows)
    centered = unit_rows - unit_rows.mean(axis=0)
    _, axes = np.linalg.eigh(centered.T @ centered)
    principal: NDArray[np.float64] = axes[:, ::-1][:, :_STATIC_DIMENSIONS]
    return principal


def _static_student(axes: NDArray[np.float64]) -> Student:
    """Return the map of static embeddings onto axes, shape (256, dimensions)."""
    dimensions = axes.shape[1]
    return Student(
        encoder=_STATIC,
        basis=np.zeros((0, dimensions), dtype=np.float32),
        weights=rounded_weights(axes),
        pieces=np.zeros(0, dtype=np.int64),
        piece_weights=np.zeros((0, dimensions), dtype=np.float32),
        mean=np.zeros(dimensions),
        references={},
    )
