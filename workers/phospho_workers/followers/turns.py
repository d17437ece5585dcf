"""Turns that are read with those before them: looked at when they or their predecessors arrive or change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from phospho_workers.detection.definitions import CompiledDefinitions, Snapshot
from phospho_workers.followers.concluded import OVERLAP_MS, Concluded
from phospho_workers.followers.session_facts import SessionFacts, Turn, session_row
from phospho_workers.followers.transcripts import SessionDetection
from phospho_workers.runtime import metrics

_SESSIONS_AT_ONCE = 200
_TURNS_AT_ONCE = 200


@dataclass
class _Project:
    """What is known of a project between steps, all of which a restart finds again. Milliseconds."""

    detection: SessionDetection
    compiled: CompiledDefinitions
    born_ms: int
    arrived_since_ms: int
    is_first: bool = True
    begun_ms: int = 0
    after: str = ""
    concluded: Concluded = field(default_factory=Concluded)


class _Due(NamedTuple):
    """A turn to look at: the ids of the tasks that are read, the turn itself last, and their greatest revision."""

    task_ids: Sequence[str]
    revision: int


class Turns:
    """Looks at turns whose tasks, or tasks before them, are not those that were looked at."""

    name = "turns"
    interval_s = 1.0

    def __init__(self, facts: SessionFacts, definitions: Callable[[], Snapshot]) -> None:
        self._facts = facts
        self._definitions = definitions
        self._projects: dict[str, _Project] = {}

    def step(self) -> bool:
        snapshot = self._definitions()
        self._projects = {
            project_id: project
            for project_id, compiled in snapshot.by_project.items()
            if (project := self._project(project_id, compiled)) is not None
        }
        pages = [self._page(name, project, snapshot.revision) for name, project in self._projects.items()]
        return any(pages)

    def _project(self, project_id: str, compiled: CompiledDefinitions) -> _Project | None:
        """Return what is known of a project; None where no turn is read with those before it."""
        known = self._projects.get(project_id)
        if known is not None and known.compiled is compiled:
            return known
        detection = SessionDetection(compiled)
        if not detection.context_turns:
            return None
        if known is not None:
            return replace(known, detection=detection, compiled=compiled)
        born_ms = self._facts.born_ms(project_id, [one.name for one in compiled.of_sessions])
        return _Project(detection, compiled, born_ms, born_ms)

    def _page(self, project_id: str, project: _Project, definitions_revision: int) -> bool:
        """Look at one page of the sessions of a round, and tell whether the round has another."""
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
        project.after, project.is_first = "", False
        project.arrived_since_ms = max(project.arrived_since_ms, project.begun_ms - OVERLAP_MS)
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
