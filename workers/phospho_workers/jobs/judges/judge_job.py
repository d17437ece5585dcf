"""The base of the jobs that ask a judge about open candidates, project by project, in the order of their worth."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from phospho_schemas.rows.jobs import Backfill
from phospho_store.jobs.backfills import BackfillRepository
from phospho_store.registry.definition_sets import TABLES
from phospho_workers.detection.definitions import CompiledDefinitions, Snapshot
from phospho_workers.jobs.judges.open_candidates import (
    END_OF_TIME_MS,
    CandidateWindow,
    JudgeRepositories,
    OpenCandidates,
)
from phospho_workers.jobs.loop.job import OVERLAP_MS
from phospho_workers.jobs.loop.round_robin import RoundRobin
from phospho_workers.judging.selection import OpenCandidate, OpenText, ordered_texts

# Older tasks and analyses are left to backfills: the budget is for the tasks that people look at.
LOOK_BACK_MS = 86_400_000
# An unreadable answer is asked for again after this time.
RETRY_MS = 6 * 3_600_000
# An older order is made anew, with the candidates that arrived since.
_MAX_ORDER_AGE_S = 15.0
# How often the whole last day is read again, where no candidate of it was left.
_FULL_READ_INTERVAL_S = 3_600.0


@dataclass
class _ProjectQueue:
    """The texts of one project in order, read at `ordered_at_s`; what arrived since `arrived_since_ms` is read next."""

    versions: Mapping[str, int]
    arrived_since_ms: int = 0
    ordered_at_s: float = float("-inf")
    fully_read_at_s: float = float("-inf")
    texts: deque[OpenText] = field(default_factory=deque)


class CandidateQueue:
    """
    The order in which a judge is asked, in memory; a restart makes it anew.

    New tasks come first, and then the candidates of backfills. A backfill without open candidates is done.
    """

    def __init__(self, candidates: OpenCandidates, backfills: BackfillRepository) -> None:
        self._candidates = candidates
        self._backfills = backfills
        self._projects: dict[str, _ProjectQueue] = {}

    def take(self, project_id: str, versions: Mapping[str, int], count: int) -> list[OpenText]:
        """
        Return the next texts of a project, at most `count`, with candidates of these versions of its definitions.

        A text that gets no judgement comes again, in a later order.
        """
        queue = self._projects.get(project_id)
        if queue is None or queue.versions != versions:
            queue = self._projects[project_id] = _ProjectQueue(dict(versions))
        if not queue.texts or time.monotonic() - queue.ordered_at_s > _MAX_ORDER_AGE_S:
            queue.texts = deque(ordered_texts(self._read(project_id, queue)))
        return [queue.texts.popleft() for _ in range(min(count, len(queue.texts)))]

    def _read(self, project_id: str, queue: _ProjectQueue) -> list[OpenCandidate]:
        now_ms = self._candidates.now_ms()
        queue.ordered_at_s = time.monotonic()
        if queue.ordered_at_s - queue.fully_read_at_s > _FULL_READ_INTERVAL_S:
            queue.arrived_since_ms, queue.fully_read_at_s = 0, queue.ordered_at_s
        day_ago_ms = now_ms - LOOK_BACK_MS
        window = CandidateWindow(max(queue.arrived_since_ms, day_ago_ms), now_ms - RETRY_MS, logged_from_ms=day_ago_ms)
        if candidates := self._candidates.open(project_id, queue.versions, window):
            return candidates
        queue.arrived_since_ms = now_ms - OVERLAP_MS
        return self._read_backfills(project_id, queue.versions)

    def _read_backfills(self, project_id: str, versions: Mapping[str, int]) -> list[OpenCandidate]:
        """Return the open candidates of the first backfill that has any, and end the backfills that have none."""
        for backfill in self._backfills.judging(project_id):
            if versions.get(backfill.name) != backfill.definition_version:
                continue
            version = {backfill.name: backfill.definition_version}
            if candidates := self._candidates.open(project_id, version, _window(backfill)):
                return candidates
            self._backfills.save(backfill.model_copy(update={"status": "done"}))
        return []


def _window(backfill: Backfill) -> CandidateWindow:
    """Return the window of a backfill; an answer that was unreadable before it began is asked for again."""
    return CandidateWindow(
        arrived_since_ms=0,
        retried_before_ms=_ms(backfill.created_at),
        logged_from_ms=_ms(backfill.from_at) if backfill.from_at else 0,
        logged_before_ms=_ms(backfill.to_at) if backfill.to_at else END_OF_TIME_MS,
    )


def _ms(moment: datetime) -> int:
    """Return Unix milliseconds, within the range of ClickHouse's times."""
    return min(max(0, int(moment.timestamp() * 1000)), END_OF_TIME_MS)


TEXTS_AT_ONCE = 32


class JudgeJob(ABC):
    """Gives each project its turn; a subclass judges some of its texts. `definitions` is called once a step."""

    pause_s = 1.0
    tables = (*TABLES, "analysis_rows", "backfill_rows")
    max_pause_s = 5.0

    def __init__(self, repositories: JudgeRepositories, definitions: Callable[[], Snapshot]) -> None:
        self._repositories = repositories
        self._definitions = definitions
        self._queue = CandidateQueue(repositories.candidates, repositories.backfills)
        self._round_robin = RoundRobin()

    def step(self) -> bool:
        compiled = self._definitions().by_project
        return self._round_robin.step(compiled, lambda name: self._judge_project(name, compiled[name]))

    @abstractmethod
    def _judge_project(self, project_id: str, compiled: CompiledDefinitions) -> bool:
        """Judge some texts of a project, and return whether that brought any judgement."""
