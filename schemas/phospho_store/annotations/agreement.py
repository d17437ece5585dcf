"""The agreement of people who labelled the same tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def fleiss_kappa(reviews: Sequence[Sequence[str]]) -> float | None:
    """
    Return the agreement between reviewers beyond chance, over the tasks that two or more have labelled.

    1 is full agreement and 0 that of chance. None without such tasks, and where all labels are the same.
    """
    counts = [Counter(labels) for labels in reviews if len(labels) > 1]
    if not counts:
        return None
    observed = sum(_agreeing_pairs(count) for count in counts) / len(counts)
    totals = sum(counts, Counter[str]())
    expected = sum((number / totals.total()) ** 2 for number in totals.values())
    return None if expected == 1 else (observed - expected) / (1 - expected)


def _agreeing_pairs(count: Counter[str]) -> float:
    pairs = count.total() * (count.total() - 1)
    return sum(number * (number - 1) for number in count.values()) / pairs
