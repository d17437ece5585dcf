"""Scores with classifiers: some labels train, the other tasks are the test, several times over."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.evaluation.labelled import LabelledLogs
from phospho_workers.detection.evaluation.scoring import (
    EventScore,
    LearntPart,
    Progress,
    Report,
    event_score,
    run,
)
from phospho_workers.detection.evaluation.students import Part
from phospho_workers.detection.learning.classifiers import Classifier
from phospho_workers.detection.learning.training_set import TrainingSet, labelled_text
from phospho_workers.detection.semantic.student import Student


@dataclass(frozen=True)
class Spread:
    """The reports of several seeds, one each."""

    reports: Sequence[Report]

    @property
    def mean_average_precisions(self) -> list[float]:
        return [report.mean_average_precision for report in self.reports]

    @property
    def mean_average_precision_spread(self) -> float:
        """The standard deviation over the seeds."""
        return pstdev(self.mean_average_precisions)

    @property
    def mean(self) -> Report:
        """The mean of each figure over the seeds."""
        names = self.reports[0].events
        events = {name: _mean_score([report.events[name] for report in self.reports]) for name in names}
        return Report(events, fmean(report.tasks_per_s for report in self.reports))


def few_shot(
    definitions: Sequence[EventDefinition],
    logs: LabelledLogs,
    shots: int,
    seeds: int,
    progress: Progress,
    parts: Sequence[Part],
) -> Spread:
    """
    Train each definition with `shots` tasks that show its event and `shots` that do not, and test it on the others.

    The tasks are drawn at random for each of the seeds 0, 1, …. No task that trained any definition is in a test. An
    event with fewer tasks gives half of them.
    """
    return Spread(
        [
            _report(definitions=definitions, logs=logs, shots=shots, seed=seed, progress=progress, parts=parts)
            for seed in range(seeds)
        ]
    )


def fewer_shots(definitions: Sequence[EventDefinition], logs: LabelledLogs, shots: int) -> dict[str, int]:
    """Return the events with too few tasks to train on `shots` of them, with the number that they train on."""
    shown = {definition.name: logs.labels(definition.name).count(True) for definition in definitions}
    return {name: count // 2 for name, count in shown.items() if 0 < count < 2 * shots}


def _report(
    definitions: Sequence[EventDefinition],
    logs: LabelledLogs,
    shots: int,
    seed: int,
    progress: Progress,
    parts: Sequence[Part],
) -> Report:
    names = [definition.name for definition in definitions]
    drawn = {name: _drawn(logs.labels(name), shots, f"{seed} {name}") for name in names}
    learnt = [LearntPart(*part, _classifiers(definitions, logs, drawn, part.student)) for part in parts]
    result = run(definitions, logs.tasks, learnt, progress)
    trained_on = frozenset(index for of_event in drawn.values() for index in of_event)
    return Report({name: event_score(name, result, logs, trained_on) for name in names}, result.tasks_per_s)


def _drawn(labels: Sequence[bool | None], shots: int, seed: str) -> dict[int, bool]:
    """Return the labels of the tasks drawn, by their index."""
    chance = random.Random(seed)
    drawn: dict[int, bool] = {}
    for wanted in (True, False):
        indexes = [index for index, label in enumerate(labels) if label is wanted]
        drawn |= dict.fromkeys(chance.sample(indexes, min(shots, len(indexes) // 2)), wanted)
    return drawn


def _classifiers(
    definitions: Sequence[EventDefinition],
    logs: LabelledLogs,
    drawn: Mapping[str, Mapping[int, bool]],
    student: Student | None,
) -> dict[str, Classifier]:
    """Train classifiers as a worker does: each on its own labels, with the confirmed tasks of others."""
    labels = {
        definition.name: [
            labelled_text(definition, logs.tasks[index], is_shown) for index, is_shown in drawn[definition.name].items()
        ]
        for definition in definitions
    }
    return TrainingSet(definitions, labels, student).train()


def _mean_score(scores: Sequence[EventScore]) -> EventScore:
    precisions = [score.average_precision for score in scores if score.average_precision is not None]
    f1s = [score.f1 for score in scores if score.f1 is not None]
    if not precisions or not f1s:
        return EventScore(None, None, 0)
    return EventScore(fmean(precisions), fmean(f1s), round(fmean(score.positives for score in scores)))
