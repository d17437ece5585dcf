"""Texts that deny, quote or only mention an event are not found with full confidence."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from phospho_workers.detection.definitions import compile_definitions
from workers.detection.tasks import semantic

PAIRS = yaml.safe_load((Path(__file__).parents[3] / "data" / "denials.yaml").read_text())
# Of 150 texts each; of 50 that mean the event.
MOST_WRONG = {"denied": 20, "mentioned": 10}
LEAST_MEANT = 45


def found(kind: str) -> list[tuple[str, str]]:
    """Return the texts of a kind in which their event is found."""
    return [
        (name, text)
        for name, event in PAIRS.items()
        for compiled in [compile_definitions([semantic(name, event["description"])])]
        for text, matches in zip(event[kind], compiled.match(event[kind], "input"), strict=True)
        if any(match.is_found for match in matches)
    ]


@pytest.mark.parametrize("kind", MOST_WRONG)
def test_few_denials_and_mentions_are_found(kind: str) -> None:
    assert len(found(kind)) <= MOST_WRONG[kind]


def test_texts_that_mean_the_event_are_still_found() -> None:
    assert len(found("meant")) >= LEAST_MEANT


@pytest.mark.parametrize(
    ("description", "text"),
    [
        ("The user asks for a refund", "a refund is not needed"),
        ("The user reports a bug", "there are no bugs in it"),
        ("The user is angry", "I’m not mad at all"),
        ("The user is angry", "I'm hardly angry"),
        ("The user forgot their password", "My password isn't lost"),
        ("The user wants to cancel their subscription", "I decided against cancelling my subscription"),
        ("The user wants to cancel their subscription", "I never wanted to cancel my subscription"),
        ("The user forgot their password", "I still remember my password"),
        ("The user can't log in", "I can log in now"),
        ("The user's flight was cancelled", "my flight is on time"),
        ("The user received the wrong item", "I did not receive the wrong item"),
        ("The user wants to delete their account", "I'd rather keep my account than delete it"),
        ("The user is sad or lonely", "my daughter is sad"),
        ("The user lost their luggage", "a passenger lost his luggage, how do we help him"),
        ("The user wants to delete their account", "what happens to the data of people who delete their account"),
        ("The user wants a refund", "turn this into a tweet: I demand a refund"),
    ],
)
def test_denials_and_mentions_in_other_words_are_not_found(description: str, text: str) -> None:
    [matches] = compile_definitions([semantic("event", description)]).match([text], "input")
    assert not any(match.is_found for match in matches)


def test_a_denial_is_in_doubt_so_that_a_judge_may_be_asked() -> None:
    refund = semantic("refund", "The user wants a refund")
    [[match]] = compile_definitions([refund]).match(["I don't want a refund"], "input")
    assert not match.is_found
    assert 0.2 < match.score < 0.5
    assert match.doubt > 0.3


@pytest.mark.parametrize(
    ("description", "text"),
    [
        ("The user can't log in", "I can't log in"),
        ("The user says that they would not recommend the product", "I would not recommend this product"),
        ("The user complains that a delivery is late", "my delivery is late and nobody has told me why"),
        ("The user wants a refund", "why don't you give me a refund?"),
        ("The user wants a poem or an email to be written", "write an email to my boss"),
        ("The user asks about the refund policy", "what does your refund policy mean"),
        ("The user wants to cancel their subscription", "I don't know how to cancel my subscription"),
        ("The user wants to cancel their subscription", "I don't want my subscription any more"),
        ("The user wants to cancel their subscription", "I won't renew my subscription"),
        ("The user asks for a refund", "I haven't received my refund"),
        ("The user asks for a refund", "why was I not refunded?"),
        ("The user is angry", "I have never been so angry"),
        ("The user wants to file an insurance claim", "I want to file an insurance claim"),
        ("The user forgot their password", "I can't remember my password"),
        ("The user is looking for a restaurant", "I'm going out with some friends and need a good restaurant"),
        ("The user is looking for a restaurant", "find me a not very costly restaurant in Petaluma"),
    ],
)
def test_negations_and_requests_that_are_the_event_are_found(description: str, text: str) -> None:
    [[match]] = compile_definitions([semantic("event", description)]).match([text], "input")
    assert match.is_found
