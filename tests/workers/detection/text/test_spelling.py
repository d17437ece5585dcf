"""Mistyped words are read as they were meant; real words, names and other languages stay as they are."""

from __future__ import annotations

import pytest

from phospho_workers.detection.definitions import compile_definitions
from phospho_workers.detection.text import spelling
from phospho_workers.detection.text.spelling import corrected
from workers.detection.tasks import semantic

_TYPOS = [
    ("The user asks about the weather", "what is the weathr like tommorow in Paris"),
    ("The user reports a bug", "the app craashes every time I opne the settings"),
    ("The user is angry", "this is outrageuos, I am furiuos"),
    ("The user forgot their password", "how do I recovr a lots passsword"),
]


@pytest.mark.parametrize(
    ("word", "meant"),
    [("passsword", "password"), ("packge,", "package,"), ("(preivous", "(previous")],
)
def test_word_one_edit_away_is_corrected(word: str, meant: str) -> None:
    assert corrected(word) == meant


@pytest.mark.parametrize(
    "word", ["password", "cancelling", "reinstalled", "Anikka", "HTTPX", "bck", "für", "qwxzzkj", "x" * 5000, "", "42"]
)
def test_other_words_stay(word: str) -> None:
    assert corrected(word) == word


def test_without_the_vocabulary_words_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spelling, "checked_path", lambda _: None)
    assert spelling._loaded.__wrapped__() == {}
    monkeypatch.setattr(spelling, "_vocabulary", dict)
    assert corrected("passsword") == "passsword"


@pytest.mark.parametrize(("description", "text"), _TYPOS)
def test_mistyped_text_is_found(description: str, text: str) -> None:
    [[match]] = compile_definitions([semantic("event", description)]).match([text], "input")
    assert match.is_found
