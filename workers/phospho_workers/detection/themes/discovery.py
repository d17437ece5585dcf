"""
Finding the themes of a project in a sample of its texts.

The first model of a project clusters the sample. A later one starts from the previous one: its themes keep their
places, apart from a small move towards their members, and only texts that are near none of them are clustered for new
themes. So no theme changes because a job ran. Where a model was made from far fewer texts, the sample is clustered
anew and the themes are matched to the previous ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.semantic.student import Student
from phospho_workers.detection.text.embedding import Vectors, directions, unit
from phospho_workers.detection.themes.clustering import (
    MAX_CLUSTERS,
    Labels,
    Matrix,
    cluster,
    k_means,
    nearest,
    sums,
    ward_joins,
)
from phospho_workers.detection.themes.matching import LineageFact, match, theme_id
from phospho_workers.detection.themes.model import ThemeModel
from phospho_workers.detection.themes.naming import ThemeName, name_themes
from phospho_workers.detection.themes.theme_space import ThemeSpace, text_key, theme_space

MIN_TEXTS = 50
EXAMPLES = 6
# Copies of a text that are clustered, those that differ in numbers or case among them.
_MAX_COPIES = 5
_MIN_SIZE = 4
_MIN_SIZE_SHARE = 0.005
# Of a theme's texts in the sample, so many are as near to its center as a text must be to have the theme.
_ASSIGNED_QUANTILE = 0.1
_MIN_THRESHOLD = 0.2
_MAX_THRESHOLD = 0.6
# A new theme beside those of the previous model must be as close together as most of them, and apart from each.
_MIN_COHESION_SHARE = 0.85
_MAX_SIMILARITY = 0.8
# A center moves as if its previous place were so many times the members of the sample.
_ANCHOR_WEIGHT = 3.0
# Themes of which a new theme splits off, when a person asks for it.
_PARTS = 2
_MIN_GROUPED = 8


@dataclass(frozen=True)
class FoundTheme:
    """A theme of a discovery: its id, how many of the sample's texts it has, its names, examples and place."""

    theme_id: str
    texts: int
    name: ThemeName
    examples: Sequence[str]
    group: int
    position: tuple[float, float]


class Discovery(NamedTuple):
    """
    A model, its themes in the order of the model's, the titles of groups of themes, and what changed.

    `is_anew` says that the sample was clustered anew, though there was a model.
    """

    model: ThemeModel
    themes: Sequence[FoundTheme]
    groups: Sequence[str]
    facts: Sequence[LineageFact]
    is_anew: bool = False


class _Sample(NamedTuple):
    """Different texts of a sample in a space: `rows` are unit vectors, `counts` how often each was there."""

    texts: Sequence[str]
    rows: NDArray[np.float32]
    counts: NDArray[np.int64]


@dataclass(frozen=True)
class Previous:
    """The previous model. `kept` are themes that stay without members, `to_split` those that people split."""

    model: ThemeModel
    is_fresh: bool = False
    kept: Collection[str] = ()
    to_split: Collection[str] = ()


def discover(
    texts: Sequence[str],
    project_id: str,
    version: int,
    *,
    previous: Previous | None = None,
    student: Student | None = None,
) -> Discovery | None:
    """
    Return the themes of a sample of texts; None of fewer than MIN_TEXTS with words.

    `student` makes the space of a first model, and of one that is made anew. Pure: the same texts in the same order
    give the same themes.
    """
    counts = Counter(text_key(text) for text in texts)
    representatives = {text_key(text): text for text in reversed(texts)}
    keys = [key for key in counts if key]
    if sum(counts[key] for key in keys) < MIN_TEXTS:
        return None
    different = [representatives[key] for key in keys]
    is_anew = previous is not None and previous.is_fresh
    space = previous.model.space if previous is not None and not is_anew else theme_space(different, student)
    read = space.read(different)
    sample = _Sample(
        [different[index] for index in read.indexes],
        unit(read.directions).astype(np.float32),
        np.array([counts[keys[index]] for index in read.indexes], dtype=np.int64),
    )
    if not sample.texts:
        return None
    copies = np.repeat(np.arange(len(sample.texts)), np.minimum(sample.counts, _MAX_COPIES))
    maker = _ModelMaker(project_id, version, space, rows=sample.rows[copies])
    if previous is None:
        model, facts = maker.first()
    elif is_anew:
        model, facts = maker.anew(previous.model, [sample.texts[row] for row in copies.tolist()])
    else:
        model, facts = maker.continued(previous)
    return _described(model, facts, sample)._replace(is_anew=is_anew)


def min_size(rows: int) -> int:
    """Return how many of the clustered texts a theme has at least."""
    return max(_MIN_SIZE, round(_MIN_SIZE_SHARE * rows))


_Changed = tuple[ThemeModel, list[LineageFact]]


@dataclass(frozen=True)
class _ModelMaker:
    """Makes a version of a project's model from unit vectors of a sample, shape (texts, dimensions)."""

    project_id: str
    version: int
    space: ThemeSpace
    rows: NDArray[np.float32]

    def first(self) -> _Changed:
        """Return the clusters of all rows, each of which is a new theme."""
        model = self._model(self.rows, cluster(self.rows, min_size(len(self.rows))))
        return model, [LineageFact("birth", name) for name in model.theme_ids]

    def anew(self, old: ThemeModel, texts: Sequence[str]) -> _Changed:
        """Return the clusters of all rows, of these texts, with the ids of the old themes that they continue."""
        model, _ = self.first()
        rows = {name: row for row, name in enumerate(old.theme_ids)}
        old_labels = np.array([rows.get(given.theme, len(rows)) for given in old.assign(texts)], dtype=np.int64)
        counts = np.zeros((len(old.theme_ids) + 1, len(model.theme_ids) + 1), dtype=np.int64)
        np.add.at(counts, (old_labels, _labels(model, self.rows)), 1)
        matched = match(counts, old.theme_ids, model.theme_ids)
        return replace(model, theme_ids=matched.theme_ids), matched.facts

    def continued(self, previous: Previous) -> _Changed:
        """Return the previous model with its themes moved, dead ones removed, and new ones added."""
        old, rows = previous.model, self.rows
        labels = _labels(old, rows)
        sizes = np.bincount(labels, minlength=len(old.theme_ids) + 1)[:-1]
        least = min_size(len(rows))
        lives = [size * 2 >= least or name in previous.kept for size, name in zip(sizes, old.theme_ids, strict=True)]
        dead = [name for name, is_alive in zip(old.theme_ids, lives, strict=True) if not is_alive]
        kept = np.flatnonzero(lives)
        totals = sums(rows, labels, len(old.theme_ids) + 1)[:-1]
        anchored = unit(old.centers) * (np.maximum(sizes, 1) * _ANCHOR_WEIGHT)[:, None]
        model = ThemeModel(
            space=self.space,
            theme_ids=[old.theme_ids[row] for row in kept.tolist()],
            centers=directions(anchored + totals)[kept],
            thresholds=old.thresholds[kept],
            version=self.version,
        )
        born = self._born(model, labels == len(old.theme_ids))
        facts = [LineageFact("death", name) for name in dead]
        facts += [LineageFact("birth", name) for name in born.theme_ids]
        return self._split(_joined(model, born), previous.to_split, facts)

    def _born(self, model: ThemeModel, is_free: NDArray[np.bool_]) -> ThemeModel:
        """Return a model of the new themes among the rows that are near no theme."""
        free = self.rows[is_free]
        centers = cluster(free, min_size(len(self.rows)))
        room = MAX_CLUSTERS - len(model.theme_ids)
        if len(model.theme_ids) and len(centers) and not is_free.all():
            cohesion = _means(*nearest(free, centers), len(centers))
            of_old = _means(*model.nearest(directions(self.rows[~is_free])), len(model.theme_ids))
            is_apart = (centers @ unit(model.centers).T).max(axis=1) <= _MAX_SIMILARITY
            centers = centers[(cohesion >= _MIN_COHESION_SHARE * float(np.median(of_old))) & is_apart]
        return self._model(free, centers[:room])

    def _split(self, model: ThemeModel, names: Collection[str], facts: list[LineageFact]) -> _Changed:
        """Return the model with themes cut in two, where they have texts enough: the larger part keeps the id."""
        for name in names:
            if name not in model.theme_ids:
                continue
            at = list(model.theme_ids).index(name)
            members = self.rows[_labels(model, self.rows) == at]
            parts = self._parts(members, unit(model.centers)[at])
            if len(parts.theme_ids) < _PARTS:
                continue
            centers, thresholds = model.centers.copy(), model.thresholds.copy()
            centers[at], thresholds[at] = parts.centers[0], parts.thresholds[0]
            part = replace(
                parts, theme_ids=parts.theme_ids[1:], centers=parts.centers[1:], thresholds=parts.thresholds[1:]
            )
            share = float((_labels(parts, members) == 1).mean())
            facts = [*facts, LineageFact("split", parts.theme_ids[1], name, round(share, 3))]
            model = _joined(replace(model, centers=centers, thresholds=thresholds), part)
        return model, facts

    def _parts(self, members: NDArray[np.float32], center: Matrix) -> ThemeModel:
        """Return a model of the two parts of a theme, the larger one first; of fewer where it has too few texts."""
        if len(members) < _PARTS * _MIN_SIZE:
            return self._model(members, np.zeros((0, self.space.dimensions)))
        first = int((members @ center.astype(np.float32)).argmin())
        second = int((members @ members[first]).argmin())
        centers = k_means(members, members[[first, second]].astype(np.float64), 20)
        sizes = np.bincount(nearest(members, centers)[0], minlength=len(centers))
        return self._model(members, centers[np.argsort(-sizes, kind="stable")])

    def _model(self, rows: NDArray[np.float32], centers: Matrix) -> ThemeModel:
        """Return a model with these centers, and the thresholds that the rows near them give."""
        grid = directions(centers).reshape(-1, self.space.dimensions)
        thresholds = np.full(len(grid), _MIN_THRESHOLD)
        if len(grid):
            own, scores = nearest(rows, unit(grid))
            for row in np.unique(own):
                thresholds[row] = np.quantile(scores[own == row], _ASSIGNED_QUANTILE)
        return ThemeModel(
            space=self.space,
            theme_ids=[theme_id(self.project_id, self.version, center) for center in grid],
            centers=grid,
            thresholds=np.clip(thresholds, _MIN_THRESHOLD, _MAX_THRESHOLD).round(3),
            version=self.version,
        )


def _joined(model: ThemeModel, other: ThemeModel) -> ThemeModel:
    return replace(
        model,
        theme_ids=[*model.theme_ids, *other.theme_ids],
        centers=np.concatenate([model.centers, other.centers]),
        thresholds=np.concatenate([model.thresholds, other.thresholds]),
    )


def _labels(model: ThemeModel, rows: NDArray[np.float32]) -> Labels:
    """Return the row of each theme, and of those without one the number of themes."""
    return _labels_and_scores(model, rows)[0]


def _labels_and_scores(model: ThemeModel, rows: NDArray[np.float32]) -> tuple[Labels, NDArray[np.float64]]:
    """Return the labels, and the cosine of each row with the center of the nearest theme."""
    if not len(model.theme_ids):
        return np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows))
    own, scores = model.nearest(directions(rows))
    return np.where(scores >= model.thresholds[own], own, len(model.theme_ids)), scores


def _means(labels: Labels, scores: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    means: NDArray[np.float64] = np.bincount(labels, weights=scores, minlength=count) / np.maximum(
        np.bincount(labels, minlength=count), 1
    )
    return means


def _described(model: ThemeModel, facts: Sequence[LineageFact], sample: _Sample) -> Discovery:
    """Return a model with the names, groups and examples that the sample gives its themes."""
    count = len(model.theme_ids)
    labels, scores = _labels_and_scores(model, sample.rows)
    in_order = np.argsort(-scores, kind="stable")
    members = [in_order[labels[in_order] == row] for row in range(count)]
    texts = [model.space.without_boilerplate(text) for text in sample.texts]
    theme_texts = [[texts[row] for row in rows] for rows in members]
    names = name_themes(theme_texts, [texts[row] for row in np.flatnonzero(labels == count)])
    sizes = [int(sample.counts[rows].sum()) for rows in members]
    group_of = theme_groups(model.centers, sizes)
    in_groups = [
        [text for theme, own_texts in enumerate(theme_texts) if group_of[theme] == group for text in own_texts]
        for group in sorted(set(group_of))
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
    return Discovery(model, themes, [name.title for name in name_themes(in_groups)], list(facts))


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
