"""
Sessions that are over: what is looked for in a whole session, or in its last task, is looked for then.

A session is over when it was idle for the project's minutes by the time of events, or when it was closed. A task that
comes later reopens it: what was found is not shown any more, and is found anew when it is over again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from phospho_workers.detection.definitions import CompiledDefinitions
from phospho_workers.jobs.sessions.session_facts import Moments, Read, session_row
from phospho_workers.jobs.sessions.session_job import ProjectProgress, SessionJob
from phospho_workers.jobs.sessions.session_states import SessionState, Window
from phospho_workers.jobs.sessions.transcripts import SessionDetection
from phospho_workers.runtime import metrics

_SESSIONS_AT_ONCE = 500
_TRANSCRIPTS_AT_ONCE = 20


@dataclass
class _Project(ProjectProgress):
    """`window` is that of the round in hand; what became idle up to `idle_to_ms` was looked at."""

    idle_to_ms: int = 0
    created_ms: int = 0
    arrived_ms: int = 0
    window: Window | None = None


class EndedSessionsJob(SessionJob[_Project]):
    """Looks at sessions that are over and were not looked at as they are."""

    name = "sessions"
    project_tables = ("task_rows", "session_close_rows")
    # A quiet project's last session is over by the clock.
    project_max_pause_s = 10.0

    def _is_needed(self, detection: SessionDetection) -> bool:
        return detection.reads_whole

    def _begun(self, detection: SessionDetection, compiled: CompiledDefinitions, born_ms: int) -> _Project:
        return _Project(detection, compiled, born_ms, born_ms, idle_to_ms=born_ms - compiled.settings.session_idle_ms)

    def _page(self, project_id: str, project: _Project, definitions_revision: int) -> bool:
        window = project.window or self._window(project_id, project)
        changed = self._facts.ends.changed(project_id, window, _SESSIONS_AT_ONCE)
        over = self._over(project_id, project.seen.unseen(changed), window.idle_to_ms)
        self._look(project_id, project, [one for one in over if not one.is_found], definitions_revision)
        project.seen.add({one.session_id: changed[one.session_id] for one in over})
        if len(changed) == _SESSIONS_AT_ONCE:
            project.window = replace(window, after=max(changed))
            return True
        project.window, project.idle_to_ms = None, window.idle_to_ms
        project.end_round()
        return False

    def _window(self, project_id: str, project: _Project) -> Window:
        moments = self._moments(project_id, project)
        project.created_ms = max(project.created_ms, moments.created_ms)
        project.arrived_ms = max(project.arrived_ms, moments.arrived_ms)
        idle_ms = project.compiled.settings.session_idle_ms
        idle_to_ms = Moments(moments.now_ms, project.created_ms, project.arrived_ms).told_until_ms(idle_ms) - idle_ms
        idle_from_ms = min(project.idle_to_ms, idle_to_ms)
        return Window(project.arrived_since_ms, idle_from_ms, idle_to_ms, project.is_first, project.born_ms)

    def _over(self, project_id: str, session_ids: Sequence[str], idle_to_ms: int) -> list[SessionState]:
        """Return those of these sessions that are over."""
        states = self._facts.ends.states(project_id, session_ids) if session_ids else []
        return [one for one in states if one.is_over(idle_to_ms)]

    def _look(self, project_id: str, project: _Project, due: Sequence[SessionState], definitions_revision: int) -> None:
        """Look at sessions as they are, and store what is found in them."""
        for begin in range(0, len(due), _TRANSCRIPTS_AT_ONCE):
            chosen = {one.session_id: one for one in due[begin : begin + _TRANSCRIPTS_AT_ONCE]}
            transcripts = self._facts.transcripts(project_id, list(chosen))
            rows = []
            for name, tasks in transcripts.items():
                read = Read("", chosen[name].state, chosen[name].revision)
                rows.append(session_row(tasks, read, definitions_revision, project.detection.in_session(tasks)))
            self._facts.save(rows)
            metrics.SESSIONS_ANALYSED.inc(len(rows))
