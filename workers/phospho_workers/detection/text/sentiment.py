"""
The sentiment of an English text, by VADER (Hutto and Gilbert 2014): a lexicon and rules, no model.

Of a long text the beginning and the end are read, and their mean counts. Text in another language has no sentiment:
unknown, not neutral.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from importlib import metadata
from typing import Literal, NamedTuple

from phospho_schemas.text.normalisation import plain
from phospho_workers.detection.text.vader import Vader

# VADER is made for sentences. Its time grows with the square of the words, and it makes several of each emoji. Half of
# this is read at the beginning of a longer text, and half at its end: people thank first, or say last what is wrong.
MAX_READ_CHARACTERS = 500
# The bounds that VADER's README documents for its compound score.
_POSITIVE = 0.05
_DIGITS = 4
_NEGATIVE = -0.05


class Sentiment(NamedTuple):
    """
    `score` is VADER's compound in [-1, 1]; label and score are empty where VADER does not apply.

    `magnitude` in [0, 1] is the share of words with feeling, of either kind, as VADER weighs them.
    """

    label: Literal["positive", "neutral", "negative", ""]
    score: float | None
    magnitude: float | None


NOT_COVERED = Sentiment("", None, None)
NEUTRAL = Sentiment("neutral", 0.0, 0.0)
MODEL = f"vader-{metadata.version('vaderSentiment')}"


def sentiments(texts: Sequence[str], languages: Sequence[str]) -> list[Sentiment]:
    """
    Return the sentiment of each text, given its language code; NOT_COVERED unless it is English.

    A text of unknown language, such as "great!", is covered if VADER knows a word of it.
    """
    return [_sentiment(text, language) for text, language in zip(texts, languages, strict=True)]


def _sentiment(text: str, language: str) -> Sentiment:
    if language not in ("", "en") or not text.strip():
        return NOT_COVERED
    parts = [_vader().scores(plain(part)) for part in _parts(text)]
    if not any(magnitude for _, magnitude in parts):
        return NEUTRAL if language else NOT_COVERED
    score = round(sum(score for score, _ in parts) / len(parts), _DIGITS)
    return Sentiment(_label(score), score, round(sum(magnitude for _, magnitude in parts) / len(parts), 3))


def _parts(text: str) -> list[str]:
    """Return a short text, or the beginning and the end of a long one without words that are cut in two."""
    if len(text) <= MAX_READ_CHARACTERS:
        return [text]
    half = MAX_READ_CHARACTERS // 2
    beginning, end = text[:half], text[-half:]
    if not text[half].isspace() and len(beginning.split()) > 1:
        beginning = beginning.rsplit(maxsplit=1)[0]
    if not text[-half - 1].isspace():
        end = end.split(maxsplit=1)[-1]
    return [beginning, end]


def _label(score: float) -> Literal["positive", "neutral", "negative"]:
    if score >= _POSITIVE:
        return "positive"
    return "negative" if score <= _NEGATIVE else "neutral"


_loading = threading.Lock()


def _vader() -> Vader:
    with _loading:
        return _loaded()


@functools.cache
def _loaded() -> Vader:
    return Vader()
