"""The quality of a definition by its labels, and the tasks whose labels would improve it most."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.semantic.confidence import DEFAULT_THRESHOLD
from phospho_workers.detection.text.embedding import cosines
from phospho_workers.detection.text.reading import whole

# The 97.5th percentile of the normal distribution: intervals of 95 %.
_Z = 1.959964
# With fewer labels of either kind the best threshold says more about chance than about the event.
_MIN_LABELS_FOR_THRESHOLD = 10
_ALIKE_COSINE = 0.9
# The tasks nearest to the threshold, among which different ones are picked.
_MAX_CONSIDERED = 2_000


class Interval(NamedTuple):
    """A share, with the bounds of its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Quality:
    """
    The quality of a definition at `threshold`, by its labels; None where there are none to tell.

    Tasks without a label count neither for precision nor for recall, so recall is too high where people only label
    what was found.
    """

    confirmed: int
    rejected: int
    threshold: float
    suggested_threshold: float
    precision: Interval | None
    recall: Interval | None

    def to_json(self) -> str:
        """Return a JSON object with these names; an interval is an object of value, low and high."""
        intervals = {"precision": self.precision, "recall": self.recall}
        shares = {name: None if interval is None else interval._asdict() for name, interval in intervals.items()}
        return json.dumps(asdict(self) | shares)


class UnlabelledTask(NamedTuple):
    """A task without a label, and the confidence that it shows the event."""

    task_id: str
    text: str
    confidence: float


def wilson(successes: int, trials: int) -> Interval | None:
    """Return a share with its interval by Wilson (1927), which holds for few trials too; None without any."""
    if not trials:
        return None
    share = successes / trials
    middle = (share + _Z**2 / (2 * trials)) / (1 + _Z**2 / trials)
    width = _Z / (1 + _Z**2 / trials) * math.sqrt(share * (1 - share) / trials + _Z**2 / (4 * trials**2))
    return Interval(share, max(0.0, middle - width), min(1.0, middle + width))


def quality(confidences: Sequence[float], labels: Sequence[bool], threshold: float | None = None) -> Quality:
    """
    Return the quality at a threshold (the default where None) of the confidences in labelled tasks.

    Give confidences that do not know the label of their own task: `TrainingSet.cross_validated` returns such.
    """
    at = DEFAULT_THRESHOLD if threshold is None else threshold
    scores = np.asarray(confidences, dtype=np.float64)
    is_event = np.asarray(labels, dtype=bool)
    confirmed = int(is_event.sum())
    is_found = scores >= at
    true_positives = int((is_found & is_event).sum())
    return Quality(
        confirmed=confirmed,
        rejected=len(is_event) - confirmed,
        threshold=at,
        suggested_threshold=_suggested(scores, is_event),
        precision=wilson(true_positives, int(is_found.sum())),
        recall=wilson(true_positives, confirmed),
    )


def _suggested(scores: NDArray[np.float64], is_event: NDArray[np.bool_]) -> float:
    """
    Return the threshold with the best F1: half-way between the scores around it, the nearest to the default of equals.
    """
    confirmed = int(is_event.sum())
    if min(confirmed, len(is_event) - confirmed) < _MIN_LABELS_FOR_THRESHOLD:
        return DEFAULT_THRESHOLD
    levels = np.unique(np.r_[0.0, scores, 1.0])
    middles = (levels[1:] + levels[:-1]) / 2
    is_found = scores[None, :] >= middles[:, None]
    f1 = 2 * (is_found & is_event).sum(axis=1) / (is_found.sum(axis=1) + confirmed)
    best = middles[f1 >= f1.max() - 1e-12]
    return round(float(best[np.argmin(np.abs(best - DEFAULT_THRESHOLD))]), 4)


def most_informative(tasks: Sequence[UnlabelledTask], threshold: float | None = None, count: int = 20) -> list[str]:
    """
    Return the ids of the tasks whose label would improve the classifier most: those nearest to the threshold, no two
    alike.

    Where too few differ, similar ones fill the rest. The order of the tasks does not matter.
    """
    at = DEFAULT_THRESHOLD if threshold is None else threshold
    nearest = sorted(tasks, key=lambda task: (abs(_logit(task.confidence) - _logit(at)), task.task_id))
    considered = nearest[:_MAX_CONSIDERED]
    different = _different([task.text for task in considered], count)
    rest = (task.task_id for index, task in enumerate(considered) if index not in set(different))
    return [*(considered[index].task_id for index in different), *rest][:count]


def _logit(confidence: float) -> float:
    inside = min(max(confidence, 1e-9), 1 - 1e-9)
    return math.log(inside / (1 - inside))


def _different(texts: Sequence[str], count: int) -> list[int]:
    """Return the indexes of the first `count` texts that are not like one before them."""
    vectors = whole(texts)
    indexes: list[int] = []
    for index in range(len(texts)):
        if len(indexes) == count:
            break
        if not indexes or cosines(vectors[index : index + 1], vectors[indexes]).max() < _ALIKE_COSINE:
            indexes.append(index)
    return indexes
