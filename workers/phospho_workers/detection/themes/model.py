"""A project's theme model: the space of its texts and the center of each theme. It says which theme a text has."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.text.embedding import Vectors, cosines
from phospho_workers.detection.themes.theme_space import ThemeSpace

FORMAT = 1
_SCORE_DIGITS = 3


class BadThemeModel(ValueError):
    """A serialised theme model can't be read; the message says why."""


class Assignment(NamedTuple):
    """The theme of a text, empty where it is near none, and its cosine with the center of the nearest theme."""

    theme: str
    score: float


UNASSIGNED = Assignment("", 0.0)


@dataclass(frozen=True)
class ThemeModel:
    """
    The themes of a project in one version. Immutable and safe to share between threads.

    theme_ids: of each theme, in the order of the rows of `centers`, shape (themes, dimensions), directions.
    thresholds: the least cosine with its center from which a text has a theme, shape (themes).
    version: that of the stored row; the JSON does not repeat it.
    """

    space: ThemeSpace
    theme_ids: Sequence[str]
    centers: Vectors
    thresholds: NDArray[np.float64]
    version: int = 0

    def assign(self, texts: Sequence[str]) -> list[Assignment]:
        """Return the assignment of each text: a function of it and the model, whatever texts are beside it."""
        assignments = [UNASSIGNED] * len(texts)
        read = self.space.read(texts)
        if not read.indexes or not self.theme_ids:
            return assignments
        nearest, scores = self.nearest(read.directions)
        is_near = scores >= self.thresholds[nearest]
        for index, theme, score, near in zip(
            read.indexes, nearest.tolist(), scores.tolist(), is_near.tolist(), strict=True
        ):
            assignments[index] = Assignment(self.theme_ids[theme] if near else "", round(score, _SCORE_DIGITS))
        return assignments

    def nearest(self, rows: Vectors) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the row of the nearest theme of each direction, and its cosine; of equal ones the first."""
        similarities = cosines(rows, self.centers)
        nearest: NDArray[np.int64] = similarities.argmax(axis=1)
        return nearest, similarities[np.arange(len(rows)), nearest].astype(np.float64)

    def to_json(self) -> str:
        """Return the model as text, some 300 kB; `from_json` gives an equal one."""
        return json.dumps(
            {
                "format": FORMAT,
                "space": self.space.to_value(),
                "theme_ids": list(self.theme_ids),
                "centers": self.centers.astype(int).tolist(),
                "thresholds": self.thresholds.tolist(),
            }
        )

    @classmethod
    def from_json(cls, text: str, version: int = 0) -> ThemeModel:
        """Return the model that `to_json` wrote. Raises BadThemeModel; an unknown format is one."""
        try:
            return cls._from(json.loads(text), version)
        except (ValueError, TypeError, KeyError) as error:
            raise BadThemeModel(f"a theme model can't be read: {type(error).__name__}: {error}") from None

    @classmethod
    def _from(cls, value: Mapping[str, Any], version: int) -> ThemeModel:
        if value["format"] != FORMAT:
            raise BadThemeModel(f"format is {value['format']!r}; this reads {FORMAT}")
        space = ThemeSpace.from_value(value["space"])
        return cls(
            space=space,
            theme_ids=[str(theme_id) for theme_id in value["theme_ids"]],
            centers=np.array(value["centers"], dtype=np.float32).reshape(-1, space.dimensions),
            thresholds=np.array(value["thresholds"], dtype=np.float64),
            version=version,
        )
