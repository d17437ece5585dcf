"""
Finding the themes of a project in a sample of its texts.

The first model of a project clusters the sample. A later one starts from the previous one: its themes keep their
places, apart from a small move towards their members. New themes are looked for among texts that are near none of
them, and among texts that came since, where few were before. So no theme changes because a job ran. Where a model was
made from far fewer texts, the sample is clustered anew and the themes are matched to the previous ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.semantic.student import Student
from phospho_workers.detection.text.embedding import directions, unit
from phospho_workers.detection.themes.clustering import (
    MAX_CLUSTERS,
    Labels,
    Matrix,
    cluster,
    k_means,
    nearest,
    sums,
)
from phospho_workers.detection.themes.described import FoundTheme, Sample, describe_themes, labels_and_scores
from phospho_workers.detection.themes.matching import LineageFact, match, theme_id
from phospho_workers.detection.themes.model import ThemeModel
from phospho_workers.detection.themes.new_themes import close_groups, densely_new
from phospho_workers.detection.themes.theme_space import ThemeSpace, text_key, theme_space

MIN_TEXTS = 50
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
# A new theme where few texts were before is as close together as others, by this share. It has so many times the share
# of new texts that it has of old ones, and so many new ones at least. An old theme that grows is none: of no old theme
# does it take more than this share of the old texts.
_MIN_NEW_COHESION_SHARE = 0.65
_MIN_LIFT = 2.5
_MIN_NEW_SHARE = 0.01
_MIN_NEW_TEXTS = 8
_MAX_TAKEN = 0.15
# A center moves as if its previous place were so many times the members of the sample.
_ANCHOR_WEIGHT = 3.0
# Themes of which a new theme splits off, when a person asks for it.
_PARTS = 2


class FoundModel(NamedTuple):
    """A model, the sample that it was made from, and what changed; `is_anew` as in Discovery."""

    model: ThemeModel
    sample: Sample
    facts: Sequence[LineageFact]
    is_anew: bool = False


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


@dataclass(frozen=True)
class Previous:
    """
    The previous model. `kept` are themes that stay without members, `to_split` those that people split.

    `is_new` says of each text of the sample whether it came since; empty where nobody knows.
    """

    model: ThemeModel
    is_new: Sequence[bool] = ()
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
    """Return the themes of a sample of texts with their names, as `find_model` finds them."""
    found_model = find_model(texts, project_id, version, previous=previous, student=student)
    if found_model is None:
        return None
    model, sample, facts, is_anew = found_model
    themes, groups = describe_themes(model, sample)
    return Discovery(model, themes, groups, facts, is_anew=is_anew)


def find_model(
    texts: Sequence[str],
    project_id: str,
    version: int,
    *,
    previous: Previous | None = None,
    student: Student | None = None,
) -> FoundModel | None:
    """
    Return the model of a sample of texts; None of fewer than MIN_TEXTS with words.

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
    old_keys = _old_keys(texts, previous)
    sample = Sample(
        [different[index] for index in read.indexes],
        unit(read.directions).astype(np.float32),
        np.array([counts[keys[index]] for index in read.indexes], dtype=np.int64),
        np.array([keys[index] not in old_keys for index in read.indexes], dtype=bool),
    )
    if not sample.texts:
        return None
    copies = np.repeat(np.arange(len(sample.texts)), np.minimum(sample.counts, _MAX_COPIES))
    maker = _ModelMaker(project_id, version, space, sample, rows=sample.rows[copies])
    if previous is None:
        model, facts = maker.first()
    elif is_anew:
        model, facts = maker.anew(previous.model, [sample.texts[row] for row in copies.tolist()])
    else:
        model, facts = maker.continued(previous)
    return FoundModel(model, sample, facts, is_anew=is_anew)


def _old_keys(texts: Sequence[str], previous: Previous | None) -> set[str]:
    """Return the keys of the texts that were there when the previous model was made; all where nobody knows."""
    is_new = previous.is_new if previous is not None and previous.is_new else [False] * len(texts)
    return {text_key(text) for text, new in zip(texts, is_new, strict=True) if not new}


def min_size(rows: int) -> int:
    """Return how many of the clustered texts a theme has at least."""
    return max(_MIN_SIZE, round(_MIN_SIZE_SHARE * rows))


_Changed = tuple[ThemeModel, list[LineageFact]]


@dataclass(frozen=True)
class _ModelMaker:
    """Makes a version of a project's model from a sample. `rows` has a row for each copy of a text that counts."""

    project_id: str
    version: int
    space: ThemeSpace
    sample: Sample
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
        moved = replace(old, space=self.space, centers=directions(anchored + totals), version=self.version)
        model = _part(moved, kept)
        model = _joined(model, self._born(model, labels == len(old.theme_ids)))
        model = _joined(model, self._emerged(model))
        facts = [LineageFact("death", name) for name in dead]
        return self._split(model, previous.to_split, facts + self._births(model, len(kept)))

    def _births(self, model: ThemeModel, first: int) -> list[LineageFact]:
        """Return the births of the themes of a model from row `first` on, with their shares of the new texts."""
        is_new = self.sample.is_new if self.sample.is_new.any() else np.ones(len(self.sample.rows), dtype=bool)
        counts = np.bincount(_labels(model, self.sample.rows[is_new]), minlength=len(model.theme_ids) + 1)
        shares = (counts / max(1, int(is_new.sum()))).round(3).tolist()
        return [
            LineageFact("birth", model.theme_ids[row], "", shares[row]) for row in range(first, len(model.theme_ids))
        ]

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

    def _emerged(self, model: ThemeModel) -> ThemeModel:
        """Return a model of the themes among new texts, where few texts were before, beside those of `model`."""
        groups = self._new_groups(model)
        members = np.concatenate([self.rows[:0], *groups])
        centers = np.array([group.sum(axis=0, dtype=np.float64) for group in groups])
        candidates = self._model(members, centers.reshape(-1, self.space.dimensions))
        kept = np.flatnonzero(self._are_new(model, candidates))[: MAX_CLUSTERS - len(model.theme_ids)]
        return _part(candidates, kept)

    def _new_groups(self, model: ThemeModel) -> list[NDArray[np.float32]]:
        rows, is_new = self.sample.rows, self.sample.is_new
        if not len(model.theme_ids):
            return []
        cohesion = float(np.median(_means(*model.nearest(directions(rows)), len(model.theme_ids))))
        return close_groups(rows[densely_new(rows, is_new)], self._least_new, _MIN_NEW_COHESION_SHARE * cohesion)

    def _are_new(self, model: ThemeModel, candidates: ThemeModel) -> NDArray[np.bool_]:
        """Tell which of the candidates have far more new texts than old ones, and are none of `model`."""
        is_new, count = self.sample.is_new, len(candidates.theme_ids)
        labels = _labels(_joined(model, candidates), self.sample.rows) - len(model.theme_ids)
        of_candidates = (labels >= 0) & (labels < count)
        new = np.bincount(labels[of_candidates & is_new], minlength=count)
        old = np.bincount(labels[of_candidates & ~is_new], minlength=count)
        # Half a text more on either side: none of few proves little.
        lifts = (new + 0.5) / max(1, is_new.sum()) / ((old + 0.5) / max(1, (~is_new).sum()))
        taken = self._largest_shares_taken(model, np.where(of_candidates, labels, count), count)
        is_new_theme: NDArray[np.bool_] = (lifts >= _MIN_LIFT) & (new >= self._least_new) & (taken <= _MAX_TAKEN)
        return is_new_theme

    def _largest_shares_taken(self, model: ThemeModel, labels: Labels, count: int) -> NDArray[np.float64]:
        """Return the largest share of the old texts of a theme of `model` that each of the candidates takes."""
        is_old = ~self.sample.is_new
        own = _labels(model, self.sample.rows)
        moved = np.zeros((len(model.theme_ids) + 1, count + 1))
        np.add.at(moved, (own[is_old], labels[is_old]), 1)
        shares: NDArray[np.float64] = (moved / np.maximum(moved.sum(axis=1), 1)[:, None])[:-1, :-1].max(
            axis=0, initial=0.0
        )
        return shares

    @property
    def _least_new(self) -> int:
        """The least number of new texts of a new theme."""
        new = int(self.sample.is_new.sum())
        return max(_MIN_NEW_TEXTS, round(_MIN_NEW_SHARE * new), min_size(len(self.rows)) // 2)

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
            part = _part(parts, np.arange(1, len(parts.theme_ids)))
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


def _part(model: ThemeModel, rows: NDArray[np.int64]) -> ThemeModel:
    """Return a model of these themes of another."""
    return replace(
        model,
        theme_ids=[model.theme_ids[row] for row in rows.tolist()],
        centers=model.centers[rows],
        thresholds=model.thresholds[rows],
    )


def _labels(model: ThemeModel, rows: NDArray[np.float32]) -> Labels:
    """Return the row of each theme, and of those without one the number of themes."""
    return labels_and_scores(model, rows)[0]


def _means(labels: Labels, scores: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    means: NDArray[np.float64] = np.bincount(labels, weights=scores, minlength=count) / np.maximum(
        np.bincount(labels, minlength=count), 1
    )
    return means
