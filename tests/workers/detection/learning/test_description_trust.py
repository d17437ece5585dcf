"""Descriptions are trusted as far as all labels of a project say, and wholly where they are few."""

from __future__ import annotations

import numpy as np
import pytest

from phospho_workers.detection.learning.description_trust import FACTORS, MIN_CONFIRMED, LabelledRows, description_trust
from phospho_workers.detection.learning.training_set import LabelledText
from workers.detection.tasks import semantic, train

PULL = 0.2


def labelled_rows(described_right: bool, confirmed: int = 20) -> LabelledRows:
    """Return rows whose inputs tell the event apart, and whose description does so too, or says the contrary."""
    chance = np.random.default_rng(7)
    is_event = np.arange(4 * confirmed) < confirmed
    inputs = np.where(is_event, 1.0, -1.0)[:, None] + chance.normal(0.0, 3.0, (len(is_event), 3))
    described = np.where(is_event == described_right, 2.0, -2.0) + chance.normal(0.0, 1.0, len(is_event))
    return LabelledRows(inputs, described, is_event, np.ones(len(is_event)))


def test_description_trust_follows_how_well_it_ranks() -> None:
    assert description_trust([labelled_rows(True)] * 2, PULL) == FACTORS[0]
    assert description_trust([labelled_rows(False)] * 2, PULL) == FACTORS[-1]


def test_description_trust_ignores_few_labels() -> None:
    assert description_trust([], PULL) == FACTORS[0]
    assert description_trust([labelled_rows(False, MIN_CONFIRMED - 1)], PULL) == FACTORS[0]
    assert description_trust([labelled_rows(False, MIN_CONFIRMED)], PULL) == FACTORS[-1]


def test_closed_form_equals_leave_one_out_training(monkeypatch: pytest.MonkeyPatch) -> None:
    known = labelled_rows(True)
    predicted: list[np.ndarray] = []
    name = "phospho_workers.detection.learning.description_trust.average_precision"
    monkeypatch.setattr(name, lambda scores, is_event: predicted.append(scores) or 0.0)
    description_trust([known] * 2, PULL)

    misses = np.where(known.is_event, 2.0, -2.0) - FACTORS[1] * known.description_logits
    rest = np.arange(len(misses)) != 3
    inputs, weights = known.inputs[rest], known.weights[rest]
    curvature = (inputs * weights[:, None]).T @ inputs + 4 * PULL * np.eye(3)
    learnt = np.linalg.solve(curvature, inputs.T @ (weights * misses[rest]))
    assert predicted[1][3] == pytest.approx(FACTORS[1] * known.description_logits[3] + known.inputs[3] @ learnt)


def test_classifiers_of_a_project_share_one_trust() -> None:
    definitions = [semantic("a", "The user wants a refund", scope="input"), semantic("b", "The user says hello")]
    labels = {"a": [LabelledText({"input": "money back"}, True)], "b": [LabelledText({"input": "hi"}, True)]}
    classifiers = train(definitions, labels).values()
    assert len({classifier.description_weight for classifier in classifiers}) == 1
