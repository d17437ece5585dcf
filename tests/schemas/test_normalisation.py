"""Texts that people call the same are the same, however they were typed."""

from __future__ import annotations

import pytest

from fixtures.same_texts import DIFFERENT_TEXTS, SAME_TEXTS
from phospho_schemas.text.normalisation import plain, searchable


@pytest.mark.parametrize(("query", "text"), SAME_TEXTS)
def test_searchable_form_of_a_text_contains_what_was_typed_otherwise(query: str, text: str) -> None:
    assert searchable(query) in searchable(text)


@pytest.mark.parametrize(("query", "text"), DIFFERENT_TEXTS)
def test_searchable_form_keeps_other_words_apart(query: str, text: str) -> None:
    assert searchable(query) not in searchable(text)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("I don’t LIKE this", "I don't LIKE this"),
        ("don`t run `ls -l`", "don't run `ls -l`"),
        ("e\u2011mail\u200b me", "e-mail me"),
        ("❤\ufe0f it", "❤ it"),
        ("Ｉ ｌｏｖｅ ｉｔ，１００！", "I love it，100！"),
    ],
)
def test_plain_text_keeps_its_case_and_its_code(text: str, read: str) -> None:
    assert plain(text) == read
