"""
The quality and the stability of themes on labelled tasks: the figures of `phospho themes evaluate`.

The themes are found without the labels. Stability is measured on windows that slide over the tasks in their order,
each model made from the one before; a new theme by leaving a label out of the first half of the tasks, and adding it
as 2 % of the second.
"""

from __future__ import annotations

import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from threadpoolctl import threadpool_limits

from phospho_workers.detection.evaluation.labelled import BadLabels, read_lines
from phospho_workers.detection.learning.student_fitting import worthwhile_student
from phospho_workers.detection.semantic.student import Student
from phospho_workers.detection.themes.agreement import adjusted_mutual_information
from phospho_workers.detection.themes.discovery import Discovery, Previous, discover
from phospho_workers.detection.themes.model import Assignment, ThemeModel

# Texts that a model is made from; of more, as many by chance.
SAMPLED_TEXTS = 12_000
# The same of each of the many models that stability and new themes are measured by.
_FEWER_TEXTS = 6_000
# Those that came since a model, of a sample that the next one is made from.
_LATER_TEXTS = 4_000
WINDOWS = 10
_WINDOW_SHARE = 0.5
_INJECTED_SHARE = 0.02
_MAX_INJECTIONS = 24
_MIN_INJECTED = 80
_FOUND_SHARE = 0.5
_PROJECT = "evaluation"

_Item = TypeVar("_Item")


class LabelledText(NamedTuple):
    """The input of a task and the topic that it has in truth, empty where nobody said."""

    text: str
    topic: str


def read_topics(logs: Path, topics: Path) -> list[LabelledText]:
    """
    Return the tasks of `logs`, each with its topic where `topics` has one. Both are JSON lines, plain or gzip.

    Raises BadLabels.
    """
    by_task = {str(line["task_id"]): str(line["topic"] or "") for line, _ in read_lines(topics, ("task_id", "topic"))}
    lines = {str(line["task_id"]): line for line, _ in read_lines(logs, ("task_id", "input"))}
    tasks = [LabelledText(str(line["input"] or ""), by_task.get(name, "")) for name, line in lines.items()]
    if not any(task.topic for task in tasks):
        raise BadLabels(f"{topics} labels no task of {logs}: their task_id must be equal")
    return tasks


def evaluate(tasks: Sequence[LabelledText], seed: int = 0) -> dict[str, Any] | None:
    """
    Return the figures of tasks in the order of their times; None where they are too few for themes.

    `seconds` are those of one core.
    """
    with threadpool_limits(1, "blas"):
        return _evaluated(tasks, seed)


def _evaluated(tasks: Sequence[LabelledText], seed: int) -> dict[str, Any] | None:
    texts = [task.text for task in tasks]
    started_s = time.process_time()
    sample = _sampled(texts, seed)
    student = worthwhile_student(sample)
    student_s = time.process_time() - started_s
    discovery = discover(sample, _PROJECT, 1, student=student)
    if discovery is None:
        return None
    discovered_s = time.process_time() - started_s
    assignments = discovery.model.assign(texts)
    ended_s = time.process_time() - started_s
    return {
        "tasks": len(tasks),
        "labelled": sum(bool(task.topic) for task in tasks),
        "topics": len({task.topic for task in tasks} - {""}),
        "themes": len(discovery.themes),
        **_agreement(tasks, assignments),
        "share_assigned": _share([bool(assignment.theme) for assignment in assignments]),
        "stability": stability(texts, student, seed),
        "injection": injections(tasks, student, seed),
        "seconds": {
            "encoder": round(student_s, 2),
            "discovery": round(discovered_s - student_s, 2),
            "assignment": round(ended_s - discovered_s, 2),
        },
        "assigned_per_second": round(len(tasks) / max(ended_s - discovered_s, 1e-9)),
        "peak_memory_mb": round(_peak_memory_mb()),
        "titles": [theme.name.title for theme in sorted(discovery.themes, key=lambda theme: -theme.texts)],
    }


def stability(texts: Sequence[str], student: Student | None, seed: int = 0) -> dict[str, Any]:
    """
    Return over ten windows the share of tasks that keep their theme id (or keep having none) from model to model.

    `mean` and `least` are over the windows, of the tasks that both models' windows have.
    """
    width = max(1, round(len(texts) * _WINDOW_SHARE))
    step = max(1, (len(texts) - width) // WINDOWS)
    shares: list[float] = []
    births = deaths = 0
    model: ThemeModel | None = None
    for number in range(WINDOWS + 1):
        window = texts[number * step : number * step + width]
        previous = None
        sample = _sampled(list(enumerate(window)), seed + number, _FEWER_TEXTS)
        if model is not None:
            previous = Previous(model, is_new=[index >= width - step for index, _ in sample])
        discovery = discover([text for _, text in sample], _PROJECT, number + 1, previous=previous, student=student)
        if discovery is None:
            break
        if model is not None:
            shared = window[: width - step]
            pairs = zip(model.assign(shared), discovery.model.assign(shared), strict=True)
            shares.append(_share([old.theme == new.theme for old, new in pairs]))
            births += sum(fact.kind == "birth" for fact in discovery.facts)
            deaths += sum(fact.kind == "death" for fact in discovery.facts)
        model = discovery.model
    mean = round(sum(shares) / len(shares), 4) if shares else None
    return {
        "windows": len(shares),
        "mean": mean,
        "least": min(shares, default=None),
        "births": births,
        "deaths": deaths,
    }


def injections(tasks: Sequence[LabelledText], student: Student | None, seed: int = 0) -> dict[str, Any]:
    """Return for the most frequent topics whether each is found when it joins the traffic of all others."""
    counts = Counter(task.topic for task in tasks if task.topic)
    topics = [topic for topic, count in counts.most_common(_MAX_INJECTIONS) if count >= _MIN_INJECTED]
    injected = [_injected(tasks, topic, student, seed) for topic in topics]
    is_kept = all(item["kept_ids"] for item in injected)
    return {
        "share": _INJECTED_SHARE,
        "found": sum(item["found"] for item in injected),
        "of": len(injected),
        "kept_ids": is_kept,
        "topics": injected,
    }


def _injected(tasks: Sequence[LabelledText], topic: str, student: Student | None, seed: int) -> dict[str, Any]:
    """Return whether a topic that is not in the first half of the others is found in the second half, where it is."""
    rng = random.Random(seed)
    others = [task.text for task in tasks if task.topic != topic]
    earlier = _sampled(others[: len(others) // 2], seed, _FEWER_TEXTS)
    later = _sampled(others[len(others) // 2 :], seed, _LATER_TEXTS)
    new = [task.text for task in tasks if task.topic == topic]
    new = rng.sample(new, min(len(new), max(1, round(len(later) * _INJECTED_SHARE / (1 - _INJECTED_SHARE)))))
    before = discover(earlier, _PROJECT, 1, student=student)
    texts = [*earlier, *later, *new]
    is_new = [False] * len(earlier) + [True] * (len(later) + len(new))
    after = None if before is None else discover(texts, _PROJECT, 2, previous=Previous(before.model, is_new))
    if before is None or after is None:
        return {"topic": topic, "found": False, "kept_ids": True}
    theme, count = Counter(assignment.theme for assignment in after.model.assign(new)).most_common(1)[0]
    born = set(after.model.theme_ids) - set(before.model.theme_ids)
    return {
        "topic": topic,
        "found": theme in born and count >= _FOUND_SHARE * len(new),
        "recall": round(count / len(new), 3),
        "title": _title(after, theme),
        "other_births": len(born - {theme}),
        "kept_ids": set(before.model.theme_ids) <= set(after.model.theme_ids),
    }


def _agreement(tasks: Sequence[LabelledText], assignments: Sequence[Assignment]) -> dict[str, float]:
    """Return the agreement with the topics: of all labelled tasks (those without a theme are one), and of assigned."""
    pairs = [(task.topic, given.theme) for task, given in zip(tasks, assignments, strict=True) if task.topic]
    assigned = [pair for pair in pairs if pair[1]]
    return {
        "ami": _rounded_agreement(pairs),
        "ami_of_assigned": _rounded_agreement(assigned),
    }


def _rounded_agreement(pairs: Sequence[tuple[str, str]]) -> float:
    if not pairs:
        return 0.0
    return round(adjusted_mutual_information([pair[0] for pair in pairs], [pair[1] for pair in pairs]), 4)


def _title(discovery: Discovery, theme_id: str) -> str:
    return next((theme.name.title for theme in discovery.themes if theme.theme_id == theme_id), "")


def _sampled(texts: Sequence[_Item], seed: int, most: int = SAMPLED_TEXTS) -> list[_Item]:
    """Return at most so many of the texts, in their order."""
    if len(texts) <= most:
        return list(texts)
    kept = sorted(random.Random(seed).sample(range(len(texts)), most))
    return [texts[index] for index in kept]


def _share(values: Sequence[bool]) -> float:
    return round(sum(values) / max(1, len(values)), 4)


def _peak_memory_mb() -> float:
    # Kilobytes on Linux, bytes on macOS.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024.0 * 1024.0) if sys.platform == "darwin" else peak / 1024.0
