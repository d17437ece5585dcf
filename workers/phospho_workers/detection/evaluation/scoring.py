"""Scores of definitions on labelled logs, which are analysed as a worker does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from phospho_schemas.definitions.engines import engine_spec
from phospho_schemas.definitions.validation import needs_session
from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.definitions import compile_definitions
from phospho_workers.detection.detect import analyse
from phospho_workers.detection.evaluation.labelled import PROJECT, LabelledLogs
from phospho_workers.detection.evaluation.students import Part
from phospho_workers.detection.learning.classifiers import Classifier
from phospho_workers.detection.learning.metrics import average_precision, f1_score
from phospho_workers.detection.semantic.student import Student

_BATCH = 1000
# Called with the number of tasks analysed since the last call.
Progress = Callable[[int], None]
# The times that `run` analyses each task.
PASSES = 2


class LearntPart(NamedTuple):
    """The indexes of some tasks, with the student and the classifiers that score them."""

    indexes: Sequence[int]
    student: Student | None
    classifiers: Mapping[str, Classifier]


@dataclass(frozen=True)
class EventScore:
    """The scores of one event, `f1` at its threshold; both None where no task shows it."""

    average_precision: float | None
    f1: float | None
    positives: int


@dataclass(frozen=True)
class Report:
    """The scores of all events. The means are over those that some task shows."""

    events: Mapping[str, EventScore]
    tasks_per_s: float

    @property
    def mean_average_precision(self) -> float:
        return _mean([score.average_precision for score in self.events.values()])

    @property
    def macro_f1(self) -> float:
        return _mean([score.f1 for score in self.events.values()])


def _mean(values: Sequence[float | None]) -> float:
    present = [value for value in values if value is not None]
    return fmean(present) if present else 0.0


@dataclass(frozen=True)
class Run:
    """
    The result of definitions on tasks: by name, the score in each task (0 where there is none) and whether it is found.
    """

    scores: Mapping[str, NDArray[np.float64]]
    is_found: Mapping[str, NDArray[np.bool_]]
    tasks_per_s: float


def run(
    definitions: Sequence[EventDefinition],
    tasks: Sequence[Mapping[str, Any]],
    parts: Sequence[LearntPart],
    progress: Progress,
) -> Run:
    """
    Analyse the tasks twice: with the definitions as they are, for the events and the speed of a worker, and with
    thresholds of 0, for the scores below them.
    """
    found_events, tasks_per_s = _events(definitions, tasks, parts, progress)
    without_threshold = [definition.model_copy(update={"threshold": 0.0}) for definition in definitions]
    scored_events, _ = _events(without_threshold, tasks, parts, progress)
    names = [definition.name for definition in definitions]
    return Run(
        scores={name: np.array([events.get(name, 0.0) for events in scored_events]) for name in names},
        is_found={name: np.array([name in events for events in found_events]) for name in names},
        tasks_per_s=tasks_per_s,
    )


def _events(
    definitions: Sequence[EventDefinition],
    tasks: Sequence[Mapping[str, Any]],
    parts: Sequence[LearntPart],
    progress: Progress,
) -> tuple[list[dict[str, float]], float]:
    """Return the score of each event of each task, by name, and the tasks a second."""
    events: list[dict[str, float]] = [{} for _ in tasks]
    seconds = 0.0
    for indexes, student, classifiers in parts:
        compiled = {PROJECT: compile_definitions(definitions, classifiers, student=student)}
        analyse(tasks[:1], compiled)  # loads the models
        started = time.perf_counter()
        for begin in range(0, len(indexes), _BATCH):
            batch = indexes[begin : begin + _BATCH]
            for index, row in zip(batch, analyse([tasks[index] for index in batch], compiled), strict=True):
                events[index] = {event["name"]: event["score"] for event in row["events"]}
            progress(len(batch))
        seconds += time.perf_counter() - started
    return events, len(tasks) / seconds


def refusal(definition: EventDefinition) -> str | None:
    """Return why a definition can't be scored, or None. Each task is read by itself, and no LLM is asked."""
    if engine_spec(definition.engine).is_decided_by_llm:
        return "evaluate asks no language model, and nothing else can find it"
    if needs_session(definition):
        return "evaluate reads each task by itself, and it needs those around it"
    return None


def zero_shot(
    definitions: Sequence[EventDefinition], logs: LabelledLogs, progress: Progress, parts: Sequence[Part]
) -> Report:
    """Score definitions without labels to learn from."""
    result = run(definitions, logs.tasks, [LearntPart(*part, {}) for part in parts], progress)
    names = [definition.name for definition in definitions]
    return Report({name: event_score(name, result, logs, frozenset()) for name in names}, result.tasks_per_s)


def event_score(name: str, result: Run, logs: LabelledLogs, left_out: frozenset[int]) -> EventScore:
    """Score one event on the tasks that are not ambiguous and whose index is not in `left_out`."""
    labels = logs.labels(name)
    indexes = [index for index, label in enumerate(labels) if label is not None and index not in left_out]
    is_event = np.array([bool(labels[index]) for index in indexes], dtype=bool)
    positives = int(is_event.sum())
    if not positives:
        return EventScore(None, None, 0)
    return EventScore(
        average_precision(result.scores[name][indexes], is_event),
        f1_score(result.is_found[name][indexes], is_event),
        positives,
    )
