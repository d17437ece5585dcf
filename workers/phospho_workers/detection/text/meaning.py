"""
The meaning of a text in 32 bytes, for search among millions of tasks.

A code has a bit for each dimension of the static embedding: whether the text lies on its positive side. Codes of
similar texts differ in few bits. They find candidates, which the embeddings themselves then rank. Of a longer text the
first 2,000 characters count, for both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phospho_schemas.messages import Meaning
from phospho_workers.detection.text.embedding import Vectors, cosines
from phospho_workers.detection.text.reading import whole

NO_MEANING: Meaning = (0, 0, 0, 0)
_MAX_CHARACTERS = 2_000


def codes(texts: Sequence[str]) -> list[Meaning]:
    """Return the code of each text; NO_MEANING where it has no words."""
    return codes_of(_directions(texts)) if texts else []


def codes_of(rows: Vectors) -> list[Meaning]:
    """Return the codes of directions, shape (texts, 256)."""
    packed = np.packbits(rows > 0, axis=1, bitorder="little").view("<u8")
    return [(first, second, third, fourth) for first, second, third, fourth in packed.tolist()]


def similarities(text: str, others: Sequence[str]) -> list[float]:
    """Return the cosine of a text with each of others; 0 where one of both has no words."""
    if not others:
        return []
    rows = _directions([text, *others])
    return [float(cosine) for cosine in cosines(rows[:1], rows[1:])[0]]


def _directions(texts: Sequence[str]) -> Vectors:
    return whole([text[:_MAX_CHARACTERS] for text in texts])
