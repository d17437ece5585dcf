"""Matching of a new clustering with the previous one: the ids of themes, and the lineage of new and lost ones."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

LineageKind = Literal["birth", "death", "split", "merge"]
# Of their members together, the share that a theme and its successor have in common, or more.
_MIN_OVERLAP = 0.3
# Of the members of a theme, the share that makes another one its part (a split) or its destination (a merge).
_LARGE_PART = 0.3


class LineageFact(NamedTuple):
    """
    A change of the themes in a new version of the model.

    split: `theme_id` is new, and a part of `other_id`. merge: `theme_id` is gone, and most of it is in `other_id`.
    `share` is that of the members concerned in the older theme. Of a birth or death `other_id` is empty; a birth beside
    the themes of a previous model has its share of the texts that came since.
    """

    kind: LineageKind
    theme_id: str
    other_id: str = ""
    share: float = 0.0


class Matched(NamedTuple):
    """The id of each new theme, in their order, and what changed."""

    theme_ids: list[str]
    facts: list[LineageFact]


def match(counts: NDArray[np.int64], old_ids: Sequence[str], new_ids: Sequence[str]) -> Matched:
    """
    Return ids for new themes: of the old theme that a new one continues, else the id in `new_ids`.

    `counts` has the members that old theme i and new theme j share, shape (old + 1, new + 1); the last row and column
    are of those without a theme.
    """
    old_sizes, new_sizes = counts.sum(axis=1)[:-1], counts.sum(axis=0)[:-1]
    shared = counts[:-1, :-1].astype(np.float64)
    overlaps = shared / np.maximum(old_sizes[:, None] + new_sizes[None, :] - shared, 1.0)
    pairs = assigned_pairs(overlaps, _MIN_OVERLAP)
    of_new = {new: old for old, new in pairs}
    ids = [old_ids[of_new[new]] if new in of_new else new_ids[new] for new in range(len(new_ids))]
    lineage = _Lineage(shared, old_ids, ids, old_sizes)
    facts = [lineage.arrival(new) for new in range(len(ids)) if new not in of_new]
    facts += [lineage.end(old) for old in range(len(old_ids)) if old not in of_new.values()]
    return Matched(ids, facts)


class _Lineage(NamedTuple):
    """The members that old and new themes share, with the ids of both."""

    shared: NDArray[np.float64]
    old_ids: Sequence[str]
    new_ids: Sequence[str]
    old_sizes: NDArray[np.int64]

    def arrival(self, new: int) -> LineageFact:
        """Return where a new theme comes from: the old one that shares most with it, if that is a large part of it."""
        if len(self.old_ids):
            parent = int(self.shared[:, new].argmax())
            share = self._share(parent, new)
            if share >= _LARGE_PART:
                return LineageFact("split", self.new_ids[new], self.old_ids[parent], share)
        return LineageFact("birth", self.new_ids[new])

    def end(self, old: int) -> LineageFact:
        """Return where a lost theme went: the new one that shares most with it, if that is a large part of it."""
        if len(self.new_ids):
            heir = int(self.shared[old].argmax())
            share = self._share(old, heir)
            if share >= _LARGE_PART:
                return LineageFact("merge", self.old_ids[old], self.new_ids[heir], share)
        return LineageFact("death", self.old_ids[old])

    def _share(self, old: int, new: int) -> float:
        return round(float(self.shared[old, new] / max(1, self.old_sizes[old])), 3)


def assigned_pairs(weights: NDArray[np.float64], least: float) -> list[tuple[int, int]]:
    """
    Return the pairs (row, column) of at least `least` that together weigh most, each row and column in one at most.

    By the Hungarian method with potentials (Jonker and Volgenant): cubic, some 50 ms for 250 by 250.
    """
    is_wide = weights.shape[0] <= weights.shape[1]
    costs = -np.where(weights >= least, weights, 0.0)
    columns = _hungarian(costs if is_wide else costs.T)
    pairs = [(row, column) if is_wide else (column, row) for row, column in enumerate(columns)]
    return sorted((row, column) for row, column in pairs if weights[row, column] >= least)


def theme_id(project_id: str, version: int, center: NDArray[np.float32]) -> str:
    """Return the id of a theme that is new in a version of a project's model."""
    digest = hashlib.blake2b(digest_size=5)
    digest.update(f"{project_id}\n{version}\n".encode())
    digest.update(center.astype("<i2").tobytes())
    return f"theme-{digest.hexdigest()}"


def _hungarian(costs: NDArray[np.float64]) -> list[int]:
    """Return the column of each row in an assignment of least cost; there are at least as many columns as rows."""
    rows, columns = costs.shape
    of_rows, of_columns = np.zeros(rows + 1), np.zeros(columns + 1)
    owners = np.zeros(columns + 1, dtype=np.int64)
    for row in range(1, rows + 1):
        owners[0] = row
        _augment(costs, of_rows, of_columns, owners)
    assigned = [0] * rows
    for column in range(1, columns + 1):
        if owners[column]:
            assigned[owners[column] - 1] = column - 1
    return assigned


def _augment(
    costs: NDArray[np.float64],
    of_rows: NDArray[np.float64],
    of_columns: NDArray[np.float64],
    owners: NDArray[np.int64],
) -> None:
    """Give the row `owners[0]` a column, along the shortest path of exchanges; rows and columns count from 1."""
    columns = costs.shape[1]
    least, used = np.full(columns + 1, np.inf), np.zeros(columns + 1, dtype=bool)
    before = np.zeros(columns + 1, dtype=np.int64)
    column = 0
    while owners[column]:
        used[column] = True
        row = owners[column]
        reduced = np.r_[np.inf, costs[row - 1] - of_rows[row] - of_columns[1:]]
        is_nearer = ~used & (reduced < least)
        least[is_nearer], before[is_nearer] = reduced[is_nearer], column
        step = np.where(used, np.inf, least)
        following = int(step.argmin())
        delta = step[following]
        of_rows[owners[used]] += delta
        of_columns[used] -= delta
        least[~used] -= delta
        column = following
    while column:
        owners[column] = owners[before[column]]
        column = int(before[column])


def continued_groups(groups: Sequence[tuple[str, int]], old_groups: Mapping[str, str]) -> dict[int, str]:
    """
    Return the id of each group: that of the old group with most themes in common, else one of its first theme.

    `groups` are pairs of a theme and its group's number; `old_groups` has the group's id of each earlier theme.
    """
    shared = Counter((group, old_groups[name]) for name, group in groups if name in old_groups)
    ids: dict[int, str] = {}
    for (group, old_id), _ in sorted(shared.items(), key=lambda item: (-item[1], item[0])):
        if group not in ids and old_id not in ids.values():
            ids[group] = old_id
    for name, group in groups:
        ids.setdefault(group, name.replace("theme-", "group-", 1))
    return ids
