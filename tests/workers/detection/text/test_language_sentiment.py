"""Language is said where it can be told; sentiment where VADER knows the language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vaderSentiment.vaderSentiment import BOOSTER_DICT, NEGATE, SPECIAL_CASES, SentimentIntensityAnalyzer

from phospho_workers.detection.text.language import UNKNOWN, languages
from phospho_workers.detection.text.sentiment import MAX_READ_CHARACTERS, NOT_COVERED, sentiments
from phospho_workers.detection.text.vader import Vader

VADER = SentimentIntensityAnalyzer()
# What VADER has rules for, in both cases, and some words of its lexicon.
_RULED = (
    *NEGATE,
    *BOOSTER_DICT,
    *SPECIAL_CASES,
    "but",
    "at least",
    "least",
    "no",
    "or",
    "kind of",
    "so",
    "never this",
    "doubt",
)
WORDS = (
    *(word for phrase in (*_RULED, *list(VADER.lexicon)[::20]) for word in (phrase, phrase.upper())),
    *("the", "cat", "good!", "bad?", "???", "!!!!!", ":)", "\U0001f600", "x\u2764"),
)
TABLE = Vader()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Where can I find a good restaurant tonight?", "en"),
        ("WHERE CAN I FIND A GOOD RESTAURANT TONIGHT?", "en"),
        ("Je voudrais réserver une chambre pour deux nuits.", "fr"),
        ("Ich möchte bitte mein Geld zurück.", "de"),
        ("¿Dónde está mi pedido? Lo espero desde hace una semana.", "es"),
        ("今日の天気はどうですか", "ja"),
        ("هل يمكنني استرداد أموالي من فضلك؟", "ar"),
        ("Где мой заказ?\nЯ жду уже неделю.", "ru"),
    ],
)
def test_the_language_of_a_sentence_is_told(text: str, code: str) -> None:
    language = languages([text])[0]
    assert language.code == code
    assert 0.5 <= language.score <= 1.0


@pytest.mark.parametrize(
    "text",
    [
        "Maria Gonzalez",
        "John Smith",
        "New York",
        "import numpy as np",
        "SELECT * FROM users WHERE id = 3;",
        'print("hello world")',
        "https://example.com/where/is/my/order",
        "git commit -m fix",
        "環境",
        "restaurant",
    ],
)
def test_names_code_and_words_of_many_languages_have_no_language(text: str) -> None:
    assert languages([text])[0].code == ""


@pytest.mark.parametrize(
    "text", ["I don't like this", "It isn't good", "The answer wasn't helpful", "It hasn't been great"]
)
@pytest.mark.parametrize("apostrophe", "’ʼ´`")
def test_apostrophes_of_phones_change_neither_language_nor_sentiment(text: str, apostrophe: str) -> None:
    typed = text.replace("'", apostrophe)
    assert languages([typed]) == languages([text])
    assert sentiments([typed], ["en"]) == sentiments([text], ["en"])


def test_sentiment_reads_the_beginning_and_the_end_of_a_long_text() -> None:
    thanks, anger = "Thank you for the great help. ", "I am furious, this is the worst, terrible. "
    neutral = "It came on Monday. " * 50
    labels = [
        one.label for one in sentiments([neutral + anger * 6, anger * 6 + neutral, neutral + thanks * 9], ["en"] * 3)
    ]
    assert labels == ["negative", "negative", "positive"]


@given(st.lists(st.sampled_from(WORDS), max_size=12), st.sampled_from((" ", "  ", "\n")))
def test_the_table_of_words_says_what_vader_says(words: list[str], space: str) -> None:
    text = space.join(words)
    scores = VADER.polarity_scores(text)
    assert TABLE.scores(text) == (scores["compound"], scores["pos"] + scores["neg"])


@pytest.mark.parametrize("text", ["", "  ", "ok", "12:30", "😀😀😀", "\x00\x00\x00", "?!?!?!", "\u200b"])
def test_the_language_of_next_to_nothing_is_not_told(text: str) -> None:
    assert languages([text]) == [UNKNOWN]


@given(st.lists(st.text(), max_size=5))
def test_any_text_has_an_answer_that_does_not_depend_on_the_others(texts: list[str]) -> None:
    assert languages(texts) == [languages([text])[0] for text in texts]
    codes = ["en"] * len(texts)
    assert sentiments(texts, codes) == [sentiments([text], ["en"])[0] for text in texts]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I love this, thank you!", "positive"),
        ("This is terrible.", "negative"),
        ("At nine.", "neutral"),
        ("😍", "positive"),
    ],
)
def test_the_sentiment_of_english_has_a_label(text: str, label: str) -> None:
    assert sentiments([text], ["en"])[0].label == label


def test_other_languages_and_empty_texts_have_no_sentiment() -> None:
    texts = ["Das ist super", "", "  "]
    assert sentiments(texts, ["de", "", "en"]) == [NOT_COVERED] * 3


@pytest.mark.parametrize("text", ["ขอบคุณ", "12345", "def f(x): return x"])
def test_what_is_in_no_known_language_is_not_called_neutral(text: str) -> None:
    assert sentiments([text], [""]) == [NOT_COVERED]
    assert sentiments([text], ["en"])[0].label == "neutral"


def test_a_text_too_short_to_tell_its_language_has_a_sentiment() -> None:
    assert sentiments(["ok great"], [""])[0].label == "positive"


_WORDS = st.sampled_from(
    [
        "good",
        "GOOD",
        "not",
        "bad!",
        "'bad'",
        "the",
        "table",
        "no",
        "but",
        "kind",
        "of",
        "(love)",
        ":)",
        ":(",
        "at",
        "least",
        "very",
        "...",
        "??",
        "!!!",
        "bus",
        "stop",
    ]
)


@given(st.lists(_WORDS | st.text("abc:;()' \n\t-", max_size=4), min_size=1))
def test_the_short_cut_says_what_vader_says(words: list[str]) -> None:
    text = " ".join(words)
    sentiment = sentiments([text], ["en"])[0]
    if text.strip():
        assert sentiment.score == VADER.polarity_scores(text[:MAX_READ_CHARACTERS])["compound"]


def test_a_huge_text_is_read_in_part() -> None:
    huge = "good but bad " * 100_000
    assert sentiments([huge], ["en"]) == sentiments([huge[: 10 * MAX_READ_CHARACTERS // 13 * 13]], ["en"])
    assert languages([huge]) == languages([huge[:256]])
