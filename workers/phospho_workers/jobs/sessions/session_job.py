"""The base of the session jobs: rounds over the changed sessions of each project that needs them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Generic, TypeVar

from phospho_store.registry.definition_sets import TABLES
from phospho_workers.detection.definitions import CompiledDefinitions, Snapshot
from phospho_workers.jobs.loop.job import MAX_PAUSE_S, OVERLAP_MS
from phospho_workers.jobs.loop.round_robin import RoundRobin
from phospho_workers.jobs.sessions.arrivals import ArrivalTimes
from phospho_workers.jobs.sessions.session_detection import SessionDetection
from phospho_workers.jobs.sessions.session_facts import SessionFacts

_MAX_SEEN = 100_000
# Longer than nearly all inserts take.
_SHORT_OVERLAP_MS = 2_000


class SeenCache:
    """
    The latest 100,000 items, each with the version that was read, so that reading them twice costs nothing.

    A restart loses it without harm.
    """

    def __init__(self) -> None:
        self._versions: OrderedDict[str, int] = OrderedDict()

    def unseen(self, versions: Mapping[str, int]) -> list[str]:
        """Return the items that were not read in these versions."""
        return [item for item, version in versions.items() if self._versions.get(item) != version]

    def add(self, versions: Mapping[str, int]) -> None:
        """Remember items as read in these versions."""
        for item, version in versions.items():
            self._versions[item] = version
            self._versions.move_to_end(item)
        while len(self._versions) > _MAX_SEEN:
            self._versions.popitem(last=False)


@dataclass
class ProjectProgress:
    """
    The progress of a job in one project, in memory; a restart derives it again. Times are Unix milliseconds.

    `defined_at_ms` is when the first of the project's session definitions was made: sessions that were over before are
    history, which is for backfills. A round reads what arrived since `arrived_since_ms`; it began at `begun_ms`. `seen`
    has the sessions that were read, each with its tasks as a hash.

    An insert may be seen long after the time that it is stamped with, which is rare: once a minute a round goes back to
    the last one that did so, and as far before it as an insert may take (`swept_ms`). Others go back by two seconds, so
    that a task is read a few times, however many arrive in a minute.
    """

    detection: SessionDetection
    compiled: CompiledDefinitions
    defined_at_ms: int
    arrived_since_ms: int
    is_first_round: bool = True
    begun_ms: int = 0
    swept_ms: int = 0
    seen: SeenCache = field(default_factory=SeenCache)

    def end_round(self) -> None:
        """Have the next round begin where this one did."""
        if self.is_first_round:
            self.is_first_round, self.swept_ms = False, self.begun_ms
        since_ms = self.begun_ms - _SHORT_OVERLAP_MS
        if self.begun_ms - self.swept_ms >= OVERLAP_MS:
            since_ms, self.swept_ms = self.swept_ms - OVERLAP_MS, self.begun_ms
        self.arrived_since_ms = max(self.defined_at_ms, since_ms)


P = TypeVar("P", bound=ProjectProgress)


class SessionJob(ABC, Generic[P]):
    """
    A job that reads the changed sessions of each project with definitions for it, a page a turn.

    `definitions` is called once a step. `project_tables` are read for the projects; without such a project a change of
    the definitions alone gives work.
    """

    name: str
    pause_s = 1.0
    project_tables: ClassVar[Sequence[str]]
    project_max_pause_s: ClassVar[float] = MAX_PAUSE_S

    def __init__(self, facts: SessionFacts, definitions: Callable[[], Snapshot]) -> None:
        self._facts = facts
        self._definitions = definitions
        self._projects: dict[str, P] = {}
        self._round_robin = RoundRobin()

    @property
    def tables(self) -> Sequence[str]:
        return (*TABLES, *(self.project_tables if self._projects else ()))

    @property
    def max_pause_s(self) -> float:
        if self._round_robin.has_failed:
            return self.pause_s
        return self.project_max_pause_s if self._projects else MAX_PAUSE_S

    def step(self) -> bool:
        snapshot = self._definitions()
        compiled = {name: definitions for name, definitions in snapshot.by_project.items() if definitions.of_sessions}
        self._projects = {name: progress for name, progress in self._projects.items() if name in compiled}
        return self._round_robin.step(compiled, lambda name: self._turn(name, compiled[name], snapshot.revision))

    def _turn(self, project_id: str, compiled: CompiledDefinitions, definitions_revision: int) -> bool:
        progress = self._progress(project_id, compiled)
        if progress is None:
            self._projects.pop(project_id, None)
            return False
        self._projects[project_id] = progress
        return self._read_page(project_id, progress, definitions_revision)

    def _progress(self, project_id: str, compiled: CompiledDefinitions) -> P | None:
        """Return the progress in a project; None where no definition is for this job."""
        progress = self._projects.get(project_id)
        if progress is not None and progress.compiled is compiled:
            return progress
        detection = SessionDetection(compiled)
        if not self._is_needed(detection):
            return None
        if progress is not None:
            return replace(progress, detection=detection, compiled=compiled)
        names = [definition.name for definition in compiled.of_sessions]
        return self._first_progress(detection, compiled, self._facts.arrivals.defined_at_ms(project_id, names))

    def _begin_round(self, project_id: str, progress: P) -> ArrivalTimes:
        """Return the times of the tasks that arrived since the last round, and store which sessions they are in."""
        times = self._facts.arrivals.times(project_id, progress.arrived_since_ms)
        if times.arrived_ms:
            self._facts.arrivals.store_sessions_of_tasks(
                project_id, progress.arrived_since_ms, is_first=progress.is_first_round
            )
        progress.begun_ms = times.now_ms
        return times

    @abstractmethod
    def _is_needed(self, detection: SessionDetection) -> bool:
        """Tell whether any of a project's definitions is for this job."""

    @abstractmethod
    def _first_progress(self, detection: SessionDetection, compiled: CompiledDefinitions, defined_at_ms: int) -> P:
        """Return the progress in a project before its first round."""

    @abstractmethod
    def _read_page(self, project_id: str, progress: P, definitions_revision: int) -> bool:
        """Detect in one page of the sessions of a round, and return whether the round has another page."""
