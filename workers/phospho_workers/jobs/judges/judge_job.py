"""The base of the jobs that ask a judge about open candidates, project by project."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from phospho_store.registry.definition_sets import TABLES
from phospho_workers.detection.definitions import CompiledDefinitions, Snapshot
from phospho_workers.jobs.judges.candidate_queue import CandidateQueue
from phospho_workers.jobs.judges.open_candidates import JudgeRepositories
from phospho_workers.jobs.loop.round_robin import RoundRobin

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
