"""A student maps texts to where an encoder would put them, exactly, and says itself whether it is worth it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from phospho_workers.detection.evaluation.students import cross_fitted, whole
from phospho_workers.detection.learning.student_fitting import MIN_TEXTS, learn_student, sample
from phospho_workers.detection.semantic import encoder as encoders
from phospho_workers.detection.semantic import student as students
from phospho_workers.detection.semantic.encoder import MINILM, encoder
from phospho_workers.detection.semantic.scoring import DescriptionScores
from phospho_workers.detection.semantic.student import BadStudent, Student
from phospho_workers.detection.text.embedding import cosines
from phospho_workers.detection.text.reading import clauses_of, reading
from workers.detection.tasks import task

_ASKS = (
    "where is my",
    "I want to return the",
    "can I pay for the",
    "how much is the",
    "please cancel the",
    "I love the",
)
_THINGS = ("blue shoes", "winter coat", "gift card", "order", "phone case", "garden chair", "coffee machine", "bicycle")
_ENDS = ("", " today", " that I bought last week", " for my sister", " please, it is urgent", ". Thank you very much")
TEXTS = [f"{ask} {thing}{end}" for ask, thing, end in product(_ASKS, _THINGS, _ENDS)]


@pytest.fixture(scope="module")
def student() -> Student:
    learnt = learn_student({"input": TEXTS})
    assert learnt is not None
    taught, validation = learnt
    assert validation.is_worth_it
    assert validation.student > 0.8
    return taught


def test_student_of_a_text_is_near_its_encoder(student: Student) -> None:
    texts = ["where is the winter coat that I ordered?", "can I pay for my bicycle with a gift card?"]
    model = encoder(MINILM)
    assert model is not None
    taught = student.vectors(reading([clauses_of(text) for text in texts])).astype(np.float64)
    encoded = model.vectors(texts).astype(np.float64) @ student.basis
    cosine = np.sum(taught * encoded, axis=1) / np.linalg.norm(taught, axis=1) / np.linalg.norm(encoded, axis=1)
    assert (cosine > 0.8).all()


def test_student_survives_its_json_and_reads_texts_alone_as_in_a_batch(student: Student) -> None:
    again = Student.from_json(student.to_json(), version=3)
    texts = ["hello", "where is my order? I want it today. Please.", "x" * 3000, "refund the coat", "ok"]
    batch = reading([clauses_of(text) for text in texts])
    together = DescriptionScores(["The user wants a refund", "The user says hello"], "input", student).scores(batch)
    alone = DescriptionScores(["The user wants a refund", "The user says hello"], "input", again)
    rows = [alone.scores(reading([clauses_of(text)]))[0] for text in texts]
    assert np.array_equal(np.array(rows), together[batch.firsts])
    assert again.version == 3


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 99}', '{"format": 2, "mean": "!"}'])
def test_student_that_cannot_be_read_says_so(text: str) -> None:
    with pytest.raises(BadStudent):
        Student.from_json(text)


def test_student_is_a_function_of_the_set_of_its_texts(student: Student) -> None:
    again = learn_student({"input": [*reversed(TEXTS), *TEXTS]})
    assert again is not None
    assert again[0].to_json() == student.to_json()


def test_description_borrows_examples_in_the_space_of_the_student(
    student: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    description = "The user wants a refund"
    text = student.vectors(reading([clauses_of("give me my money back")]))
    borrowing = cosines(text, student.description(description)[None])
    monkeypatch.setattr(students, "_EXAMPLES_WEIGHT", 0.0)
    assert borrowing > cosines(text, student.description(description)[None]) + 0.02


def test_multilingual_student_leaves_out_what_all_vectors_share(
    student: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = reading([clauses_of(text) for text in ("where is my order", "I love the garden chair")])
    close = cosines(*student.vectors(pairs)[:, None])
    monkeypatch.setattr(Student, "is_multilingual", True)
    assert cosines(*student.vectors(pairs)[:, None]) < close - 0.05


def test_too_few_texts_or_no_encoder_teach_nothing() -> None:
    assert learn_student({"input": TEXTS[: MIN_TEXTS - 1]}) is None
    assert learn_student({"input": TEXTS}, encoders=lambda _: None) is None


def test_encoder_file_that_is_another_than_was_checked_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "MINILM_MODEL", encoders.MINILM_MODEL._replace(sha256="0" * 64))
    assert encoders._loaded.__wrapped__(MINILM) is None


def test_definitions_without_the_encoder_are_scored_without_the_student(
    student: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = reading([clauses_of("where is my order")])
    without = DescriptionScores(["The user asks for their order"], "input").scores(batch)
    monkeypatch.setattr(type(student), "is_usable", property(lambda _: False))
    assert np.array_equal(DescriptionScores(["The user asks for their order"], "input", student).scores(batch), without)


def test_sample_is_bounded_and_holds_each_text_once() -> None:
    assert sample([*TEXTS, *TEXTS, "", "..."], 50) == sample(reversed(TEXTS), 50)
    assert len(set(sample(TEXTS, 50))) == 50


def test_sample_has_one_of_texts_that_differ_in_numbers() -> None:
    texts = [f"{ask} order {number}?" for ask in _ASKS for number in ("17", "A-18b", "2026")]
    assert len(sample(texts, 50)) == len(_ASKS)
    assert learn_student({"input": [f"{ask} order {number}?" for ask in _ASKS for number in range(MIN_TEXTS)]}) is None


def test_halves_of_an_evaluation_share_no_text() -> None:
    tasks = [task(text, "ok", task_id=str(number)) for number, text in enumerate(TEXTS * 2)]
    first, second = cross_fitted(tasks)
    assert sorted([*first.indexes, *second.indexes]) == list(range(len(tasks)))
    assert {tasks[index]["input"] for index in first.indexes}.isdisjoint(
        tasks[index]["input"] for index in second.indexes
    )
    assert first.student is not None
    assert "output" not in first.student.references
    assert cross_fitted(tasks[:50]) == whole(tasks[:50])
