"""Descriptions of the themes of a model: names, examples, groups, and places on the map, from a sample of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.text.embedding import Vectors, directions, unit
from phospho_workers.detection.themes.clustering import Labels, ward_joins
from phospho_workers.detection.themes.model import ThemeModel
from phospho_workers.detection.themes.naming import ThemeName, joined_phrases, name_themes, phrases_of
from phospho_workers.detection.themes.new_themes import Flags

EXAMPLES = 6
_MIN_GROUPED = 8


class Sample(NamedTuple):
    """
    The different texts of a sample, with their unit vectors (`rows`) and numbers of copies (`counts`).

    `is_new` marks texts of which the previous model's sample had no copy.
    """

    texts: Sequence[str]
    rows: NDArray[np.float32]
    counts: NDArray[np.int64]
    is_new: Flags


@dataclass(frozen=True)
class FoundTheme:
    """A theme that was discovered. `texts` counts texts of the sample; `position` is on the map."""

    theme_id: str
    texts: int
    name: ThemeName
    examples: Sequence[str]
    group: int
    position: tuple[float, float]


def describe_themes(model: ThemeModel, sample: Sample) -> tuple[list[FoundTheme], list[str]]:
    """Return the themes of a model in its order, described by a sample, and the titles of their groups."""
    count = len(model.theme_ids)
    labels, scores = labels_and_scores(model, sample.rows)
    in_order = np.argsort(-scores, kind="stable")
    members = [in_order[labels[in_order] == row] for row in range(count)]
    texts = [model.space.without_boilerplate(text) for text in sample.texts]
    phrases = [phrases_of([texts[row] for row in rows]) for rows in members]
    others = phrases_of([texts[row] for row in np.flatnonzero(labels == count)])
    names = name_themes(phrases, others)
    sizes = [int(sample.counts[rows].sum()) for rows in members]
    group_of = theme_groups(model.centers, sizes)
    of_groups = [
        joined_phrases([part for part, own in zip(phrases, group_of, strict=True) if own == group])
        for group in range(max(group_of, default=-1) + 1)
    ]
    positions = _positions(model.centers)
    themes = [
        FoundTheme(
            theme_id=model.theme_ids[row],
            texts=sizes[row],
            name=names[row],
            examples=[sample.texts[member] for member in members[row][:EXAMPLES]],
            group=group_of[row],
            position=positions[row],
        )
        for row in range(count)
    ]
    return themes, [name.title for name in name_themes(of_groups, others)]


def theme_groups(centers: Vectors, sizes: Sequence[int]) -> list[int]:
    """Return the group of each theme, numbered from 0: about the square root of twice as many groups as themes."""
    count = len(centers)
    if count < _MIN_GROUPED:
        return list(range(count))
    weights = np.sqrt(np.maximum(np.array(sizes, dtype=np.float64), 1.0))
    joins = ward_joins(unit(centers) * weights[:, None], weights)
    owners = np.arange(count)
    for kept, gone in joins[: count - round((2 * count) ** 0.5)]:
        owners[owners == gone] = kept
    numbers: Mapping[int, int] = {int(owner): number for number, owner in enumerate(dict.fromkeys(owners.tolist()))}
    return [numbers[int(owner)] for owner in owners]


def _positions(centers: Vectors) -> list[tuple[float, float]]:
    """Return a place on a map for each theme, near those of similar themes: the two principal directions."""
    if len(centers) < 3:
        return [(float(row), 0.0) for row in range(len(centers))]
    rows = unit(centers)
    rows = rows - rows.mean(axis=0)
    left, lengths, _ = np.linalg.svd(rows, full_matrices=False)
    flat = left[:, :2] * lengths[:2]
    # Either sign of a direction is right: with this one, the map is not mirrored from model to model.
    flat *= np.where((flat**3).sum(axis=0) < 0, -1.0, 1.0)
    return [(round(float(x), 4), round(float(y), 4)) for x, y in flat / max(float(np.abs(flat).max()), 1e-9)]


def labels_and_scores(model: ThemeModel, rows: NDArray[np.float32]) -> tuple[Labels, NDArray[np.float64]]:
    """Return the theme of each row (of none, the number of themes), and its cosine with the nearest center."""
    if not len(model.theme_ids):
        return np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows))
    own, scores = model.nearest(directions(rows))
    return np.where(scores >= model.thresholds[own], own, len(model.theme_ids)), scores
