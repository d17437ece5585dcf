"""
Students: a project's own map from the static embedding into the space of a sentence encoder.

A static embedding is fast and knows words; an encoder knows sentences and is a hundred times slower. A student is a
ridge regression that was learnt from what the encoder said of a few hundred of the project's texts: from the static
vector of a text and its most frequent word pieces to the encoder's vector. So a new definition needs no new student:
its description is embedded by the encoder, and texts are mapped to where the encoder would put them.

Weights are integers, and every sum stays below 2**24 (float32) or 2**53 (float64), so a text has the same vector alone
and in any batch.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.semantic.descriptions import resemblances
from phospho_workers.detection.semantic.encoder import MultilingualE5, description_vector, encoder
from phospho_workers.detection.semantic.library import description_core, library
from phospho_workers.detection.text.embedding import DIMENSIONS, Vectors, directions, unit
from phospho_workers.detection.text.reading import Reading
from phospho_workers.detection.text.sides import Side

FORMAT = 2
# Dimensions of the encoder's space that a student keeps: the principal ones of its sample.
KEPT_DIMENSIONS = 64
# The vector of a text's word pieces, where that of its static embedding is 1 long.
PIECES_LENGTH = 1.5
# The weight of the library's examples, where that of the description is 1.
_EXAMPLES_WEIGHT = 0.4
GRID = 4096.0
_PIECES_BOUND = 2**13 - 1
_WEIGHTS_BOUND = 2**15 - 1
_VOCABULARY = 1 << 16
_DIRECTION_LENGTH = 4000.0


class BadStudent(ValueError):
    """A serialised student can't be read; the message says why."""


@dataclass(frozen=True)
class References:
    """
    Texts of one side of the sample, by which the scores of definitions are counted.

    static: the directions of their rows. student: those in the student's space. texts: the text of each row, from 0 in
    order. wholes: True for the row of a whole text of several clauses.
    """

    static: Vectors
    student: Vectors
    texts: NDArray[np.int64]
    wholes: NDArray[np.bool_]


@dataclass(frozen=True)
class Student:
    """
    The map of one project. `version` is that of the stored row; the JSON does not repeat it.

    basis: the kept dimensions, shape (encoder's dimensions, kept).
    weights: of the static vector, shape (256, kept). piece_weights: of the word pieces `pieces`, shape (pieces, kept).
    mean: shape (kept). All but the basis are integers in units of 1/GRID.
    references: by side; none of a side without texts.
    """

    encoder: str
    basis: Vectors
    weights: NDArray[np.float64]
    pieces: NDArray[np.int64]
    piece_weights: Vectors
    mean: NDArray[np.float64]
    references: Mapping[Side, References]
    version: int = 0

    @property
    def is_usable(self) -> bool:
        """True if this process has the encoder, which descriptions are embedded by."""
        return encoder(self.encoder) is not None

    @property
    def is_multilingual(self) -> bool:
        """True if the encoder knows any language, where static vectors know English."""
        return self.encoder == MultilingualE5.name

    def vectors(self, batch: Reading) -> Vectors:
        """Return the direction of each row of a reading in the encoder's space, shape (rows, kept)."""
        return self._mapped(batch.directions, batch.pieces)

    def description(self, description: str) -> Vectors:
        """
        Return the direction of texts that are expected to show what is described, shape (kept).

        It is that of the description without its actor, and a share of the library's examples that it resembles.
        """
        projected = description_vector(self.encoder, description_core(description)).astype(np.float64) @ self.basis
        expected = unit((projected - self._common / GRID)[None, :])[0]
        if not self.is_multilingual:
            expected += _EXAMPLES_WEIGHT * (resemblances(description) @ self._examples)
        direction: Vectors = directions(expected[None, :])[0]
        return direction

    @property
    def _common(self) -> NDArray[np.float64]:
        """The part that all vectors share, which tells nothing apart; large in the multilingual encoder's space."""
        return self.mean if self.is_multilingual else np.zeros_like(self.mean)

    @functools.cached_property
    def _examples(self) -> NDArray[np.float64]:
        """The examples of each event of the library, less what all have in common, shape (events, kept)."""
        events = library()
        mapped = unit(self._mapped(events.example_directions, events.example_pieces))
        sums = np.zeros((len(events.names), mapped.shape[1]))
        np.add.at(sums, events.example_events, mapped)
        return unit(unit(sums) - mapped.mean(axis=0))

    def _mapped(self, static: Vectors, pieces: Sequence[Sequence[int]]) -> Vectors:
        along = static.astype(np.float64) @ self.weights
        along += _DIRECTION_LENGTH * (self.mean - self._common)
        return directions(along + self._of_pieces(pieces))

    def _of_pieces(self, pieces_of_rows: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        lengths = np.fromiter(map(len, pieces_of_rows), dtype=np.int64, count=len(pieces_of_rows))
        pieces = np.fromiter(chain.from_iterable(pieces_of_rows), dtype=np.int64, count=int(lengths.sum()))
        weight_rows = self._rows[pieces]
        rows = np.repeat(np.arange(len(lengths)), lengths)[weight_rows >= 0]
        weight_rows = weight_rows[weight_rows >= 0]
        sums = np.zeros((len(lengths), self.piece_weights.shape[1]))
        if len(weight_rows):
            starts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
            sums[rows[starts]] = np.add.reduceat(self.piece_weights[weight_rows], starts, axis=0)
        scale = _DIRECTION_LENGTH * PIECES_LENGTH / np.sqrt(lengths)
        return sums * scale[:, None]

    @functools.cached_property
    def _rows(self) -> NDArray[np.int64]:
        """The row of each word piece in `piece_weights`, -1 for those without one."""
        rows = np.full(_VOCABULARY, -1, dtype=np.int64)
        rows[self.pieces] = np.arange(len(self.pieces))
        return rows

    def to_json(self) -> str:
        """Return the student in some 500 kB; `from_json` gives an equal one."""
        return json.dumps(
            {
                "format": FORMAT,
                "encoder": self.encoder,
                "basis": _packed(self.basis, "<f4"),
                "weights": _packed(self.weights, "<i2"),
                "pieces": _packed(self.pieces, "<u2"),
                "piece_weights": _packed(self.piece_weights, "<i2"),
                "mean": _packed(self.mean, "<i2"),
                "references": {
                    side: {
                        "static": _packed(rows.static, "<i2"),
                        "student": _packed(rows.student, "<i2"),
                        "texts": _packed(rows.texts, "<u2"),
                        "wholes": _packed(rows.wholes, "<u1"),
                    }
                    for side, rows in self.references.items()
                },
            }
        )

    @classmethod
    def from_json(cls, text: str, version: int = 0) -> Student:
        """Return the student that `to_json` wrote. Raises BadStudent; an unknown format is one."""
        try:
            return cls._from(json.loads(text), version)
        except (ValueError, TypeError, KeyError) as error:
            raise BadStudent(f"a student can't be read: {type(error).__name__}: {error}") from None

    @classmethod
    def _from(cls, value: Mapping[str, Any], version: int) -> Student:
        if value["format"] != FORMAT:
            raise BadStudent(f"format is {value['format']!r}; this reads {FORMAT}")
        mean = _unpacked(value["mean"], "<i2").astype(np.float64)
        kept = len(mean)
        return cls(
            encoder=str(value["encoder"]),
            basis=_unpacked(value["basis"], "<f4").reshape(-1, kept),
            weights=_unpacked(value["weights"], "<i2").reshape(DIMENSIONS, kept).astype(np.float64),
            pieces=_unpacked(value["pieces"], "<u2").astype(np.int64),
            piece_weights=_unpacked(value["piece_weights"], "<i2").reshape(-1, kept).astype(np.float32),
            mean=mean,
            references=MappingProxyType({side: _references(rows, kept) for side, rows in value["references"].items()}),
            version=version,
        )


def rounded_weights(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weights in units of 1/GRID, bounded so that sums stay exact."""
    return np.clip(np.rint(weights * GRID), -_WEIGHTS_BOUND, _WEIGHTS_BOUND)


def rounded_piece_weights(weights: NDArray[np.float64]) -> Vectors:
    """Return the weights of word pieces in units of 1/GRID, bounded so that a sum of 2,048 stays below 2**24."""
    return np.clip(np.rint(weights * GRID), -_PIECES_BOUND, _PIECES_BOUND).astype(np.float32)


def _references(value: Mapping[str, str], kept: int) -> References:
    return References(
        static=_unpacked(value["static"], "<i2").reshape(-1, DIMENSIONS).astype(np.float32),
        student=_unpacked(value["student"], "<i2").reshape(-1, kept).astype(np.float32),
        texts=_unpacked(value["texts"], "<u2").astype(np.int64),
        wholes=_unpacked(value["wholes"], "<u1").astype(bool),
    )


def _packed(numbers: NDArray[Any], kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers).astype(kind).tobytes()).decode()


def _unpacked(text: str, kind: str) -> NDArray[Any]:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype=kind)
