"""What the jobs of sessions have in common: the projects that need them, and rounds over what changed in each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Generic, TypeVar

from phospho_store.registry.instructions import TABLES
from phospho_workers.detection.definitions import CompiledDefinitions, Snapshot
from phospho_workers.jobs.loop.job import MAX_PAUSE_S
from phospho_workers.jobs.loop.round_robin import RoundRobin
from phospho_workers.jobs.loop.seen_cache import OVERLAP_MS, SeenCache
from phospho_workers.jobs.sessions.session_facts import Moments, SessionFacts
from phospho_workers.jobs.sessions.transcripts import SessionDetection


@dataclass
class ProjectProgress:
    """
    What is known of a project between steps, all of which a restart finds again. Milliseconds.

    `born_ms` is when the first of its definitions that read sessions was made: what was over before anybody asked is
    history, which is a backfill's. A round looks at what arrived since `arrived_since_ms`, and began at `begun_ms`.
    `seen` has the sessions that were looked at, by what was seen of them.
    """

    detection: SessionDetection
    compiled: CompiledDefinitions
    born_ms: int
    arrived_since_ms: int
    is_first: bool = True
    begun_ms: int = 0
    seen: SeenCache = field(default_factory=SeenCache)

    def end_round(self) -> None:
        """Have the next round begin where this one did."""
        self.is_first = False
        self.arrived_since_ms = max(self.arrived_since_ms, self.begun_ms - OVERLAP_MS)


F = TypeVar("F", bound=ProjectProgress)


class SessionJob(ABC, Generic[F]):
    """
    A job that goes over the sessions of each project that needs it, a page a turn.

    `definitions` is asked once a step. `project_tables` are the tables of which it reads those projects.
    """

    name: str
    pause_s = 1.0
    project_tables: ClassVar[Sequence[str]]
    project_max_pause_s: ClassVar[float] = MAX_PAUSE_S

    def __init__(self, facts: SessionFacts, definitions: Callable[[], Snapshot]) -> None:
        self._facts = facts
        self._definitions = definitions
        self._projects: dict[str, F] = {}
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
        of_sessions = {name: one for name, one in snapshot.by_project.items() if one.of_sessions}
        self._projects = {name: one for name, one in self._projects.items() if name in of_sessions}
        return self._round_robin.step(of_sessions, lambda name: self._turn(name, of_sessions[name], snapshot.revision))

    def _turn(self, project_id: str, compiled: CompiledDefinitions, definitions_revision: int) -> bool:
        project = self._followed(project_id, compiled)
        if project is None:
            self._projects.pop(project_id, None)
            return False
        self._projects[project_id] = project
        return self._page(project_id, project, definitions_revision)

    def _followed(self, project_id: str, compiled: CompiledDefinitions) -> F | None:
        """Return what is known of a project; None where nothing is looked for in its sessions."""
        known = self._projects.get(project_id)
        if known is not None and known.compiled is compiled:
            return known
        detection = SessionDetection(compiled)
        if not self._is_needed(detection):
            return None
        if known is not None:
            return replace(known, detection=detection, compiled=compiled)
        born_ms = self._facts.born_ms(project_id, [one.name for one in compiled.of_sessions])
        return self._begun(detection, compiled, born_ms)

    def _moments(self, project_id: str, project: F) -> Moments:
        """Begin a round: return the times of what arrived, and remember of which sessions it is."""
        moments = self._facts.moments(project_id, project.arrived_since_ms)
        if moments.arrived_ms:
            self._facts.remember(project_id, project.arrived_since_ms)
        project.begun_ms = moments.now_ms
        return moments

    @abstractmethod
    def _is_needed(self, detection: SessionDetection) -> bool:
        """Tell whether this job looks for any of a project's definitions."""

    @abstractmethod
    def _begun(self, detection: SessionDetection, compiled: CompiledDefinitions, born_ms: int) -> F:
        """Return what is known of a project at first."""

    @abstractmethod
    def _page(self, project_id: str, project: F, definitions_revision: int) -> bool:
        """Look at one page of the sessions of a round, and tell whether the round has another."""
