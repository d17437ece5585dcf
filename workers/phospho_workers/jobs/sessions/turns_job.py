"""Turns that are read with those before them: looked at when they or their predecessors arrive or change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from phospho_workers.detection.definitions import CompiledDefinitions
from phospho_workers.jobs.sessions.session_facts import Read, session_row
from phospho_workers.jobs.sessions.session_job import ProjectProgress, SessionJob
from phospho_workers.jobs.sessions.transcripts import SessionDetection
from phospho_workers.jobs.sessions.turns import Turn
from phospho_workers.runtime import metrics

_SESSIONS_AT_ONCE = 200
_TURNS_AT_ONCE = 200


@dataclass
class _Project(ProjectProgress):
    """
    `session_ids` are those of the page in hand, with what was seen of each, `place` is the last turn that was looked
    at. `after` is the last session of the page; empty where a round begins.
    """

    session_ids: dict[str, int] = field(default_factory=dict)
    place: Turn | None = None
    after: str = ""
    is_last: bool = True


class TurnsJob(SessionJob[_Project]):
    """Looks at turns whose tasks, or tasks before them, are not those that were looked at."""

    name = "turns"
    project_tables = ("task_rows",)

    def _is_needed(self, detection: SessionDetection) -> bool:
        return detection.context_turns > 0

    def _begun(self, detection: SessionDetection, compiled: CompiledDefinitions, born_ms: int) -> _Project:
        return _Project(detection, compiled, born_ms, born_ms)

    def _page(self, project_id: str, project: _Project, definitions_revision: int) -> bool:
        if not project.session_ids:
            self._next_sessions(project_id, project)
        if self._look(project_id, project, definitions_revision):
            return True
        project.seen.add(project.session_ids)
        project.session_ids, project.place = {}, None
        if project.is_last:
            project.after = ""
            project.end_round()
        return not project.is_last

    def _next_sessions(self, project_id: str, project: _Project) -> None:
        """Choose the sessions of the next page of a round."""
        if not project.after:
            self._moments(project_id, project)
        arrived = self._facts.turns.arrived(
            project_id, project.arrived_since_ms, project.after, _SESSIONS_AT_ONCE, is_first=project.is_first
        )
        project.is_last = len(arrived) < _SESSIONS_AT_ONCE
        project.after = max(arrived, default="")
        project.session_ids = {name: arrived[name] for name in project.seen.unseen(arrived)}

    def _look(self, project_id: str, project: _Project, definitions_revision: int) -> bool:
        """Look at the next turns of the sessions in hand, and tell whether they may have more."""
        if not project.session_ids:
            return False
        context_turns = project.detection.context_turns
        due = self._facts.turns.due(
            project_id, list(project.session_ids), context_turns, project.born_ms, project.place, _TURNS_AT_ONCE
        )
        tasks = self._facts.tasks(project_id, list({task_id for one in due for task_id in one.task_ids}))
        rows = [
            _row([tasks[task_id] for task_id in one.task_ids], one, definitions_revision, project)
            for one in due
            if all(task_id in tasks for task_id in one.task_ids)
        ]
        self._facts.save(rows)
        metrics.TURNS_ANALYSED.inc(len(rows))
        project.place = due[-1] if due else None
        return len(due) == _TURNS_AT_ONCE


def _row(tasks: Sequence[dict[str, Any]], turn: Turn, definitions_revision: int, project: _Project) -> dict[str, Any]:
    read = Read(turn.task_id, turn.state, turn.revision)
    return session_row(tasks, read, definitions_revision, project.detection.in_turn(tasks))
