"""
Themes over time: whether tasks keep their themes, and whether a new topic becomes a new theme.

Stability is measured on windows that slide over the tasks in their order, each model made from the one before. For a
new theme, a topic is left out of the first half of the tasks, and is 2 % of the second.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any, NamedTuple, TypeVar

from phospho_workers.detection.semantic.student import Student
from phospho_workers.detection.themes.described import describe_themes
from phospho_workers.detection.themes.discovery import FoundModel, Previous, find_model
from phospho_workers.detection.themes.model import ThemeModel

WINDOWS = 10
# Texts that a model is made from; of more, as many by chance.
SAMPLED_TEXTS = 12_000
# The same of each of the many models that stability and new themes are measured by.
_FEWER_TEXTS = 6_000
# Those that came since a model, of a sample that the next one is made from.
_LATER_TEXTS = 4_000
_WINDOW_SHARE = 0.5
_INJECTED_SHARE = 0.02
_MAX_INJECTIONS = 24
_MAX_INJECTIONS_CPU_S = 120.0
# Fewer new texts prove nothing.
_MIN_INJECTED = 16
_FOUND_SHARE = 0.5
# A title is recognised if one of its words is in so many of the topic's tasks, and so many times as often as elsewhere.
_NAMED_SHARE = 0.15
_NAMED_LIFT = 3.0
_MIN_WORD_CHARACTERS = 3
_PROJECT = "evaluation"

_Item = TypeVar("_Item")
_Learn = Callable[[Sequence[str]], Student | None]


class LabelledText(NamedTuple):
    """The input of a task and the topic that it has in truth, empty where nobody said."""

    text: str
    topic: str


def sampled(items: Sequence[_Item], seed: int, most: int = SAMPLED_TEXTS) -> list[_Item]:
    """Return at most so many of the items, in their order."""
    if len(items) <= most:
        return list(items)
    kept = sorted(random.Random(seed).sample(range(len(items)), most))
    return [items[index] for index in kept]


def stability(texts: Sequence[str], student: Student | None, seed: int = 0) -> dict[str, Any]:
    """
    Return over ten windows the share of tasks that keep their theme id (or keep having none) from model to model.

    `mean` and `least` are over the windows, of the tasks that both models' windows have.
    """
    width = max(1, round(len(texts) * _WINDOW_SHARE))
    step = max(1, (len(texts) - width) // WINDOWS)
    shares: list[float] = []
    facts = Counter[str]()
    model: ThemeModel | None = None
    for number in range(WINDOWS + 1):
        window = texts[number * step : number * step + width]
        sample = sampled(list(enumerate(window)), seed + number, _FEWER_TEXTS)
        previous = None if model is None else Previous(model, is_new=[index >= width - step for index, _ in sample])
        later = find_model([text for _, text in sample], _PROJECT, number + 1, previous=previous, student=student)
        if later is None:
            break
        if model is not None:
            shared = [text for index, text in sample if index < width - step]
            shares.append(_kept_share(model, later.model, shared))
            facts.update(fact.kind for fact in later.facts)
        model = later.model
    return {
        "windows": len(shares),
        "mean": round(fmean(shares), 4) if shares else None,
        "least": round(min(shares), 4) if shares else None,
        "births": facts["birth"],
        "deaths": facts["death"],
    }


def _kept_share(old: ThemeModel, new: ThemeModel, texts: Sequence[str]) -> float:
    pairs = zip(old.assign(texts), new.assign(texts), strict=True)
    return sum(before.theme == after.theme for before, after in pairs) / max(1, len(texts))


def injections(
    tasks: Sequence[LabelledText], learn: _Learn, seed: int, progress: Callable[[str], None]
) -> dict[str, Any]:
    """
    Return for topics whether each is found when it joins the traffic of all others, of which `learn` knows the space.

    They are drawn by chance of those with tasks enough, as many as 120 s of CPU time allow, 24 at most.
    """
    counts = Counter(task.topic for task in tasks if task.topic)
    topics = sorted(topic for topic, count in counts.items() if count >= _least(len(tasks) - count))
    drawn = random.Random(seed).sample(topics, min(len(topics), _MAX_INJECTIONS))
    results: list[dict[str, Any]] = []
    began_s = time.process_time()
    for number, topic in enumerate(drawn, 1):
        if time.process_time() - began_s > _MAX_INJECTIONS_CPU_S:
            break
        progress(f"Add a new topic, {number} of {len(drawn)}")
        result = _Injection(tasks, topic, seed).result(learn)
        results += [] if result is None else [result]
    return {
        "share": _INJECTED_SHARE,
        "eligible": len(topics),
        "of": len(results),
        **{name: sum(result[name] for result in results) for name in ("found", "named", "reported", "kept_ids")},
        "kept_tasks": round(fmean(result["kept_tasks"] for result in results), 4) if results else None,
        "other_births": sum(result["other_births"] for result in results),
        "topics": results,
    }


def _least(others: int) -> int:
    """Return how many tasks of a topic are 2 % of the later ones, when there are so many others."""
    later = min(_LATER_TEXTS, others - others // 2)
    return max(_MIN_INJECTED, round(later * _INJECTED_SHARE / (1 - _INJECTED_SHARE)))


class _Injection:
    """A topic that is in none of the earlier tasks, and 2 % of the later ones."""

    def __init__(self, tasks: Sequence[LabelledText], topic: str, seed: int) -> None:
        self._topic = topic
        others = [task.text for task in tasks if task.topic != topic]
        middle = len(others) // 2
        self._earlier = sampled(others[:middle], seed, _FEWER_TEXTS)
        self._later = sampled(others[middle:], seed, _LATER_TEXTS)
        members = [task.text for task in tasks if task.topic == topic]
        self._new = random.Random(seed).sample(members, min(len(members), _least(len(others))))

    def result(self, learn: _Learn) -> dict[str, Any] | None:
        """Return what became of the topic; None where the earlier tasks are too few for themes."""
        before = find_model(self._earlier, _PROJECT, 1, student=learn(self._earlier))
        if before is None:
            return None
        texts = [*self._earlier, *self._later, *self._new]
        is_new = [False] * len(self._earlier) + [True] * (len(texts) - len(self._earlier))
        after = find_model(texts, _PROJECT, 2, previous=Previous(before.model, is_new))
        return None if after is None else self._compared(before.model, after)

    def _compared(self, old: ThemeModel, after: FoundModel) -> dict[str, Any]:
        themes = Counter(given.theme for given in after.model.assign(self._new) if given.theme)
        theme, count = themes.most_common(1)[0] if themes else ("", 0)
        reported = {fact.theme_id for fact in after.facts if fact.kind == "birth"}
        title = _title(after, theme)
        is_found = theme not in old.theme_ids and count >= _FOUND_SHARE * len(self._new)
        return {
            "topic": self._topic,
            "found": is_found,
            "named": is_found and self._is_recognised(title),
            "reported": is_found and theme in reported,
            "recall": round(count / len(self._new), 3),
            "title": title,
            "other_births": len(reported - {theme}),
            "kept_ids": set(old.theme_ids) <= set(after.model.theme_ids),
            "kept_tasks": round(_kept_share(old, after.model, self._earlier), 4),
        }

    def _is_recognised(self, title: str) -> bool:
        """Tell whether a word of a title is much more frequent in the topic's tasks than in others."""
        words = {word.strip(",….").lower() for word in title.split()}
        others = [*self._earlier, *self._later]
        return any(
            _share_with(word, self._new) >= max(_NAMED_SHARE, _NAMED_LIFT * _share_with(word, others))
            for word in words
            if len(word) >= _MIN_WORD_CHARACTERS or not word.isascii()
        )


def _share_with(word: str, texts: Sequence[str]) -> float:
    return sum(word in text.lower() for text in texts) / max(1, len(texts))


def _title(after: FoundModel, theme_id: str) -> str:
    themes, _ = describe_themes(after.model, after.sample)
    return next((theme.name.title for theme in themes if theme.theme_id == theme_id), "")
