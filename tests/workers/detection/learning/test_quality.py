"""Precision, recall and threshold from labels, and the tasks that would teach most."""

from __future__ import annotations

import json
import random

import pytest

from phospho_workers.detection.learning.quality import UnlabelledTask, most_informative, quality, wilson


def test_the_interval_is_wilsons() -> None:
    """The values of R's prop.test(8, 10, correct = FALSE)."""
    interval = wilson(8, 10)
    assert interval is not None
    assert interval == pytest.approx((0.8, 0.4901625, 0.9433178), abs=1e-6)
    assert wilson(0, 0) is None
    all_right = wilson(5, 5)
    assert all_right is not None
    assert all_right[0] == all_right[2] == 1.0
    assert 0.5 < all_right[1] < 0.6


def test_precision_and_recall_are_of_what_was_judged() -> None:
    found = quality([0.9, 0.8, 0.7, 0.2], [True, True, False, True])
    assert (found.confirmed, found.rejected) == (3, 1)
    assert found.precision is not None
    assert found.recall is not None
    assert found.precision.value == pytest.approx(2 / 3)
    assert found.recall.value == pytest.approx(2 / 3)
    assert json.loads(found.to_json())["precision"]["value"] == pytest.approx(2 / 3)


def test_without_labels_nothing_is_said() -> None:
    nothing = quality([], [])
    assert (nothing.precision, nothing.recall, nothing.suggested_threshold) == (None, None, 0.5)
    assert json.loads(nothing.to_json())["recall"] is None


def test_quality_suggests_threshold_with_enough_labels() -> None:
    few = quality([0.9] * 9 + [0.8] * 9, [True] * 9 + [False] * 9)
    assert few.suggested_threshold == 0.5
    enough = quality([0.9] * 10 + [0.8] * 10, [True] * 10 + [False] * 10)
    assert enough.suggested_threshold == pytest.approx(0.85)
    apart = quality([0.9] * 10 + [0.1] * 10, [True] * 10 + [False] * 10)
    assert apart.suggested_threshold == 0.5


def test_most_informative_tasks_are_near_threshold_and_different() -> None:
    candidates = [
        UnlabelledTask("sure", "I want a refund", 0.99),
        UnlabelledTask("near", "is this the right shop", 0.52),
        UnlabelledTask("like it", "is this the right shop?", 0.51),
        UnlabelledTask("other", "my parcel is broken", 0.6),
    ]
    assert most_informative(candidates, count=3) == ["like it", "other", "sure"]
    assert set(most_informative(candidates)) == {"sure", "near", "like it", "other"}
    assert most_informative([]) == []


def test_the_order_of_the_candidates_does_not_matter() -> None:
    candidates = [UnlabelledTask(f"t{number}", f"word{number} and more", number % 7 / 7) for number in range(60)]
    shuffled = random.Random(3).sample(candidates, len(candidates))
    assert most_informative(shuffled) == most_informative(candidates)
    assert len(most_informative(candidates)) == 20
