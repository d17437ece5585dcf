"""
The quality of themes on labelled tasks: the figures of `phospho themes evaluate`.

The themes are found without the labels. `theme_changes.py` beside it measures stability and new themes,
`theme_baselines.py` has what they are compared with.
"""

from __future__ import annotations

import random
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from phospho_workers.detection.evaluation.labelled import BadLabels, read_lines
from phospho_workers.detection.evaluation.theme_baselines import baselines
from phospho_workers.detection.evaluation.theme_changes import LabelledText, injections, sampled, stability
from phospho_workers.detection.learning.student_fitting import worthwhile_student
from phospho_workers.detection.semantic.encoder import SentenceEncoder, encoder_of_languages
from phospho_workers.detection.semantic.student import Student
from phospho_workers.detection.text.embedding import Vectors
from phospho_workers.detection.text.reading import clauses_of
from phospho_workers.detection.themes.agreement import adjusted_mutual_information
from phospho_workers.detection.themes.discovery import discover
from phospho_workers.detection.themes.model import ThemeModel

SEEDS = 3
# Discovery reads the beginning and the end of longer texts, half of this each.
_SAMPLED_CHARACTERS = 2_000
_TEXTS_AT_ONCE = 250
_PROJECT = "evaluation"

Progress = Callable[[str], None]


class LabelledTasks(NamedTuple):
    """
    The tasks of a file in its order.

    `without_task` counts the labels that are of no task, `without_text` the tasks whose input is empty.
    """

    tasks: Sequence[LabelledText]
    without_task: int
    without_text: int


def read_topics(logs: Path, topics: Path) -> LabelledTasks:
    """
    Return the tasks of `logs`, each with its topic where `topics` has one. Both are JSON lines, plain or gzip.

    Of several lines with one task_id the last counts. Raises BadLabels.
    """
    by_task = {_text(line["task_id"]): _text(line["topic"]) for line, _ in read_lines(topics, ("task_id", "topic"))}
    lines = {_text(line["task_id"]): _text(line["input"]) for line, _ in read_lines(logs, ("task_id", "input"))}
    tasks = [LabelledText(text, by_task.get(task_id, "")) for task_id, text in lines.items()]
    if not any(task.topic for task in tasks):
        raise BadLabels(f"{topics} labels no task of {logs}: their task_id must be equal")
    return LabelledTasks(tasks, len(by_task.keys() - lines.keys()), sum(not task.text.strip() for task in tasks))


def _text(value: object) -> str:
    return "" if value is None else str(value)


def evaluate(
    labelled: LabelledTasks, seed: int = 0, seeds: int = SEEDS, progress: Progress = lambda message: None
) -> dict[str, Any] | None:
    """
    Return the figures of tasks in the order of their times; None where they are too few for themes.

    Agreement is the mean over `seeds` samples, each in another order. `progress` is told what is measured next.
    Seconds are of CPU time on one core.
    """
    with threadpool_limits(1, "blas"):
        return _evaluated(labelled, range(seed, seed + seeds), progress)


def _evaluated(labelled: LabelledTasks, seeds: Sequence[int], progress: Progress) -> dict[str, Any] | None:
    tasks = [task._replace(text=_cut(task.text)) for task in labelled.tasks]
    encoders = _RememberedEncoders()
    progress(f"Learn the space of {len(tasks):,} tasks")
    started_s = time.process_time()
    student = worthwhile_student([task.text for task in sampled(tasks, seeds[0])], encoders)
    student_s = time.process_time() - started_s
    runs = []
    for number, seed in enumerate(seeds, 1):
        progress(f"Find themes, seed {number} of {len(seeds)}")
        run = _run(labelled.tasks, sampled(tasks, seed), student, seed)
        if run is None:
            return None
        runs.append(run)
    progress("Compare with other methods")
    compared = baselines(sampled(tasks, seeds[0]), seeds)
    progress("Find themes again in ten sliding windows")
    stable = stability([task.text for task in tasks], student, seeds[0])
    injected = injections(tasks, lambda texts: worthwhile_student(texts, encoders), seeds[0], progress)
    agreements = ("ami", "ami_of_assigned", "share_assigned")
    return {
        "tasks": len(tasks),
        "labelled": sum(bool(task.topic) for task in tasks),
        "labels_without_task": labelled.without_task,
        "tasks_without_text": labelled.without_text,
        "topics": len({task.topic for task in tasks} - {""}),
        "themes": runs[0]["themes"],
        **{name: round(fmean(run[name] for run in runs), 4) for name in agreements},
        "seeds": [{name: run[name] for name in ("themes", *agreements)} for run in runs],
        "baselines": compared,
        "stability": stable,
        "injection": injected,
        "seconds": {"encoder": round(student_s, 2), **{name: runs[0][name] for name in ("discovery", "assignment")}},
        "stream_microseconds_per_task": runs[0]["stream_microseconds_per_task"],
        "peak_memory_mb": round(_peak_memory_mb()),
        "titles": runs[0]["titles"],
    }


def _run(
    tasks: Sequence[LabelledText], sample: Sequence[LabelledText], student: Student | None, seed: int
) -> dict[str, Any] | None:
    """Return the figures of one discovery in a sample, of which all tasks get their themes; None of too few."""
    texts = [task.text for task in random.Random(seed).sample(sample, len(sample))]
    started_s = time.process_time()
    discovery = discover(texts, _PROJECT, 1, student=student)
    if discovery is None:
        return None
    discovered_s = time.process_time() - started_s
    themes, stream_s, all_s = _assigned(discovery.model, tasks)
    pairs = [(task.topic, theme) for task, theme in zip(tasks, themes, strict=True) if task.topic]
    return {
        "themes": len(discovery.themes),
        "ami": _agreement(pairs),
        "ami_of_assigned": _agreement([pair for pair in pairs if pair[1]]),
        "share_assigned": round(sum(map(bool, themes)) / len(themes), 4),
        "discovery": round(discovered_s, 2),
        "assignment": round(all_s, 2),
        "stream_microseconds_per_task": round(stream_s / len(tasks) * 1e6, 1),
        "titles": [theme.name.title for theme in sorted(discovery.themes, key=lambda theme: -theme.texts)],
    }


def _assigned(model: ThemeModel, tasks: Sequence[LabelledText]) -> tuple[list[str], float, float]:
    """
    Return the theme of each task, the seconds that detection spends on them, and those with the reading of the texts.

    Detection has cut texts into clauses before it assigns themes.
    """
    themes: list[str] = []
    stream_s, began_s = 0.0, time.process_time()
    for begin in range(0, len(tasks), _TEXTS_AT_ONCE):
        texts = [task.text for task in tasks[begin : begin + _TEXTS_AT_ONCE]]
        for text in texts:
            clauses_of(text)
        started_s = time.process_time()
        themes += [assignment.theme for assignment in model.assign(texts)]
        stream_s += time.process_time() - started_s
    return themes, stream_s, time.process_time() - began_s


def _cut(text: str) -> str:
    """Return a text as the job of discovery reads it."""
    half = _SAMPLED_CHARACTERS // 2
    return text if len(text) <= _SAMPLED_CHARACTERS else f"{text[:half]}\n{text[-half:]}"


def _agreement(pairs: Sequence[tuple[str, str]]) -> float:
    if not pairs:
        return 0.0
    return round(adjusted_mutual_information([pair[0] for pair in pairs], [pair[1] for pair in pairs]), 4)


class _RememberedEncoders:
    """The encoders of detection, which encode each text once: the models of an evaluation share most of theirs."""

    def __init__(self) -> None:
        self._remembered: dict[str, _RememberedEncoder] = {}

    def __call__(self, languages: Sequence[str]) -> SentenceEncoder | None:
        model = encoder_of_languages(languages)
        return None if model is None else self._remembered.setdefault(model.name, _RememberedEncoder(model))


class _RememberedEncoder:
    def __init__(self, model: SentenceEncoder) -> None:
        self.name, self.languages = model.name, model.languages
        self.texts_per_cpu_second = model.texts_per_cpu_second
        self._model = model
        self._rows: dict[str, Vectors] = {}

    def vectors(self, texts: Sequence[str]) -> Vectors:
        missing = [text for text in dict.fromkeys(texts) if text not in self._rows]
        self._rows.update(zip(missing, self._model.vectors(missing), strict=True))
        rows: Vectors = np.array([self._rows[text] for text in texts])
        return rows


def _peak_memory_mb() -> float:
    # Kilobytes on Linux, bytes on macOS.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024.0 * 1024.0) if sys.platform == "darwin" else peak / 1024.0
