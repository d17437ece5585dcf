"""Titles of themes are made of what people wrote, and say each thing once."""

from __future__ import annotations

from phospho_workers.detection.themes.naming import name_themes, phrases_of

HOTELS = [f"find me a {kind} hotel in {city}, hotels please" for kind in ("cheap", "nice") for city in ("Rome", "Oslo")]
THANKS = ["thanks a lot for helping", "Thanks a lot!", "thank you, thanks a lot", "many thanks"]


def test_titles_say_courtesies_and_no_stem_twice() -> None:
    hotels, thanks = name_themes([phrases_of(HOTELS), phrases_of(THANKS)], phrases_of(["where is it"]))
    assert thanks.title.lower().startswith("thanks a lot")
    assert hotels.title.lower().count("hotel") == 1


def test_titles_of_equal_themes_differ() -> None:
    titles = [name.title for name in name_themes([phrases_of(HOTELS)] * 6, phrases_of([]))]
    assert len(set(titles)) == 6


def test_phrases_end_where_a_line_ends() -> None:
    assert "reset\npassword" not in phrases_of(["reset\npassword"]).counts
    assert "reset password" not in phrases_of(["reset\npassword"]).counts
