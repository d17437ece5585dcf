"""Themes of a new clustering are matched to those that share their members, and their lineage is told."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from phospho_workers.detection.themes.matching import LineageFact, assigned_pairs, continued_groups, match


def test_match_keeps_ids_and_tells_births_and_deaths() -> None:
    counts = np.array([[90, 0, 0, 10], [0, 1, 0, 9], [0, 0, 50, 50]])
    matched = match(counts, ["a", "b"], ["x", "y", "z"])
    assert matched.theme_ids == ["a", "y", "z"]
    assert matched.facts == [LineageFact("birth", "y"), LineageFact("birth", "z"), LineageFact("death", "b")]


def test_match_tells_splits_and_merges() -> None:
    split = match(np.array([[60, 40, 0], [0, 0, 0]]), ["a"], ["x", "y"])
    assert split.theme_ids == ["a", "y"]
    assert split.facts == [LineageFact("split", "y", "a", 0.4)]
    merge = match(np.array([[60, 0], [40, 0], [0, 0]]), ["a", "b"], ["x"])
    assert merge.theme_ids == ["a"]
    assert merge.facts == [LineageFact("merge", "b", "a", 1.0)]


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (3, 5), (5, 3), (2, 6)])
@pytest.mark.parametrize("seed", range(5))
def test_assigned_pairs_weigh_as_much_as_the_best_of_all(shape: tuple[int, int], seed: int) -> None:
    weights = np.random.default_rng(seed).random(shape)
    found = sum(weights[pair] for pair in assigned_pairs(weights, 0.0))
    wide = weights if shape[0] <= shape[1] else weights.T
    best = max(
        sum(wide[row, column] for row, column in enumerate(p)) for p in permutations(range(wide.shape[1]), len(wide))
    )
    assert found == pytest.approx(best)


def test_groups_keep_the_id_of_most_of_their_themes() -> None:
    groups = [("theme-a", 0), ("theme-b", 0), ("theme-c", 1), ("theme-d", 2)]
    old = {"theme-a": "group-1", "theme-b": "group-2", "theme-c": "group-2"}
    assert continued_groups(groups, old) == {0: "group-1", 1: "group-2", 2: "group-d"}
