"""Texts are cut into clauses where people end them: at marks, and at line breaks that are not wrapping."""

from __future__ import annotations

import pytest

from phospho_workers.detection.text.reading import clauses_of, reading


def cut(text: str) -> list[str]:
    return [clause.strip() for clause, _ in clauses_of(text)]


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("hi\ni want my money back\nplease", ["hi", "i want my money back", "please"]),
        ("Order 17\r\nArrived broken\r\n\r\nThanks", ["Order 17", "Arrived broken", "Thanks"]),
        ("- milk\n- two eggs", ["- milk", "- two eggs"]),
        ("Version 3.5 of a.b:c is out. Is it?", ["Version 3.5 of a.b:c is out", "Is it"]),
    ],
)
def test_clauses_end_at_marks_and_line_breaks(text: str, clauses: list[str]) -> None:
    assert cut(text) == clauses


def test_clauses_go_on_where_a_long_line_is_wrapped() -> None:
    wrapped = "I have written to you three times about the chair that\narrived broken"
    assert cut(f"{wrapped}\nNobody has answered") == [wrapped, "Nobody has answered"]


def test_clauses_of_many_breaks_take_linear_time() -> None:
    assert len(cut("word\n" * 6_400)) == 6_400
    assert cut("\n" * 32_000) == cut("." * 32_000) == []
    assert reading([clauses_of("a\n" * 16_000)]).clause_count <= 16_000
