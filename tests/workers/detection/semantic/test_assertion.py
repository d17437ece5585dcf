"""Texts that deny, quote or only mention an event are not found with full confidence."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmarks.detection.assertions import KINDS, found_texts
from phospho_workers.detection.definitions import compile_definitions
from workers.detection.tasks import semantic

DATA = Path(__file__).parents[3] / "data"
PARTS = {"denials": yaml.safe_load((DATA / "denials.yaml").read_text())}
PARTS |= yaml.safe_load((DATA / "assertions.yaml").read_text())
# Shares of texts that may be found: of denied, of mentioned; and that must: of those that mean the event.
SHARES = {"denials": (0.06, 0.02, 0.96), "looked_at": (0.05, 0.06, 0.78), "held_out": (0.18, 0.10, 0.80)}


@pytest.mark.parametrize("part", PARTS)
def test_few_denials_and_mentions_are_found_and_most_meant(part: str) -> None:
    denied, mentioned, meant = (found_share(PARTS[part], kind) for kind in KINDS)
    most_denied, most_mentioned, least_meant = SHARES[part]
    assert denied <= most_denied
    assert mentioned <= most_mentioned
    assert meant >= least_meant


def found_share(events, kind: str) -> float:
    return len(found_texts(events, kind)) / sum(len(event[kind]) for event in events.values())


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
        ("The user is pregnant", "my doctor ruled out a pregnancy"),
        ("The user reports that a payment failed", "how often do payments fail on average"),
        ("The user feels lonely", "a study found that gamers feel lonely"),
        ("The user wants a refund", "what does the word refund mean"),
        ("The user wants a refund", "what is refund in French"),
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
        ("The user wants to cancel their subscription", "Cancel my subscription, it is not needed any more"),
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


@pytest.mark.parametrize(
    ("description", "text", "evidence"),
    [
        (
            "The user wants to watch a movie",
            "I don't want to watch a movie at home. I want to watch a movie in the cinema.",
            "I want to watch a movie in the cinema",
        ),
        ("The user asks about visas", "can I visit Peru without a visa?", "can I visit Peru without a visa"),
        (
            "The user wants a refund",
            f"I want a refund. {'The shoes came on Monday. ' * 20} Then my boss told me that the red ones fit.",
            "I want a refund",
        ),
    ],
)
def test_denial_or_mention_of_something_else_changes_nothing(description: str, text: str, evidence: str) -> None:
    [[match]] = compile_definitions([semantic("event", description)]).match([text], "input")
    assert match.is_found
    assert match.evidence == evidence
