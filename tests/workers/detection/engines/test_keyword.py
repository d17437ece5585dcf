"""Keywords are whole words, whatever their case, form or script."""

from __future__ import annotations

import pytest

from fixtures.matches import found_matches
from fixtures.same_texts import DIFFERENT_TEXTS, SAME_TEXTS
from phospho_workers.detection.definitions import check_definition, compile_definitions
from phospho_workers.detection.text.sides import MESSAGE_BREAK
from workers.detection.tasks import keywords


def found(text: str, *definitions, side="input") -> dict[str, str]:
    """Return name to evidence of what is found."""
    matches = found_matches(compile_definitions(definitions), [text], side)[0]
    assert all(match.score == 1.0 for match in matches)
    return {match.definition.name: match.evidence for match in matches}


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("refund", "I want a refund."),
        ("refund", "REFUND!"),
        ("Refund", "a refund"),
        ("straße", "die STRASSE ist lang"),
        ("ΣΊΣΥΦΟΣ", "ο σίσυφος"),
        ("café", "the cafe\u0301 is closed"),
        ("refund", "ｒｅｆｕｎｄ please"),
        ("refund", "re\u200bfu\u00adnd"),
        ("thank you", "Thank\n   you so much"),
        ("c++", "is it C++?"),
        (".net", "in .NET"),
        ("退款", "我要退款谢谢"),
        ("คืนเงิน", "ขอคืนเงินค่ะ"),
        ("i̇stanbul", "İstanbul"),
        ("istanbul", "İstanbul"),
        ("don't know", "I don’t know"),
        ('"no"', "“no”, he said"),
        ("👍", "ok👍"),
        *SAME_TEXTS,
        ("can't log in", "I can’t log in to my account"),
        ("iade", "İade istiyorum"),
        ("환불", "어제 산 신발 환불을 받고 싶어요"),
        ("환불", "환불해 주세요"),
        ("물", "물을 주세요"),
    ],
)
def test_a_keyword_is_found_in_every_way_to_write_it(keyword: str, text: str) -> None:
    assert "event" in found(text, keywords("event", keyword))


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("art", "start"),
        ("art", "party"),
        ("art", "art_2"),
        ("thank", "thankful"),
        ("हिन", "हिन्दी में"),
        ("refund", ""),
        ("refund", "\x00\x00"),
        ("thank you", "thank. you"),
        ("thank you", f"thank{MESSAGE_BREAK}you"),
        ("환불", "교환환불"),
        ("물", "물건을 샀어요"),
        *DIFFERENT_TEXTS,
    ],
)
def test_a_part_of_a_word_is_not_the_keyword(keyword: str, text: str) -> None:
    assert found(text, keywords("event", keyword)) == {}


def test_keywords_that_overlap_are_all_found() -> None:
    definitions = [keywords("a", "New York"), keywords("b", "york city"), keywords("c", "new york city", "york")]
    assert found("NEW YORK CITY", *definitions) == {"a": "New York", "b": "york city", "c": "york, new york city"}


def test_a_keyword_of_two_definitions_is_found_for_both() -> None:
    assert found("a refund", keywords("x", "refund"), keywords("y", "REFUND")).keys() == {"x", "y"}


def test_keyword_is_found_once_anywhere_in_a_huge_text() -> None:
    text = "x" * 500_000 + " money  back, " + "y z " * 200_000 + "Money back"
    assert found(text, keywords("refund", "money back", "MONEY BACK")) == {"refund": "money back"}


@pytest.mark.parametrize("text", ["a" * 1_000_000, "a " * 500_000])
def test_keywords_inside_of_keywords_do_not_blow_up(text: str) -> None:
    nested = [
        keywords("words", *("a" * n for n in range(2, 100))),
        keywords("phrases", *("a " * n for n in range(2, 50))),
    ]
    assert found(text, *nested).keys() == ({"phrases"} if " " in text else set())


def test_evidence_is_at_most_200_characters_on_one_line() -> None:
    words = [f"keyword{number}" for number in range(100)]
    evidence = found(" ".join(words), keywords("event", *words))["event"]
    assert len(evidence) == 200
    assert evidence.startswith("keyword0, keyword1, ")


def test_a_hundred_thousand_keywords_are_one_automaton() -> None:
    definitions = [
        keywords(f"event-{block:03}", *(f"word{block * 1000 + number}" for number in range(1000)))
        for block in range(100)
    ]
    assert found("word0 and word99999", *definitions) == {"event-000": "word0", "event-099": "word99999"}


@pytest.mark.parametrize("words", [(), ("",), (" ", "\u200b")])
def test_a_definition_without_keywords_is_refused(words: tuple[str, ...]) -> None:
    assert check_definition(keywords("event", *words)) == "it has no keywords: give at least one word or phrase"


def test_a_keyword_that_is_a_text_is_refused() -> None:
    assert "longer than 100 characters" in (check_definition(keywords("event", "fine", "x" * 101)) or "")
    assert check_definition(keywords("event", "x" * 100)) is None
