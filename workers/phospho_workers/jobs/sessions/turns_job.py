"""The job that reads turns with the tasks before them, whenever one of those arrives or changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from phospho_workers.detection.definitions import CompiledDefinitions
from phospho_workers.jobs.sessions.session_analyses import ReadState, session_analysis_row
from phospho_workers.jobs.sessions.session_detection import SessionDetection
from phospho_workers.jobs.sessions.session_job import ProjectProgress, SessionJob
from phospho_workers.jobs.sessions.turns import Turn
from phospho_workers.runtime import metrics

_SESSIONS_AT_ONCE = 200
_TURNS_AT_ONCE = 200


@dataclass
class _Progress(ProjectProgress):
    """
    `sessions` are those of the current page, each with its tasks as a hash; `last_turn` is the last turn that was read.

    `after` is the last session of the page; empty where a round begins.
    """

    sessions: dict[str, int] = field(default_factory=dict)
    last_turn: Turn | None = None
    after: str = ""
    is_last_page: bool = True


class TurnsJob(SessionJob[_Progress]):
    """Detects in turns that were not read in their present state: with these tasks in these revisions."""

    name = "turns"
    project_tables = ("task_rows",)

    def _is_needed(self, detection: SessionDetection) -> bool:
        return detection.context_turns > 0

    def _first_progress(
        self, detection: SessionDetection, compiled: CompiledDefinitions, defined_at_ms: int
    ) -> _Progress:
        return _Progress(detection, compiled, defined_at_ms, arrived_since_ms=defined_at_ms)

    def _read_page(self, project_id: str, progress: _Progress, definitions_revision: int) -> bool:
        if not progress.sessions:
            self._next_sessions(project_id, progress)
        if self._detect(project_id, progress, definitions_revision):
            return True
        progress.seen.add(progress.sessions)
        progress.sessions, progress.last_turn = {}, None
        if progress.is_last_page:
            progress.after = ""
            progress.end_round()
        return not progress.is_last_page

    def _next_sessions(self, project_id: str, progress: _Progress) -> None:
        """Read which sessions are on the next page of a round."""
        if not progress.after:
            self._begin_round(project_id, progress)
        arrived = self._facts.turns.arrived(
            project_id, progress.arrived_since_ms, progress.after, _SESSIONS_AT_ONCE, is_first=progress.is_first_round
        )
        progress.is_last_page = len(arrived) < _SESSIONS_AT_ONCE
        progress.after = max(arrived, default="")
        progress.sessions = {session_id: arrived[session_id] for session_id in progress.seen.unseen(arrived)}

    def _detect(self, project_id: str, progress: _Progress, definitions_revision: int) -> bool:
        """Detect in the next turns of the page's sessions, and return whether they may have more."""
        if not progress.sessions:
            return False
        due = self._facts.turns.due(
            project_id,
            list(progress.sessions),
            context_turns=progress.detection.context_turns,
            defined_at_ms=progress.defined_at_ms,
            after=progress.last_turn,
            limit=_TURNS_AT_ONCE,
        )
        tasks = self._facts.tasks.by_id(project_id, list({task_id for turn in due for task_id in turn.task_ids}))
        rows = [
            _row(turn, [tasks[task_id] for task_id in turn.task_ids], progress.detection, definitions_revision)
            for turn in due
            if all(task_id in tasks for task_id in turn.task_ids)
        ]
        self._facts.analyses.save(rows)
        metrics.TURNS_ANALYSED.inc(len(rows))
        progress.last_turn = due[-1] if due else None
        return len(due) == _TURNS_AT_ONCE


def _row(
    turn: Turn, tasks: Sequence[Mapping[str, Any]], detection: SessionDetection, definitions_revision: int
) -> dict[str, Any]:
    read_state = ReadState(turn.task_id, turn.state, turn.revision)
    return session_analysis_row(tasks, read_state, definitions_revision, detection.detect_in_turn(tasks))
