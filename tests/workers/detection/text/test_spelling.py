"""Mistyped words are read as they were meant; real words, names and other languages stay as they are."""

from __future__ import annotations

import string
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phospho_workers.detection.definitions import compile_definitions
from phospho_workers.detection.text import spelling
from phospho_workers.detection.text.embedding import embedder
from phospho_workers.detection.text.spelling import corrected, is_foreign
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
    empty = spelling._loaded.__wrapped__()
    assert not empty.ranks
    monkeypatch.setattr(spelling, "_vocabulary", lambda: empty)
    assert corrected("passsword") == "passsword"


@pytest.mark.parametrize(("description", "text"), _TYPOS)
def test_mistyped_text_is_found(description: str, text: str) -> None:
    [[match]] = compile_definitions([semantic("event", description)]).match([text], "input")
    assert match.is_found


@given(data=st.data())
def test_index_gives_the_most_frequent_of_all_edits(data: st.DataObject) -> None:
    ranks = spelling._vocabulary().ranks
    word = data.draw(st.sampled_from(sorted(ranks)) | st.text("abest", min_size=3, max_size=8))
    for _ in range(data.draw(st.integers(0, 2))):
        word = data.draw(st.sampled_from(sorted(set(_edits(word)) - {""}) or [word]))
    if 4 <= len(word) <= 20 and not spelling._is_word(word, ranks):
        assert corrected(word) == min(ranks.keys() & set(_edits(word)), key=ranks.__getitem__, default=word)


def _edits(word: str) -> Iterator[str]:
    """Yield all strings that are one edit behind the first letter away."""
    for cut in range(1, len(word) + 1):
        begin, end = word[:cut], word[cut:]
        yield from (begin + end[1:], begin + end[1:2] + end[:1] + end[2:])
        for letter in string.ascii_lowercase:
            yield from (begin + letter + end, begin + letter + end[1:])


@pytest.mark.parametrize(
    ("clause", "foreign"),
    [
        ("przyciemnij wszystkie lampki w salonie prosze", True),
        ("enciende todas las luces del dormitorio", True),
        ("what is the weathr like tommorow in Paris", False),
        ("ma packge neve arived", False),
        ("lampki prosze", False),
    ],
)
def test_words_of_a_foreign_clause_stay(clause: str, foreign: bool) -> None:
    model = embedder()
    as_written = [piece for word in clause.split() for piece in model._encoded(word)]
    assert is_foreign(clause.split()) is foreign
    assert (model.pieces(clause) == as_written) is foreign
