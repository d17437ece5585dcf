"""Turns that are read with those before them: looked at when they or their predecessors arrive or change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from phospho_workers.detection.definitions import CompiledDefinitions
from phospho_workers.followers.rounds import Followed, Rounds
from phospho_workers.followers.session_facts import Turn, session_row
from phospho_workers.followers.transcripts import SessionDetection
from phospho_workers.runtime import metrics

_SESSIONS_AT_ONCE = 200
_TURNS_AT_ONCE = 200


@dataclass
class _Project(Followed):
    """`after` is the last session of the page before; empty where a round begins."""

    after: str = ""


class _Due(NamedTuple):
    """A turn to look at: the ids of the tasks that are read, the turn itself last, and their greatest revision."""

    task_ids: Sequence[str]
    revision: int


class Turns(Rounds[_Project]):
    """Looks at turns whose tasks, or tasks before them, are not those that were looked at."""

    name = "turns"
    of_projects = ("task_rows",)

    def _is_needed(self, detection: SessionDetection) -> bool:
        return detection.context_turns > 0

    def _begun(self, detection: SessionDetection, compiled: CompiledDefinitions, born_ms: int) -> _Project:
        return _Project(detection, compiled, born_ms, born_ms)

    def _page(self, project_id: str, project: _Project, definitions_revision: int) -> bool:
        if not project.after:
            project.begun_ms = self._facts.moments(project_id, project.arrived_since_ms).now_ms
        arrived = self._facts.arrived(
            project_id, project.arrived_since_ms, project.after, _SESSIONS_AT_ONCE, is_first=project.is_first
        )
        self._look(project_id, project, project.concluded.others(arrived), definitions_revision)
        project.concluded.add(arrived)
        if len(arrived) == _SESSIONS_AT_ONCE:
            project.after = max(arrived)
            return True
        project.after = ""
        project.end_round()
        return False

    def _look(self, project_id: str, project: _Project, session_ids: Sequence[str], definitions_revision: int) -> None:
        sessions = self._facts.turns(project_id, session_ids) if session_ids else {}
        due = [one for turns in sessions.values() for one in _due(turns, project)]
        for begin in range(0, len(due), _TURNS_AT_ONCE):
            chosen = due[begin : begin + _TURNS_AT_ONCE]
            tasks = self._facts.tasks(project_id, list({task_id for one in chosen for task_id in one.task_ids}))
            rows = [
                _row([tasks[task_id] for task_id in one.task_ids], one.revision, definitions_revision, project)
                for one in chosen
                if all(task_id in tasks for task_id in one.task_ids)
            ]
            self._facts.save(rows)
            metrics.TURNS_ANALYSED.inc(len(rows))


def _due(turns: Sequence[Turn], project: _Project) -> Iterator[_Due]:
    """Yield what is to be looked at of one session's turns; those from before anybody asked are history."""
    for place, turn in enumerate(turns):
        read = turns[max(0, place - project.detection.context_turns) : place + 1]
        revision = max(one.revision for one in read)
        if turn.found_revision < revision and max(one.arrived_ms for one in read) >= project.born_ms:
            yield _Due([one.task_id for one in read], revision)


def _row(
    tasks: Sequence[dict[str, Any]], revision: int, definitions_revision: int, project: _Project
) -> dict[str, Any]:
    events = project.detection.in_turn(tasks)
    return session_row(tasks, tasks[-1]["task_id"], revision, definitions_revision, events)
