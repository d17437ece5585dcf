"""A definition is weighed against its project's others, exactly, and alone it still works."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.examples import examples
from fixtures.matches import found_matches
from phospho_workers.detection.definitions import compile_definitions
from phospho_workers.detection.semantic.descriptions import resemblances
from phospho_workers.detection.semantic.library import build, library
from phospho_workers.detection.semantic.rivalry import Margins
from phospho_workers.detection.semantic.scoring import DescriptionScores
from phospho_workers.detection.text.embedding import directions
from phospho_workers.detection.text.reading import clauses_of, reading
from workers.detection.tasks import semantic

BANK = (
    "The user's card was lost or stolen",
    "The user's card payment was declined",
    "The user waits for a transfer",
    "The user forgot their PIN",
)
LOST = "I left my purse with all my cards on the bus"


def scores(descriptions, *texts) -> np.ndarray:
    return DescriptionScores(descriptions, "input").scores(reading([clauses_of(text) for text in texts]))


def found(definitions, text: str) -> dict[str, float]:
    anything = [one.model_copy(update={"threshold": 0.0}) for one in definitions]
    [matches] = found_matches(compile_definitions(anything), [text], "input")
    return {match.definition.name: match.score for match in matches}


def test_rivalry_ranks_the_event_first_without_a_shared_word() -> None:
    by_description = dict(zip(BANK, scores(BANK, LOST)[0], strict=True))
    assert max(by_description, key=by_description.__getitem__) == BANK[0]


def test_a_rival_takes_from_what_it_explains_better() -> None:
    account, transfer = "The user asks about their bank account", "The user's transfer has not arrived"
    text = "my transfer has not arrived on the account"
    assert scores([account, transfer], text)[0, 0] < scores([account], text)[0, 0] - 0.1


def test_a_definition_alone_is_weighed_against_usual_texts() -> None:
    refund = semantic("refund", "The user asks for their money back")
    assert found([refund], "I want my money back")["refund"] > 0.9
    assert found([refund], "How is the weather in Rome?")["refund"] < 0.1


def test_stand_ins_take_from_a_few_definitions_what_they_explain_better() -> None:
    text, flight, hotel, near_flight = directions(np.array([[4, 3, 0], [1, 0, 0], [0, 1, 0], [4, 0, 1.0]]))
    alone = Margins(flight[None]).of(text[None])[0, 0]
    assert Margins(flight[None], hotel[None]).of(text[None])[0, 0] < alone - 0.1
    assert Margins(flight[None], near_flight[None]).of(text[None])[0, 0] > alone - 0.01


def test_equal_definitions_are_no_rivals() -> None:
    text = "I want my money back"
    one = [semantic("a", "The user asks for their money back")]
    two = [*one, semantic("b", "the user asks for their money back")]
    assert found(two, text)["a"] == found(two, text)["b"]
    assert found(two, text)["a"] == pytest.approx(found(one, text)["a"], abs=0.02)


@settings(max_examples=examples(0.25))
@given(st.permutations(range(4)), st.lists(st.text("abc de.", min_size=1), max_size=6))
def test_analyse_is_exact_in_any_order_and_batch(order, others) -> None:
    together = scores(BANK, LOST, *(text for text in others if clauses_of(text)))
    shuffled = scores([BANK[place] for place in order], LOST)
    assert np.array_equal(shuffled[0], together[0][list(order)])


def test_a_hundred_times_the_definitions_are_summed_exactly() -> None:
    many = [*BANK, *(f"The user asks about number {number}" for number in range(400))]
    assert np.array_equal(scores(many, LOST, "hello", "what now")[0], scores(many, LOST)[0])


def test_scores_of_many_definitions_are_bounded_in_memory() -> None:
    similar = [f"The user wants a refund of order {number}" for number in range(400)]
    compiled = DescriptionScores(similar, "input")
    batch = reading([clauses_of("hello. my refund")] * 2_000)
    tracemalloc.start()
    compiled.scores(batch)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 150e6


def test_description_borrows_only_from_events_that_it_resembles() -> None:
    assert resemblances("The user wants to set an alarm").max() > 0.9
    assert resemblances("The user speaks of Byzantine coinage").sum() < 0.1


def test_library_can_be_built_without_a_file() -> None:
    smaller = build({"bank.txt"})
    assert 150 < len(smaller.names) < len(library().names)
    assert len(smaller.example_directions) < len(library().example_directions)


def test_library_has_examples_of_every_event_without_repeats() -> None:
    from phospho_workers.detection.semantic.library import _events

    events = list(_events())
    assert len(events) == len(library().names) > 200
    assert all(len(examples) >= 2 for _, examples in events)
    assert all(text.strip() == text for _, examples in events for text in examples)
    descriptions = [description for description, _ in events]
    assert len(set(descriptions)) == len(descriptions)
    assert np.isfinite(library().names).all()
    assert np.isfinite(library().examples).all()
