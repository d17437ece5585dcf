"""Descriptions find what means the same, exactly, offline, and within bounds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.matches import found_matches
from phospho_workers.detection.definitions import check_definition, compile_definitions, definition_warning
from phospho_workers.detection.engines import semantic as engine
from phospho_workers.detection.text.embedding import MAX_PIECES, cosines, directions, embedder
from workers.detection.tasks import semantic

WEATHER = semantic("weather", "The user is asking about the weather")


def score(text: str, definition=WEATHER, side="input") -> float:
    """Return the score, or 0 where the definition is not found."""
    anything = definition.model_copy(update={"threshold": 0.0})
    return next((match.score for match in found_matches(compile_definitions([anything]), [text], side)[0]), 0.0)


def test_what_means_the_same_scores_higher_than_what_does_not() -> None:
    assert score("Will it rain in Paris tomorrow?") > score("Please book the table for two.") + 0.2
    assert score("How is the weather there?") > engine.DEFAULT_THRESHOLD


def test_who_does_it_is_not_a_part_of_the_meaning() -> None:
    bare = semantic("weather", "asking about the weather")
    text = "How is the weather there?"
    assert score(text, WEATHER) == score(text, bare)


def test_the_best_clause_counts_and_is_the_evidence() -> None:
    text = "Thanks, that hotel is booked then. What is the weather like? I also need a cab to the airport at nine."
    match = found_matches(compile_definitions([WEATHER]), [text], "input")[0][0]
    assert match.evidence == "What is the weather like"
    assert engine.DEFAULT_THRESHOLD < match.score <= score("What is the weather like?")


@pytest.mark.parametrize("text", ["How is the weather there?", "Help! Will it rain? Why?"])
def test_capitals_change_no_score(text: str) -> None:
    assert score(text) == score(text.lower()) == score(text.upper()) == score(text.title())


@pytest.mark.parametrize("text", ["", "   ", "\n.\n", "...", "\x00", "\u200b", "😀", "!" * 5000])
def test_a_text_with_nothing_to_read_scores_a_number(text: str) -> None:
    assert 0.0 <= score(text) <= 1.0


@pytest.mark.parametrize(
    "description",
    ["asdf qwer zxcv", "The user wants blorp frimble", "xkcdq", "Stornierung", "忘记密码", "Der User will kündigen"],
)
def test_gibberish_or_foreign_description_is_warned_of(description: str) -> None:
    assert "most words" in (definition_warning(semantic("event", description)) or "")


@pytest.mark.parametrize(
    "description",
    [
        "The user wants a refund",
        "The user mentions Zendesk",
        "late deliveries",
        "The user asks about iban",
        "refund",
        "chargeback",
        "Kubernetes errors",
        "user is late",
    ],
)
def test_description_in_words_has_no_warning(description: str) -> None:
    assert definition_warning(semantic("event", description)) is None


@pytest.mark.parametrize(
    "description", ["De gebruiker is boos", "User fragt nach dem Preis", "remboursement du client"]
)
def test_description_with_a_word_that_english_has_too_is_refused(description: str) -> None:
    assert "another language than English" in (check_definition(semantic("event", description)) or "")


def test_semantic_refuses_empty_description_but_takes_a_bare_actor() -> None:
    for description in ("", "  \n"):
        reason = check_definition(semantic("event", description))
        assert reason == "it has no description: say in plain words what happens"
    assert check_definition(semantic("event", "The user")) is None


def test_the_threshold_of_a_definition_decides() -> None:
    text = "How is the weather there?"
    reached = score(text)
    at, above = (WEATHER.model_copy(update={"threshold": limit}) for limit in (reached, reached + 0.001))
    [[found]] = found_matches(compile_definitions([at]), [text], "input")
    [[nearly]] = compile_definitions([above]).match([text], "input")
    assert found_matches(compile_definitions([above]), [text], "input") == [[]]
    assert (found.is_found, nearly.is_found) == (True, False)
    assert min(found.doubt, nearly.doubt) > 0.99


def test_semantic_has_no_doubt_far_from_the_threshold() -> None:
    low = WEATHER.model_copy(update={"threshold": 0.1})
    [[sure]] = compile_definitions([low]).match(["How is the weather there?"], "input")
    assert (sure.is_found, sure.doubt) == (True, 0.0)
    assert compile_definitions([WEATHER]).match(["Please book the table for two."], "input") == [[]]


def test_a_threshold_of_zero_still_asks_for_something_in_common() -> None:
    everything = WEATHER.model_copy(update={"threshold": 0.0})
    assert found_matches(compile_definitions([everything]), ["", "   "], "input") == [[], []]


def test_of_a_huge_text_the_beginning_and_the_end_are_read() -> None:
    filler = "lorem ipsum. " * 80_000
    at_the_start, at_the_end = "How is the weather there? " + filler, filler + "How is the weather there?"
    in_the_middle = filler[:500_000] + "How is the weather there? " + filler[:500_000]
    assert len(at_the_start) > 1_000_000
    assert score(at_the_start) == pytest.approx(score(at_the_end), abs=0.001)
    assert score(at_the_start) >= engine.DEFAULT_THRESHOLD
    assert score(in_the_middle) < engine.DEFAULT_THRESHOLD


def test_event_in_the_middle_of_a_long_text_is_found_and_nothing_else() -> None:
    filler = "I went to the shop and bought some bread. My sister came by in the evening. We played cards. " * 108
    assert len(filler) > 10_000
    assert score(filler) < engine.DEFAULT_THRESHOLD
    assert score(f"{filler}How is the weather there in Rome? {filler}") >= engine.DEFAULT_THRESHOLD


def test_long_text_without_marks_shows_an_event_on_a_line_of_its_own() -> None:
    filler = "i went to the shop and bought some bread\nmy sister came by in the evening\nwe played cards\n" * 40
    assert score(filler) < engine.DEFAULT_THRESHOLD
    assert score(f"{filler}How is the weather there in Rome?\n{filler}") >= engine.DEFAULT_THRESHOLD


def test_best_of_many_clauses_must_stand_out_from_the_others() -> None:
    """Clauses that differ in how near they are to a definition have one that is nearer by chance."""
    event = "How is the weather there in Rome? "
    steady = "".join(f"Invoice {number} is paid. " for number in range(40))
    varied = "".join(f"On day {number} it was warm outside. Invoice {number} is paid. " for number in range(20))
    assert score(varied) < engine.DEFAULT_THRESHOLD
    assert score(varied + event) < score(steady + event) - 0.05


def test_a_huge_word_is_bounded_in_pieces() -> None:
    assert 0.0 <= score("x" * 1_000_000) <= 1.0
    assert 0.0 <= score("𒀀" * 1_000_000) <= 1.0


def test_the_arithmetic_is_exact_at_its_bounds() -> None:
    """The longest bag of the greatest vector stays an integer that float32 holds; so does every product."""
    model = embedder()
    greatest = int(np.abs(model._table).max(axis=1).argmax())
    sums = model.sums([[greatest] * MAX_PIECES])
    assert np.array_equal(sums[0].astype(np.float64), model._table[greatest].astype(np.float64) * MAX_PIECES)
    every = directions(model._table)
    lengths = np.square(every.astype(np.float64)).sum(axis=1)
    assert lengths.max() < 2**24
    assert np.array_equal(every, np.rint(every))


@given(st.lists(st.lists(st.integers(0, 31_999), max_size=60), min_size=1, max_size=40), st.randoms())
def test_sums_and_cosines_do_not_depend_on_the_order_or_the_batch(bags, random) -> None:
    model = embedder()
    together = directions(model.sums(bags))
    alone = np.concatenate([directions(model.sums([random.sample(bag, len(bag))])) for bag in bags])
    assert np.array_equal(together, alone)
    one_by_one = np.concatenate([cosines(row[None, :], together[:5]) for row in together])
    assert np.array_equal(cosines(together, together[:5]), one_by_one)


def test_words_cut_one_by_one_are_the_words_cut_together() -> None:
    model = embedder()
    text = "Hello there, I'd like a 2-bed room at 12:30pm… naïve 日本語 😀 C++ user@example.com"
    assert model.pieces(text) == model._tokenizer.encode(text.lower(), add_special_tokens=False).ids


def test_threads_that_load_the_model_at_once_share_one() -> None:
    models = []
    threads = [threading.Thread(target=lambda: models.append(embedder())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(models) == 8
    assert len({id(model) for model in models}) == 1


_OFFLINE = """
import json, logging, socket, sys
def refuse(*_, **__): raise OSError("no network in this test")
socket.socket.connect = socket.getaddrinfo = refuse
from phospho_workers.detection.text.embedding import embedder
from phospho_workers.detection.text.language import languages
from phospho_workers.detection.text.sentiment import sentiments
shape = embedder().sums([embedder().pieces("hello world")]).shape
spoken = languages(["Where can I find a good restaurant tonight?"])[0].code
felt = sentiments(["I love it"], ["en"])[0].label
heavy = sorted({"torch", "transformers", "faststream", "confluent_kafka", "clickhouse_connect"} & set(sys.modules))
print(json.dumps([shape, spoken, felt, heavy, logging.getLogger().handlers]))
"""


def test_models_load_without_network_torch_or_logging_changes(tmp_path) -> None:
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    answer = subprocess.run(
        [sys.executable, "-c", _OFFLINE], capture_output=True, text=True, timeout=60, env=environment, check=True
    )
    assert json.loads(answer.stdout) == [[1, 256], "en", "positive", [], []]
    assert list(tmp_path.iterdir()) == []
