"""The job that reads turns with the tasks before them, whenever one of those arrives or changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from phospho_workers.detection.definitions import CompiledDefinitions
from phospho_workers.jobs.sessions.session_analyses import ReadState, session_analysis_row
from phospho_workers.jobs.sessions.session_detection import SessionDetection
from phospho_workers.jobs.sessions.session_job import ProjectProgress, SessionJob
from phospho_workers.jobs.sessions.turns import Turn
from phospho_workers.runtime import metrics

# A round's sessions are listed by one query, and read by pages.
_LISTED_AT_ONCE = 20_000
_SESSIONS_AT_ONCE = 200
_TURNS_AT_ONCE = 200


@dataclass
class _Progress(ProjectProgress):
    """
    `listed` are sessions that wait, each with its tasks as a hash, and `sessions` those of the current page.

    `last_turn` is the last turn that was read. `after` is the last session that was listed; empty where a round begins.
    """

    listed: dict[str, int] = field(default_factory=dict)
    sessions: dict[str, int] = field(default_factory=dict)
    last_turn: Turn | None = None
    after: str = ""
    is_all_listed: bool = True


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
        if not progress.listed:
            self._list_sessions(project_id, progress)
        if not progress.sessions:
            progress.sessions = dict(islice(progress.listed.items(), _SESSIONS_AT_ONCE))
        if self._detect(project_id, progress, definitions_revision):
            return True
        progress.seen.add(progress.sessions)
        for session_id in progress.sessions:
            del progress.listed[session_id]
        progress.sessions, progress.last_turn = {}, None
        if progress.listed or not progress.is_all_listed:
            return True
        progress.after = ""
        progress.end_round()
        return False

    def _list_sessions(self, project_id: str, progress: _Progress) -> None:
        """Read which sessions got or lost a task, from the beginning of a round or after those of its last listing."""
        if not progress.after:
            self._begin_round(project_id, progress)
        arrived = self._facts.turns.arrived(
            project_id, progress.arrived_since_ms, progress.after, _LISTED_AT_ONCE, is_first=progress.is_first_round
        )
        progress.is_all_listed = len(arrived) < _LISTED_AT_ONCE
        progress.after = max(arrived, default="")
        progress.listed = {session_id: arrived[session_id] for session_id in progress.seen.unseen(arrived)}

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
