"""The language of descriptions: the semantic engine reads English ones, and others only with an encoder of them."""

from __future__ import annotations

import re

from phospho_workers.detection.semantic.library import library
from phospho_workers.detection.text.language import languages
from phospho_workers.detection.text.spelling import word_share

# Words that make a description English, whatever names it holds, and those that other languages have as well.
_ENGLISH = re.compile(r"\b(the|customer|asks?|wants?|says?|about|with)\b", re.IGNORECASE)
_MAYBE_ENGLISH = re.compile(r"\b(user|users|assistant|is|are|for|of)\b", re.IGNORECASE)
_MIN_LANGUAGE_SCORE = 0.6
# The share of words that must be English ones: names in lower case and typos are none. More of what looks foreign.
_MIN_SHARE = 0.5
_MIN_SHARE_OF_FOREIGN = 0.76


def description_language(description: str) -> str:
    """Return the code of a description's language, English where it has English words; empty where it is unknown."""
    if _ENGLISH.search(description):
        return "en"
    if _MAYBE_ENGLISH.search(description) and _english_share(description) >= _MIN_SHARE_OF_FOREIGN:
        return "en"
    language = languages([description])[0]
    return language.code if language.score >= _MIN_LANGUAGE_SCORE else ""


def is_mostly_unread(core: str) -> bool:
    """Return True if too few words of a description, without its actor, are English ones to say what it means."""
    if _ENGLISH.search(core):
        return _english_share(core) < _MIN_SHARE
    language = languages([core])[0]
    is_english = (language.code or language.guess or "en") == "en"
    return _english_share(core) < (_MIN_SHARE if is_english else _MIN_SHARE_OF_FOREIGN)


def _english_share(text: str) -> float:
    """Return the share of words that are English or names; the first one is no name for its capital."""
    return word_share(text[:1].lower() + text[1:] if text[1:2].islower() else text, library().words)
