"""Adjusted mutual information as it is defined, on groupings small enough to count."""

from __future__ import annotations

import random

import pytest

from phospho_workers.detection.themes.agreement import adjusted_mutual_information


def test_same_grouping_agrees_fully_whatever_its_names() -> None:
    assert adjusted_mutual_information(list("aabbc"), list("xxyyz")) == pytest.approx(1.0)
    assert adjusted_mutual_information(list("aaaa"), list("bbbb")) == 1.0


def test_agreement_is_that_of_the_reference_implementation() -> None:
    # sklearn.metrics.adjusted_mutual_info_score of the same lists.
    first, second = [0, 0, 0, 1, 1, 1, 2, 2, 2, 2], [0, 0, 1, 1, 1, 2, 2, 2, 2, 0]
    assert adjusted_mutual_information(list(map(str, first)), list(map(str, second))) == pytest.approx(0.237288778)


def test_unrelated_groupings_agree_by_chance_only() -> None:
    rng = random.Random(1)
    first, second = ([str(rng.randrange(12)) for _ in range(3000)] for _ in range(2))
    assert abs(adjusted_mutual_information(first, second)) < 0.01
