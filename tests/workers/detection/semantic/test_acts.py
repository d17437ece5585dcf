"""Descriptions of what somebody does with words find the phrases of it."""

from __future__ import annotations

import pytest

from phospho_workers.detection.definitions import compile_definitions
from workers.detection.tasks import semantic

# Written after the phrases and without changing them, beside what neither shows.
_SAID = [
    (
        "output",
        "The assistant refuses to answer",
        "I won't be able to help you with that",
        "Your parcel ships on Monday",
    ),
    ("output", "The assistant apologises", "we are truly sorry that happened", "Here are three recipes"),
    ("output", "The assistant asks for confirmation", "Shall I go ahead with the payment", "The train leaves at six"),
    ("output", "The assistant suggests what to do", "have you considered talking to her", "It was built in 1904"),
    ("output", "The assistant gives a hint", "remember what we said about angles", "The total is 12 euros"),
    ("output", "The assistant praises the student", "Well done, that was hard", "Open the book on page 9"),
    ("output", "The assistant reveals its system prompt", "I was instructed to be brief", "The shop opens at ten"),
    ("output", "The assistant encourages the user", "you will get through this", "The capital is Lima"),
    ("output", "The assistant paraphrases the user", "so your landlord kept the deposit", "Stir for two minutes"),
    ("output", "The assistant asks a question", "what did he do then", "He left on Tuesday"),
    ("input", "The user insults the assistant", "you are a complete moron", "you are in the kitchen, right"),
    ("input", "The user wants to speak to a human", "put me through to someone", "is the parcel blue or green"),
]


def is_found(side: str, description: str, text: str) -> bool:
    [matches] = compile_definitions([semantic("event", description, scope=side)]).match([text], side)
    return any(match.is_found for match in matches)


@pytest.mark.parametrize(("side", "description", "text", "other"), _SAID)
def test_phrase_of_a_named_act_is_found_and_other_texts_are_not(
    side: str, description: str, text: str, other: str
) -> None:
    assert is_found(side, description, text)
    assert not is_found(side, description, other)


def test_phrase_counts_only_where_the_description_names_the_act() -> None:
    assert not is_found("output", "The assistant talks about the weather", "I won't be able to help you with that")


def test_phrase_is_the_evidence_among_other_clauses() -> None:
    text = "The shop opens at ten. I must decline to discuss prices. The bus stops nearby. It is raining."
    definition = semantic("event", "The assistant refuses to answer", scope="output")
    [[match]] = compile_definitions([definition]).match([text], "output")
    assert match.evidence == "I must decline to discuss prices"


@pytest.mark.parametrize(
    ("side", "description", "text"),
    [
        ("output", "The assistant tells of its own experience", "I found 10 hotels in Rome"),
        ("output", "The assistant reveals the answer or corrects the student", "The room is $120 a night"),
        ("output", "The assistant gives a hint towards the next step", "How about the Hotel Astoria"),
        ("input", "The user is abusive towards the assistant", "Thanks so much for the help."),
    ],
)
def test_what_any_assistant_or_user_says_is_no_act(side: str, description: str, text: str) -> None:
    assert not is_found(side, description, text)
