"""
Sessions that are over: what is looked for in a whole session, or in its last task, is looked for then.

A session is over when it was idle for the project's minutes by the time of events, or when it was closed. A task that
comes later reopens it: what was found is not shown any more, and is found anew when it is over again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from phospho_workers.detection.definitions import CompiledDefinitions, Snapshot
from phospho_workers.followers.concluded import OVERLAP_MS, Concluded
from phospho_workers.followers.session_facts import Moments, SessionFacts, Window, session_row
from phospho_workers.followers.transcripts import SessionDetection
from phospho_workers.runtime import metrics

_SESSIONS_AT_ONCE = 500
_TRANSCRIPTS_AT_ONCE = 20


@dataclass
class _Project:
    """
    What is known of a project between steps, all of which a restart finds again. Milliseconds.

    `window` is that of the round in hand. `concluded` has sessions that are over and looked at, by their revision.
    """

    detection: SessionDetection
    compiled: CompiledDefinitions
    arrived_since_ms: int
    idle_to_ms: int
    is_first: bool = True
    watermark_ms: int = 0
    arrived_ms: int = 0
    begun_ms: int = 0
    window: Window | None = None
    concluded: Concluded = field(default_factory=Concluded)


class EndedSessions:
    """Looks at sessions that are over and were not looked at as they are. `definitions` is asked once a step."""

    name = "sessions"
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
        """Return what is known of a project; None where nothing is looked for in its sessions."""
        known = self._projects.get(project_id)
        if known is not None and known.compiled is compiled:
            return known
        detection = SessionDetection(compiled)
        if not detection.reads_whole:
            return None
        if known is not None:
            return replace(known, detection=detection, compiled=compiled)
        # What was over before anybody asked is history: a backfill's.
        born_ms = self._facts.born_ms(project_id, [one.name for one in compiled.of_sessions])
        return _Project(detection, compiled, born_ms, born_ms - _idle_ms(compiled))

    def _page(self, project_id: str, project: _Project, definitions_revision: int) -> bool:
        """Look at one page of the sessions of a round, and tell whether the round has another."""
        window = project.window or self._begun(project_id, project)
        changed = self._facts.changed(project_id, window, _SESSIONS_AT_ONCE)
        new = project.concluded.others(changed)
        self._look(project_id, project, new, window.idle_to_ms, definitions_revision)
        if len(changed) == _SESSIONS_AT_ONCE:
            project.window = replace(window, after=max(changed))
            return True
        project.window, project.is_first, project.idle_to_ms = None, False, window.idle_to_ms
        project.arrived_since_ms = max(project.arrived_since_ms, project.begun_ms - OVERLAP_MS)
        return False

    def _begun(self, project_id: str, project: _Project) -> Window:
        moments = self._facts.moments(project_id, project.arrived_since_ms)
        project.begun_ms = moments.now_ms
        project.watermark_ms = max(project.watermark_ms, moments.created_ms)
        project.arrived_ms = max(project.arrived_ms, moments.arrived_ms)
        idle_to_ms = _watermark_ms(project, moments) - _idle_ms(project.compiled)
        idle_from_ms = min(project.idle_to_ms, idle_to_ms)
        return Window(project.arrived_since_ms, idle_from_ms, idle_to_ms, project.is_first)

    def _look(
        self, project_id: str, project: _Project, session_ids: Sequence[str], idle_to_ms: int, definitions_revision: int
    ) -> None:
        """Look at those of these sessions that are over and were not looked at as they are."""
        states = self._facts.states(project_id, session_ids) if session_ids else []
        over = {state.session_id: state for state in states if state.is_over(idle_to_ms)}
        due = [name for name, state in over.items() if state.found_revision < state.revision]
        for begin in range(0, len(due), _TRANSCRIPTS_AT_ONCE):
            transcripts = self._facts.transcripts(project_id, due[begin : begin + _TRANSCRIPTS_AT_ONCE])
            self._facts.save(
                [
                    session_row(
                        tasks, "", over[name].revision, definitions_revision, project.detection.in_session(tasks)
                    )
                    for name, tasks in transcripts.items()
                ]
            )
            metrics.SESSIONS_ANALYSED.inc(len(transcripts))
        project.concluded.add({name: state.revision for name, state in over.items()})


def _idle_ms(compiled: CompiledDefinitions) -> int:
    return compiled.settings.session_idle_minutes * 60_000


def _watermark_ms(project: _Project, moments: Moments) -> int:
    """
    Return the time up to which a project's events have been told.

    It is that of its latest task, but never the future; and the clock's, once nothing has arrived for as long as a
    session may be idle: the last session of a quiet project is over as well.
    """
    if moments.now_ms - project.arrived_ms >= _idle_ms(project.compiled):
        return moments.now_ms
    return min(project.watermark_ms, moments.now_ms)
