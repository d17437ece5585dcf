"""Classifiers learn from labels, the same from the same, and survive being written down."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from fixtures.matches import found_matches
from phospho_workers.detection.definitions import compile_definitions
from phospho_workers.detection.detect import analyse
from phospho_workers.detection.learning.classifiers import BadClassifier, Classifier
from phospho_workers.detection.learning.training_set import LabelledText, TrainingSet, labelled_text
from phospho_workers.detection.text.sides import texts_of
from workers.detection.tasks import keywords, semantic, task, train

ODD = semantic("zorp", "The user wants a zorp", scope="input")
WEATHER = semantic("weather", "The user asks about the weather", scope="input")
ZORPS = ["start the blue machine", "run the blue device please", "switch the blue engine on", "blue motor, go"]
NO_ZORPS = ["tell me a joke", "where is my parcel", "cancel the order", "open the red door"]


def labels(texts=ZORPS, others=NO_ZORPS) -> dict[str, list[LabelledText]]:
    return {
        "zorp": [LabelledText({"input": text}, is_event) for chosen in (texts, others) for text in chosen
                 for is_event in [chosen is texts]],
        "weather": [LabelledText({"input": "will it rain"}, True), LabelledText({"input": "is it sunny out"}, True)],
    }  # fmt: skip


def confidence(text: str, classifiers, name: str = "zorp") -> float:
    definitions = [one.model_copy(update={"threshold": 0.0}) for one in (ODD, WEATHER)]
    matches = found_matches(compile_definitions(definitions, classifiers), [text], "input")[0]
    return next((match.score for match in matches if match.definition.name == name), 0.0)


def test_classifier_finds_more_than_its_description() -> None:
    classifiers = train([ODD, WEATHER], labels())
    assert confidence("please start the blue motor", classifiers) > confidence("please start the blue motor", {})
    assert confidence("please start the blue motor", classifiers) > 2 * confidence("where is my order", classifiers)
    assert classifiers["zorp"].confirmed == 4
    assert classifiers["zorp"].rejected == 4


def test_a_rejected_task_loses_confidence() -> None:
    text = "Is the rain good for sales?"
    rejected = {"weather": [LabelledText({"input": text}, False), LabelledText({"input": "how warm is it"}, True)]}
    before = confidence(text, {}, "weather")
    assert confidence(text, train([ODD, WEATHER], rejected), "weather") < before


def test_clause_that_both_kinds_of_tasks_have_is_not_learnt_as_the_event() -> None:
    """The description scores "Certainly" higher than what tells the tasks apart."""
    agrees = semantic("zorp", "The user agrees", scope="input")
    both = [[f"{text}. Certainly." for text in texts] for texts in (ZORPS, NO_ZORPS)]
    classifiers = train([agrees, WEATHER], labels(*both))
    assert confidence("start the blue motor. Certainly.", classifiers) > 0.5
    assert confidence("is it late. Certainly.", classifiers) < 0.5


def test_train_is_exact() -> None:
    one, other = (train([ODD, WEATHER], labels())["zorp"].to_json() for _ in range(2))
    assert one == other


def test_train_returns_only_named_and_labelled_definitions() -> None:
    assert train([ODD, WEATHER], labels(), names=["weather"]).keys() == {"weather"}
    assert train([ODD, WEATHER], {}).keys() == set()
    assert train([ODD], {"zorp": [LabelledText({"input": " "}, True), LabelledText({}, False)]}) == {}


def test_train_ignores_definitions_of_other_engines() -> None:
    beside = [ODD, WEATHER, keywords("zap", "zap", scope="input")]
    known = labels()
    classifiers = train(beside, known | {"zap": [LabelledText({"input": "zap it"}, True)]})
    assert classifiers.keys() == {"zorp", "weather"}
    assert train(beside, known)["zorp"].to_json() == train([ODD, WEATHER], known)["zorp"].to_json()


def test_labels_of_one_kind_only_teach_too() -> None:
    classifiers = train([ODD, WEATHER], {"zorp": [LabelledText({"input": text}, True) for text in ZORPS]})
    assert confidence("start the blue machine now", classifiers) > confidence("start the blue machine now", {})


def test_classifier_survives_json() -> None:
    classifier = train([ODD, WEATHER], labels())["zorp"]
    again = Classifier.from_json(classifier.to_json())
    assert again.to_json() == classifier.to_json()
    assert np.array_equal(again.direction, classifier.direction)
    text = "please start the blue motor"
    assert confidence(text, {"zorp": again}) == confidence(text, {"zorp": classifier})


@pytest.fixture(scope="module")
def zorp_classifier() -> dict[str, object]:
    """The JSON of a trained classifier."""
    document: dict[str, object] = json.loads(train([ODD, WEATHER], labels())["zorp"].to_json())
    return document


@pytest.mark.parametrize(
    "change",
    [
        {"format": 1},
        {"direction": "AAAA"},
        {"direction": "not base64!"},
        {"bias": None},
        {"bias": float("inf")},
        {"phrases": "AAAAAAAAAAA="},
    ],
)
def test_classifier_refuses_damaged_json(zorp_classifier: dict[str, object], change: dict[str, object]) -> None:
    with pytest.raises(BadClassifier):
        Classifier.from_json(json.dumps(zorp_classifier | change))


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '"head"', "{"])
def test_classifier_refuses_other_json(text: str) -> None:
    with pytest.raises(BadClassifier):
        Classifier.from_json(text)


def test_a_text_scores_the_same_in_any_batch() -> None:
    compiled = compile_definitions([ODD, WEATHER], train([ODD, WEATHER], labels()))
    texts = ["start it. The blue one!", "will it rain?", "", "tell me. " * 400]
    together = found_matches(compiled, texts, "input")
    assert list(together) == [found_matches(compiled, [text], "input")[0] for text in texts]


def test_classifier_of_another_engine_changes_nothing() -> None:
    classifier = train([ODD, WEATHER], labels())["zorp"]
    compiled = compile_definitions([keywords("zorp", "blue")], {"zorp": dataclasses.replace(classifier, bias=9.0)})
    assert found_matches(compiled, ["red"], "input") == [[]]


def test_a_task_is_labelled_by_the_sides_that_its_definition_reads() -> None:
    logged = task("in", "out", system_prompt="be kind")
    assert texts_of(logged, ODD.scope) == {"input": "in"}
    assert texts_of(logged, ODD.model_copy(update={"scope": "task"}).scope) == {"input": "in", "output": "out"}
    assert texts_of(task("in"), ODD.model_copy(update={"scope": "output"}).scope) == {}


def test_cross_validation_does_not_know_its_own_label() -> None:
    """One confirmed task that is like the rejected ones: with its label it is learnt, without it is not."""
    odd_one = "where is my big parcel"
    known = labels([*ZORPS, odd_one])
    held_out = TrainingSet([ODD, WEATHER], known).cross_validated("zorp", folds=3)
    assert len(held_out) == 9
    assert held_out[4] < confidence(odd_one, train([ODD, WEATHER], known))
    assert min(held_out[:4]) > held_out[4]


def test_classifier_starts_from_its_description() -> None:
    """A label that says what the description says already moves next to nothing."""
    text = "How is the weather in Rome?"
    classifiers = train([ODD, WEATHER], {"weather": [LabelledText({"input": text}, True)]})
    for other in ("will it rain tomorrow", "I want my money back", "hello"):
        assert abs(confidence(other, classifiers, "weather") - confidence(other, {}, "weather")) < 0.1, other


ANSWERS = ["The blue one is running now", "It runs, blue and all"]


def answered(beside: str, classifiers, text: str = "do the usual thing") -> float:
    definitions = [one.model_copy(update={"threshold": 0.0}) for one in (ODD, WEATHER)]
    [matches] = found_matches(compile_definitions(definitions, classifiers), [text], "input", [beside])
    return next((match.score for match in matches if match.definition.name == "zorp"), 0.0)


def taught_by_answers() -> dict[str, Classifier]:
    """The inputs are all alike: only the answers tell which of them was a zorp."""
    logged = [task(f"do it {n}", answer) for n, answer in enumerate([*ANSWERS, "Here is a joke", "No parcel found"])]
    return train([ODD, WEATHER], {"zorp": [labelled_text(ODD, one, n < 2) for n, one in enumerate(logged)]})


def test_an_answer_tells_what_a_question_was_about() -> None:
    classifiers = taught_by_answers()
    assert (
        answered("The blue one runs", classifiers)
        > answered("", classifiers)
        > answered("Here is a parcel", classifiers)
    )
    assert answered("The blue one runs", {}) == answered("", {})


def test_a_task_without_an_answer_is_judged_by_what_it_says() -> None:
    """One answer to everything tells nothing, and so its absence tells nothing either."""
    said = [task(text, "ok") for text in (*ZORPS, *NO_ZORPS)]
    classifiers = train(
        [ODD, WEATHER], {"zorp": [labelled_text(ODD, one, n < len(ZORPS)) for n, one in enumerate(said)]}
    )
    text = "please start the blue motor"
    silent = train([ODD, WEATHER], {"zorp": labels()["zorp"]})
    assert answered("", classifiers, text) == pytest.approx(confidence(text, silent))
    assert answered("ok", classifiers, text) == pytest.approx(answered("", classifiers, text), abs=0.01)


def test_other_side_counts_the_same_in_any_batch() -> None:
    compiled = compile_definitions([ODD, WEATHER], taught_by_answers())
    texts, beside = ["do it. Now!", "", "do it. Now!", "again"], ["The blue one", "x", "", "No parcel"]
    together = found_matches(compiled, texts, "input", beside)
    pairs = zip(texts, beside, strict=True)
    assert list(together) == [found_matches(compiled, [text], "input", [answer])[0] for text, answer in pairs]


def test_analyse_gives_the_answer_to_the_classifier() -> None:
    everything = [one.model_copy(update={"threshold": 0.0}) for one in (ODD, WEATHER)]
    compiled = {"shop": compile_definitions(everything, taught_by_answers())}
    tasks = [task("do the usual thing", answer) for answer in ("The blue one runs", "Here is a parcel")]
    found = [{event["name"]: event["score"] for event in row["events"]} for row in analyse(tasks, compiled)]
    assert found[0]["zorp"] > found[1]["zorp"]


def test_label_of_both_sides_has_no_other_side() -> None:
    logged = task("in", "out", system_prompt="be kind")
    assert labelled_text(ODD, logged, True).other_side == "out"
    assert labelled_text(ODD.model_copy(update={"scope": "output"}), logged, True).other_side == "in"
    assert labelled_text(ODD.model_copy(update={"scope": "task"}), logged, True).other_side == ""
