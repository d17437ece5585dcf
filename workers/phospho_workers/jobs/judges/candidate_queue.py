"""What a judge is asked next: the candidates without a judgement of each project, in the order of choice."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from phospho_schemas.messages import Backfill
from phospho_store.jobs.backfills import BackfillRepository
from phospho_workers.jobs.judges.open_candidates import END_OF_TIME_MS, CandidateWindow, OpenCandidates
from phospho_workers.jobs.loop.seen_cache import OVERLAP_MS
from phospho_workers.judging.selection import OpenCandidate, OpenText, ordered_texts

# What was logged or analysed longer ago is left to backfills: the budget is for what people look at.
LOOK_BACK_MS = 86_400_000
# Where the answer could not be read, another one is asked for after so long.
RETRY_MS = 6 * 3_600_000
# An order that is older is made anew, with what arrived since.
_FRESH_S = 15.0
# How often all of the last day is looked at again, where nothing was left of it.
_WHOLE_S = 3_600.0


@dataclass
class _Waiting:
    """The order of one project, made at `made_s`, from what arrived since `arrived_since_ms`."""

    versions: Mapping[str, int]
    arrived_since_ms: int = 0
    made_s: float = float("-inf")
    whole_s: float = float("-inf")
    texts: deque[OpenText] = field(default_factory=deque)


class CandidateQueue:
    """
    The order in which a judge is asked, held in memory; a restart makes it anew.

    What is logged now comes first, and what backfills found in doubt when nothing of that is left. A backfill of which
    nothing is left is done.
    """

    def __init__(
        self, candidates: OpenCandidates, backfills: BackfillRepository, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._candidates = candidates
        self._backfills = backfills
        self._clock = clock
        self._projects: dict[str, _Waiting] = {}

    def take(self, project_id: str, versions: Mapping[str, int], count: int) -> list[OpenText]:
        """
        Return the next texts of a project, `count` at most, with candidates of these versions of its definitions.

        What gets no judgement comes again, in a later order.
        """
        waiting = self._projects.get(project_id)
        if waiting is None or waiting.versions != versions:
            waiting = self._projects[project_id] = _Waiting(dict(versions))
        if not waiting.texts or self._clock() - waiting.made_s > _FRESH_S:
            self._order(project_id, waiting)
        return [waiting.texts.popleft() for _ in range(min(count, len(waiting.texts)))]

    def _order(self, project_id: str, waiting: _Waiting) -> None:
        now_ms = self._candidates.now_ms()
        waiting.made_s = self._clock()
        if waiting.made_s - waiting.whole_s > _WHOLE_S:
            waiting.arrived_since_ms, waiting.whole_s = 0, waiting.made_s
        day_ago_ms = now_ms - LOOK_BACK_MS
        when = CandidateWindow(max(waiting.arrived_since_ms, day_ago_ms), now_ms - RETRY_MS, logged_from_ms=day_ago_ms)
        found = self._candidates.open(project_id, waiting.versions, when)
        if not found:
            waiting.arrived_since_ms = now_ms - OVERLAP_MS
            found = self._of_backfills(project_id, waiting.versions)
        waiting.texts = deque(ordered_texts(found))

    def _of_backfills(self, project_id: str, versions: Mapping[str, int]) -> list[OpenCandidate]:
        """Return what the first backfill that asks has left, and end those that have nothing left."""
        for backfill in self._backfills.asking(project_id):
            if versions.get(backfill.name) != backfill.definition_version:
                continue
            if found := self._candidates.open(
                project_id, {backfill.name: backfill.definition_version}, _when(backfill)
            ):
                return found
            self._backfills.save(backfill.model_copy(update={"status": "done"}))
        return []


def _when(backfill: Backfill) -> CandidateWindow:
    """Return the time of a backfill; an answer that could not be read before it was asked for is asked for again."""
    of_span: dict[str, int] = {}
    if backfill.from_at is not None:
        of_span["logged_from_ms"] = _ms(backfill.from_at)
    if backfill.to_at is not None:
        of_span["logged_before_ms"] = _ms(backfill.to_at)
    return CandidateWindow(0, _ms(backfill.created_at), **of_span)


def _ms(moment: datetime) -> int:
    """Return Unix milliseconds, within what ClickHouse's times can be."""
    return min(max(0, int(moment.timestamp() * 1000)), END_OF_TIME_MS)
