"""
Static word-piece embeddings in exact arithmetic.

A text is the sum of the vectors of its word pieces (WordLlama, 256 dimensions, trained for average pooling). The
vectors are rounded to integers, and every sum and product that follows stays below 2**24, where float32 holds each
integer. So no order of additions changes a bit: a text scores the same alone, in any batch, on any machine.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from phospho_workers.detection.text.packages import package_folder
from phospho_workers.detection.text.spelling import corrected, is_foreign

Vectors = NDArray[np.float32]

MAX_PIECES = 2048
DIMENSIONS = 256
# These keep the arithmetic exact: 2048 pieces of at most 2047 each stay below 2**22, their squares summed over 256
# dimensions below 2**53 in float64; and (4000 + 8)**2 < 2**24, where 8 is the most that rounding adds to a length.
_PIECE_GRID = 2047
_DIRECTION_GRID = 4000
_SUMMED_AT_ONCE = 256
_MAX_CACHED_WORDS = 50_000
_MAX_CACHED_CHARACTERS = 48


class _Words(NamedTuple):
    """
    Word pieces by word, bounded.

    read: those of mistyped words as they were meant. unread: of the mistyped words alone, those of what is written.
    """

    read: dict[str, list[int]]
    unread: dict[str, list[int]]


class Embedder:
    """
    A table of word-piece vectors with its tokenizer, which is asked in lower case: people capitalize as they like.

    A capitalized word may be a name, so only words in lower case or in capitals are read as they were meant.
    Thread-safe; its bounded cache of words changes no result.
    """

    def __init__(self, table: NDArray[np.floating], tokenizer: Tokenizer) -> None:
        """Take the vectors of all pieces, shape (pieces, 256), and the tokenizer that numbers them."""
        scale = _PIECE_GRID / float(np.abs(table).max())
        self._table: Vectors = np.rint(table.astype(np.float64) * scale).astype(np.float32)
        self._tokenizer = tokenizer
        self._words = _Words({}, {})

    def pieces(self, text: str) -> list[int]:
        """
        Return the word pieces of `text`, a clause, those of a mistyped word as it was meant.

        Words of a foreign clause stay as they are. Pieces of this vocabulary never span a space, so words are cut and
        cached one by one.
        """
        words, cached = text.split(), self._words
        try:
            pieces = list(chain.from_iterable(map(cached.read.__getitem__, words)))
        except KeyError:
            pieces = list(chain.from_iterable(self._read(word, cached) for word in words))
            if len(cached.read) >= _MAX_CACHED_WORDS:
                self._words = _Words({}, {})
        if cached.unread and not cached.unread.keys().isdisjoint(words) and is_foreign(map(_unshouted, words)):
            return list(chain.from_iterable(cached.unread.get(word) or self._read(word, cached) for word in words))
        return pieces

    def sums(self, bags: Sequence[Sequence[int]]) -> Vectors:
        """Return the sum of the vectors of each bag of at most 2048 pieces, shape (bags, 256)."""
        lengths = np.fromiter(map(len, bags), dtype=np.int64, count=len(bags))
        pieces = np.fromiter(chain.from_iterable(bags), dtype=np.int64, count=int(lengths.sum()))
        starts = np.cumsum(lengths) - lengths
        # The longest first: then the bags that still have a piece at some position are the first rows.
        order = np.argsort(-lengths, kind="stable")
        sums = np.zeros((len(bags), DIMENSIONS), dtype=np.float32)
        for begin in range(0, len(bags), _SUMMED_AT_ONCE):
            rows = order[begin : begin + _SUMMED_AT_ONCE]
            sums[rows] = self._summed(pieces, starts[rows], lengths[rows])
        return sums

    def _summed(self, pieces: NDArray[np.int64], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Vectors:
        """Sum bags that are ordered by falling length, position by position."""
        sums = np.zeros((len(starts), DIMENSIONS), dtype=np.float32)
        for position in range(int(lengths[0])):
            live = int(np.searchsorted(-lengths, -position, side="left"))
            sums[:live] += self._table[pieces[starts[:live] + position]]
        return sums

    def _read(self, word: str, cached: _Words) -> list[int]:
        return cached.read.get(word) or self._cut(word, cached)

    def _cut(self, word: str, cached: _Words) -> list[int]:
        pieces = self._encoded(word)
        if len(word) > _MAX_CACHED_CHARACTERS:
            return pieces
        correction = corrected(_unshouted(word)) if len(pieces) > 1 else word
        if correction != word:
            cached.unread[word] = pieces
            pieces = self._encoded(correction)
        cached.read[word] = pieces
        return pieces

    def _encoded(self, word: str) -> list[int]:
        pieces: list[int] = self._tokenizer.encode(_lower(word), add_special_tokens=False).ids
        return pieces


def _unshouted(word: str) -> str:
    return _lower(word) if word.isupper() else word


def _lower(word: str) -> str:
    """Return a word in lower case, in which İ is an i."""
    return word.lower() if word.isascii() else word.lower().replace("i\u0307", "i")


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return vectors of length 1 that point where `vectors` do, shape as given; zeros stay zeros."""
    doubles = vectors.astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", doubles, doubles))
    lengths[lengths == 0.0] = 1.0
    unit_vectors: NDArray[np.float64] = doubles / lengths[:, None]
    return unit_vectors


def directions(sums: NDArray[np.floating]) -> Vectors:
    """Return vectors of integers, shape as given, that point where `sums` do and are 4000 long; zeros stay zeros."""
    rounded: Vectors = np.rint(unit(sums) * _DIRECTION_GRID).astype(np.float32)
    return rounded


def cosines(left: Vectors, right: Vectors) -> Vectors:
    """Return the cosine of each direction on the left with each on the right, shape (left, right)."""
    products: Vectors = np.matmul(left, right.T)
    products /= np.float32(_DIRECTION_GRID**2)
    return products


_loading = threading.Lock()


def embedder() -> Embedder:
    """Return the embedder of this process; the first call reads 18 MB from the wordllama package, and no network."""
    with _loading:
        return _loaded()


@functools.cache
def _loaded() -> Embedder:
    # The package itself is not imported: it would configure the logging of the process.
    folder = package_folder("wordllama")
    if folder is None:
        raise ModuleNotFoundError("the package with the embeddings is not installed: pip install wordllama")
    weights = load_file(folder / "weights" / f"l2_supercat_{DIMENSIONS}.safetensors")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    return Embedder(weights["embedding.weight"], tokenizer)
