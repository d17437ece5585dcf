"""Learning a student: a ridge regression from a project's texts to what a sentence encoder says of them."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.semantic.encoder import SentenceEncoder, encoder_of_languages
from phospho_workers.detection.semantic.student import (
    KEPT_DIMENSIONS,
    PIECES_LENGTH,
    References,
    Student,
    rounded_piece_weights,
    rounded_weights,
)
from phospho_workers.detection.text.embedding import DIMENSIONS, unit
from phospho_workers.detection.text.language import languages
from phospho_workers.detection.text.reading import Reading, clauses_of, reading
from phospho_workers.detection.text.sides import Side

# Encoding takes most of the time: some 6 s of a core for so many texts, with a slow encoder as long as MAX_CPU_S.
MAX_TEXTS = 1_500
MAX_CPU_S = 15
# Fewer texts teach less than the descriptions know by themselves.
MIN_TEXTS = 120
_MAX_REFERENCES = 250
_MAX_ROWS_OF_REFERENCE = 4
_MAX_PIECES = 1_500
_MIN_TEXTS_OF_PIECE = 2
# Chosen by the mean over eight sets; see docs/detection.md.
_PULL_PER_TEXT = 0.002
# A held-out text must be nearer to its own vector than the mean of all is, by this share of what is missing.
_MIN_GAIN = 0.15
_SIDES: tuple[Side, ...] = ("input", "output")
# Orders, amounts, dates and ids.
_NUMBERED_WORD = re.compile(r"[\w-]*\d[\w-]*")

Matrix = NDArray[np.float64]
Encoders = Callable[[Sequence[str]], SentenceEncoder | None]


class Validation(NamedTuple):
    """The mean cosine of held-out texts with their encoder's vectors: by the student, and by the mean of all."""

    student: float
    mean: float

    @property
    def is_worth_it(self) -> bool:
        return self.student - self.mean >= _MIN_GAIN * (1.0 - self.mean)


def sample(texts: Iterable[str], limit: int) -> list[str]:
    """
    Return at most `limit` of the texts that have words, chosen and ordered by their hashes.

    Of texts that differ only in words with digits there is one. A few sentences, each a hundred times with another
    number, would teach that nothing else is ever said: every definition then scores as if it were one of them.
    """
    samples: dict[str, str] = {}
    for text in sorted({text for text in texts if clauses_of(text)}, key=_hash):
        samples.setdefault(_NUMBERED_WORD.sub("0", text), text)
    return list(samples.values())[:limit]


def learn_student(
    texts: Mapping[Side, Sequence[str]], encoders: Encoders = encoder_of_languages
) -> tuple[Student, Validation] | None:
    """
    Return the student of a project's texts by side, with its validation; None without an encoder or enough texts.

    Pure: the same texts give the same student, whatever their order. `encoders` returns the encoder for texts in these
    languages.
    """
    samples = {side: sample(texts.get(side, ()), MAX_TEXTS) for side in _SIDES}
    both = [text for side in _SIDES for text in samples[side]]
    model = encoders([language.code for language in languages(both[:400])])
    if model is None:
        return None
    limit = min(MAX_TEXTS, model.texts_per_cpu_second * MAX_CPU_S)
    samples = {side: part[: _share(len(part), len(both), limit)] for side, part in samples.items()}
    both = [text for side in _SIDES for text in samples[side]]
    if len(both) < MIN_TEXTS:
        return None
    return _learn(samples, both, model)


def worthwhile_student(inputs: Sequence[str], encoders: Encoders = encoder_of_languages) -> Student | None:
    """Return the student of inputs alone; None where there can't be one, or it is no better than none."""
    learnt = learn_student({"input": inputs}, encoders)
    return learnt[0] if learnt is not None and learnt[1].is_worth_it else None


def _learn(
    samples: Mapping[Side, Sequence[str]], both: Sequence[str], model: SentenceEncoder
) -> tuple[Student, Validation]:
    vectors = model.vectors(both).astype(np.float64)
    batch = _whole_texts(both)
    is_held_out = np.arange(len(both)) % 5 == 0
    validation = _validated(batch, vectors, is_held_out)
    basis = _principal(vectors)
    pieces = _frequent_pieces(batch)
    weights = _ridge(_inputs(batch, pieces), vectors @ basis)
    student = Student(
        encoder=model.name,
        basis=basis.astype(np.float32),
        weights=rounded_weights(weights[:DIMENSIONS]),
        pieces=np.array(pieces, dtype=np.int64),
        piece_weights=rounded_piece_weights(weights[DIMENSIONS:-1]),
        mean=rounded_weights(weights[-1]),
        references={},
    )
    references = {side: references_of(student, part[:_MAX_REFERENCES]) for side, part in samples.items() if part}
    return replace(student, references=references), validation


def references_of(student: Student, texts: Sequence[str]) -> References:
    """Return the rows of texts in both spaces: of each its first clauses and its whole."""
    clauses = [clauses_of(text) for text in texts]
    batch = reading([part[: _MAX_ROWS_OF_REFERENCE - 1] for part in clauses])
    is_whole = np.arange(len(batch.pieces)) >= batch.clause_count
    order = np.argsort(batch.texts(), kind="stable")
    return References(
        static=batch.directions[order],
        student=student.vectors(batch)[order],
        texts=batch.texts()[order],
        wholes=is_whole[order],
    )


def _whole_texts(texts: Sequence[str]) -> Reading:
    """Return each text as a single clause."""
    return reading([[(text, [piece for _, pieces in clauses_of(text) for piece in pieces])] for text in texts])


def _validated(batch: Reading, vectors: Matrix, is_held_out: NDArray[np.bool_]) -> Validation:
    """Return how near a student of the other texts comes to the vectors of the held-out ones."""
    rows = np.flatnonzero(~is_held_out)
    pieces = _frequent_pieces(batch, rows)
    inputs = _inputs(batch, pieces)
    predicted = unit(inputs[is_held_out] @ _ridge(inputs[rows], vectors[rows]))
    mean = unit(vectors[rows].mean(axis=0)[None, :])
    held_out = vectors[is_held_out]
    return Validation(float(np.einsum("ij,ij->i", predicted, held_out).mean()), float((held_out @ mean[0]).mean()))


def _principal(vectors: Matrix) -> Matrix:
    """Return the principal directions of vectors, shape (dimensions, kept)."""
    _, directions = np.linalg.eigh(vectors.T @ vectors)
    kept: Matrix = directions[:, ::-1][:, :KEPT_DIMENSIONS]
    return kept


def _frequent_pieces(batch: Reading, rows: NDArray[np.int64] | None = None) -> list[int]:
    pieces = batch.pieces if rows is None else [batch.pieces[row] for row in rows]
    counts = Counter(piece for text_pieces in pieces for piece in set(text_pieces))
    frequent = sorted(counts, key=lambda piece: (-counts[piece], piece))[:_MAX_PIECES]
    return [piece for piece in frequent if counts[piece] >= _MIN_TEXTS_OF_PIECE]


def _inputs(batch: Reading, pieces: Sequence[int]) -> Matrix:
    """Return the inputs of the regression, shape (rows, 256 + pieces + 1); the last is constant."""
    columns = {piece: column for column, piece in enumerate(pieces)}
    of_pieces = np.zeros((len(batch.pieces), len(pieces)))
    for row, text_pieces in enumerate(batch.pieces):
        own_columns = [columns[piece] for piece in text_pieces if piece in columns]
        np.add.at(of_pieces[row], own_columns, PIECES_LENGTH / np.sqrt(len(text_pieces)))
    inputs: Matrix = np.c_[unit(batch.directions), of_pieces, np.ones(len(of_pieces))]
    return inputs


def _ridge(inputs: Matrix, outputs: Matrix) -> Matrix:
    """Return the weights of a ridge regression whose constant is not pulled: it is the mean of the outputs."""
    mean = outputs.mean(axis=0)
    free = inputs[:, :-1]
    pull = _PULL_PER_TEXT * len(inputs)
    if free.shape[1] <= len(free):
        weights = np.linalg.solve(free.T @ free + pull * np.eye(free.shape[1]), free.T @ (outputs - mean))
    else:
        weights = free.T @ np.linalg.solve(free @ free.T + pull * np.eye(len(free)), outputs - mean)
    return np.vstack([weights, mean])


def _share(texts: int, of_all: int, limit: int) -> int:
    return texts if of_all <= limit else max(1, texts * limit // of_all)


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()
