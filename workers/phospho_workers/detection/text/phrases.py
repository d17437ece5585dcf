"""Phrases as features: word pieces and pairs of neighbours, whose order an embedding, being a sum, loses."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

# A piece is a number below 2**16; a pair is two of them, the first raised so that no pair is a piece.
_EDGE = 0xFFFF
_PAIR = 1 << 16


def phrases(pieces: Sequence[int]) -> set[int]:
    """Return the features of a clause: its pieces and its pairs, including those with its two edges."""
    return {*pieces, *((first + 1) * _PAIR + second for first, second in pairwise((_EDGE, *pieces, _EDGE)))}
