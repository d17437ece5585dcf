"""
The differences of two periods that hold, as sentences, the most important first.

All of them hold together with 95 %, at every look: the alpha of the confidence sequences is divided by the number of
measures that are compared. The importance of a change is the part of the sessions that it reaches at least; a success
rate counts threefold, and a latency or a cost by how much of itself it changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from phospho_dashboard.changes.figures import Figures, Mean
from phospho_dashboard.web.formats import format_number, money
from phospho_store.confidence import ALPHA, Interval, difference, mean_interval, rate_interval

_SUCCESS_WEIGHT, _RATIO_WEIGHT = 3.0, 0.3


@dataclass(frozen=True)
class Change:
    """
    A difference that holds.

    `query` is the address of the tasks that show it, beside the scope. `before` and `now` are of `cases_before` and
    `cases` sessions, or tasks with feedback; `at_least` is the bound of the difference that is nearer to 0. `is_good`
    is None where nobody can tell.
    """

    kind: str
    name: str
    sentence: str
    evidence: str
    query: Mapping[str, str]
    importance: float
    is_good: bool | None
    before: float
    now: float
    at_least: float
    cases_before: int
    cases: int


def changes(before: Figures, now: Figures, titles: Mapping[str, str], currency: str) -> list[Change]:
    """Return the changes, the most important first; `titles` are those of the themes that may be named, by id."""
    events = sorted(before.events.keys() | now.events.keys())
    themes = sorted((before.themes.keys() | now.themes.keys()) & titles.keys())
    # Success, sentiment, latency, cost and volume beside them.
    comparison = _Comparison(before, now, ALPHA / (len(events) + len(themes) + 5))
    found_changes = [
        *comparison.success(),
        *comparison.sentiment(),
        *comparison.latency(),
        *comparison.cost(currency),
        *comparison.volume(),
        *comparison.versions(),
        *(change for name in events for change in comparison.event(name)),
        *(change for theme_id in themes for change in comparison.theme(theme_id, titles[theme_id])),
    ]
    return sorted(found_changes, key=lambda change: (-change.importance, change.kind, change.name))


@dataclass(frozen=True)
class _Comparison:
    """Two periods, and the alpha of each measure."""

    before: Figures
    now: Figures
    alpha: float

    def success(self) -> Iterator[Change]:
        counts = ((self.before.successes, self.before.judged_tasks), (self.now.successes, self.now.judged_tasks))
        delta = self._rates(*counts)
        if delta is not None:
            is_higher = delta.estimate > 0
            yield _rate_change(
                ("success", "Success rate"),
                f"Success rate {'rose' if is_higher else 'fell'}",
                counts,
                delta,
                noun="tasks with feedback",
                query={"flag": "success" if is_higher else "failure"},
                weight=_SUCCESS_WEIGHT,
                is_good=is_higher,
            )

    def event(self, name: str) -> Iterator[Change]:
        counts = self._sessions("events", name)
        yield from self._share(("event", name), f"“{name}”", counts, {"event": name})

    def theme(self, theme_id: str, title: str) -> Iterator[Change]:
        counts = self._sessions("themes", theme_id)
        yield from self._share(("theme", theme_id), f"Theme “{title}”", counts, {"theme": theme_id})

    def sentiment(self) -> Iterator[Change]:
        delta = self._means(self.before.sentiment, self.now.sentiment)
        if delta is not None:
            is_higher = delta.estimate > 0
            yield self._mean_change(
                ("sentiment", "Sentiment"),
                f"Sentiment became {'better' if is_higher else 'worse'}",
                (self.before.sentiment, self.now.sentiment),
                delta,
                texts=tuple(f"{mean.total / mean.size:+.2f}" for mean in (self.before.sentiment, self.now.sentiment)),
                query={"sentiment": "positive" if is_higher else "negative"},
                importance=_least_size(delta) / 2,
                is_good=is_higher,
            )

    def latency(self) -> Iterator[Change]:
        means = self.before.log_latency, self.now.log_latency
        delta = self._means(*means)
        if delta is not None:
            texts = tuple(format_number(math.exp(mean.total / mean.size), "ms") for mean in means)
            verb = "rose" if delta.estimate > 0 else "fell"
            ratio = math.expm1(_least_size(delta))
            yield self._mean_change(
                ("latency", "Latency"),
                f"Typical latency {verb}",
                means,
                delta,
                texts=texts,
                query={"sort": "slowest"},
                importance=min(ratio, 1.0) * _RATIO_WEIGHT,
                is_good=delta.estimate < 0,
            )

    def cost(self, currency: str) -> Iterator[Change]:
        means = self.before.cost, self.now.cost
        delta = self._means(*means)
        if delta is not None:
            older, newer = (mean.total / mean.size for mean in means)
            verb = "rose" if delta.estimate > 0 else "fell"
            ratio = _least_size(delta) / max(min(older, newer), 1e-12)
            yield self._mean_change(
                ("cost", "Cost per session"),
                f"Cost per session {verb}",
                means,
                delta,
                texts=(money(older, currency), money(newer, currency)),
                query={"sort": "tokens"},
                importance=min(ratio, 1.0) * _RATIO_WEIGHT,
                is_good=delta.estimate < 0,
            )

    def volume(self) -> Iterator[Change]:
        """Yield the change of the number of sessions: of all sessions, half are expected in each period."""
        older, newer = self.before.sessions, self.now.sessions
        share = rate_interval(newer, older + newer, self.alpha)
        if not older or share is None or share.lower <= 0.5 <= share.upper:
            return
        bound = share.lower if newer > older else share.upper
        growth = format_number(abs(newer - older) / older, "percent")
        yield Change(
            kind="volume",
            name="Sessions",
            sentence=f"Sessions {'grew' if newer > older else 'fell'} by {growth}",
            evidence=f"{newer:,} sessions with {self.now.tasks:,} tasks; before, {older:,} with {self.before.tasks:,}",
            query={},
            importance=abs(2 * bound - 1) * _RATIO_WEIGHT,
            is_good=None,
            before=older,
            now=newer,
            at_least=bound / (1 - bound) - 1 if bound < 1 else math.inf,
            cases_before=older,
            cases=newer,
        )

    def versions(self) -> Iterator[Change]:
        """Yield the versions that have tasks now and had none before, where there were tasks before."""
        for version, tasks in self.now.versions.items() if self.before.tasks else ():
            if version not in self.before.versions:
                share = tasks / self.now.tasks
                yield Change(
                    kind="version",
                    name=version,
                    sentence=f"Version {version} is new",
                    evidence=f"{tasks:,} of {self.now.tasks:,} tasks ({format_number(share, 'percent')}), none before",
                    query={"version": version},
                    importance=share * _RATIO_WEIGHT,
                    is_good=None,
                    before=0,
                    now=share,
                    at_least=share,
                    cases_before=self.before.tasks,
                    cases=self.now.tasks,
                )

    def _sessions(self, of_kind: str, name: str) -> tuple[tuple[int, int], tuple[int, int]]:
        older, newer = (
            (getattr(figures, of_kind).get(name, 0), figures.analysed_sessions) for figures in (self.before, self.now)
        )
        return older, newer

    def _share(
        self,
        identity: tuple[str, str],
        label: str,
        counts: tuple[tuple[int, int], tuple[int, int]],
        query: dict[str, str],
    ) -> Iterator[Change]:
        delta = self._rates(*counts)
        if delta is None:
            return
        if not counts[0][0]:
            verb = "is new"
        elif not counts[1][0]:
            verb = "is gone"
        else:
            verb = "grew" if delta.estimate > 0 else "shrank"
        yield _rate_change(
            identity, f"{label} {verb}", counts, delta, noun="sessions", query=query, weight=1.0, is_good=None
        )

    def _rates(self, before: tuple[int, int], now: tuple[int, int]) -> Interval | None:
        return _significant_difference(rate_interval(*before, self.alpha / 2), rate_interval(*now, self.alpha / 2))

    def _means(self, before: Mean, now: Mean) -> Interval | None:
        return _significant_difference(mean_interval(*before, self.alpha / 2), mean_interval(*now, self.alpha / 2))

    def _mean_change(
        self,
        identity: tuple[str, str],
        subject: str,
        means: tuple[Mean, Mean],
        delta: Interval,
        *,
        texts: tuple[str, ...],
        query: Mapping[str, str],
        importance: float,
        is_good: bool,
    ) -> Change:
        older, newer = (mean.total / mean.size for mean in means)
        cases_before, cases = (mean.size for mean in means)
        return Change(
            kind=identity[0],
            name=identity[1],
            sentence=f"{subject} from {texts[0]} to {texts[1]}",
            evidence=f"mean of {cases:,} sessions; before, of {cases_before:,}",
            query=query,
            importance=importance,
            is_good=is_good,
            before=older,
            now=newer,
            at_least=_least_size(delta),
            cases_before=cases_before,
            cases=cases,
        )


def _rate_change(
    identity: tuple[str, str],
    subject: str,
    counts: tuple[tuple[int, int], tuple[int, int]],
    delta: Interval,
    *,
    noun: str,
    query: Mapping[str, str],
    weight: float,
    is_good: bool | None,
) -> Change:
    (hits_before, cases_before), (hits, cases) = counts
    older, newer = hits_before / cases_before, hits / cases
    of_noun = f" of {noun}" if noun == "sessions" else ""
    return Change(
        kind=identity[0],
        name=identity[1],
        sentence=f"{subject}: {format_number(newer, 'percent')}{of_noun}, {format_number(older, 'percent')} before",
        evidence=f"{hits:,} of {cases:,} {noun}; before, {hits_before:,} of {cases_before:,}",
        query=query,
        importance=weight * _least_size(delta),
        is_good=is_good,
        before=older,
        now=newer,
        at_least=_least_size(delta),
        cases_before=cases_before,
        cases=cases,
    )


def _significant_difference(before: Interval | None, now: Interval | None) -> Interval | None:
    """Return the difference of two intervals where it is not 0 for certain, else None."""
    if before is None or now is None:
        return None
    delta = difference(before, now)
    return delta if delta.lower > 0 or delta.upper < 0 else None


def _least_size(delta: Interval) -> float:
    """Return the size that a difference has at least."""
    return min(abs(delta.lower), abs(delta.upper))
