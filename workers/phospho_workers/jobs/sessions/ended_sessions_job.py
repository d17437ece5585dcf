"""
The job that reads sessions that are over, for definitions of whole sessions and of last tasks.

A session is over when it was idle for the project's timeout by the time of events, or when it was closed. A later task
reopens it: its events are no longer shown, and it is read again when it is over again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from phospho_workers.detection.definitions import CompiledDefinitions
from phospho_workers.jobs.sessions.arrivals import ArrivalTimes
from phospho_workers.jobs.sessions.session_analyses import ReadState, session_analysis_row
from phospho_workers.jobs.sessions.session_detection import SessionDetection
from phospho_workers.jobs.sessions.session_job import ProjectProgress, SessionJob
from phospho_workers.jobs.sessions.session_states import SessionState, Window
from phospho_workers.runtime import metrics

_SESSIONS_AT_ONCE = 500
_TRANSCRIPTS_AT_ONCE = 20


@dataclass
class _Progress(ProjectProgress):
    """`window` is that of the current round; sessions that became idle up to `idle_to_ms` were read."""

    idle_to_ms: int = 0
    created_ms: int = 0
    arrived_ms: int = 0
    window: Window | None = None


class EndedSessionsJob(SessionJob[_Progress]):
    """Detects in sessions that are over and were not read in their present state."""

    name = "sessions"
    project_tables = ("task_rows", "session_close_rows")
    # The last session of a quiet project ends by the clock.
    project_max_pause_s = 10.0

    def _is_needed(self, detection: SessionDetection) -> bool:
        return detection.reads_session_ends

    def _first_progress(
        self, detection: SessionDetection, compiled: CompiledDefinitions, defined_at_ms: int
    ) -> _Progress:
        return _Progress(
            detection,
            compiled,
            defined_at_ms,
            arrived_since_ms=defined_at_ms,
            idle_to_ms=defined_at_ms - compiled.settings.session_idle_ms,
        )

    def _read_page(self, project_id: str, progress: _Progress, definitions_revision: int) -> bool:
        window = progress.window or self._next_window(project_id, progress)
        changed = self._facts.states.changed(project_id, window, _SESSIONS_AT_ONCE)
        unseen = progress.seen.unseen(changed)
        states = self._facts.states.states(project_id, unseen) if unseen else []
        over = [state for state in states if state.is_over(window.idle_to_ms)]
        due = [state for state in over if not state.is_found]
        self._detect(project_id, progress, due, definitions_revision)
        progress.seen.add({state.session_id: changed[state.session_id] for state in over})
        if len(changed) == _SESSIONS_AT_ONCE:
            progress.window = replace(window, after=max(changed))
            return True
        progress.window, progress.idle_to_ms = None, window.idle_to_ms
        progress.end_round()
        return False

    def _next_window(self, project_id: str, progress: _Progress) -> Window:
        times = self._begin_round(project_id, progress)
        progress.created_ms = max(progress.created_ms, times.created_ms)
        progress.arrived_ms = max(progress.arrived_ms, times.arrived_ms)
        idle_ms = progress.compiled.settings.session_idle_ms
        latest = ArrivalTimes(times.now_ms, progress.created_ms, progress.arrived_ms)
        idle_to_ms = latest.watermark_ms(idle_ms) - idle_ms
        return Window(
            arrived_since_ms=progress.arrived_since_ms,
            idle_from_ms=min(progress.idle_to_ms, idle_to_ms),
            idle_to_ms=idle_to_ms,
            is_first=progress.is_first_round,
            defined_at_ms=progress.defined_at_ms,
        )

    def _detect(
        self, project_id: str, progress: _Progress, due: Sequence[SessionState], definitions_revision: int
    ) -> None:
        """Detect in sessions in their present state, and store the events."""
        for begin in range(0, len(due), _TRANSCRIPTS_AT_ONCE):
            states = {state.session_id: state for state in due[begin : begin + _TRANSCRIPTS_AT_ONCE]}
            rows = []
            for session_id, tasks in self._facts.tasks.of_sessions(project_id, list(states)).items():
                read_state = ReadState("", states[session_id].state, states[session_id].revision)
                events = progress.detection.detect_in_session(tasks)
                rows.append(session_analysis_row(tasks, read_state, definitions_revision, events))
            self._facts.analyses.save(rows)
            metrics.SESSIONS_ANALYSED.inc(len(rows))
