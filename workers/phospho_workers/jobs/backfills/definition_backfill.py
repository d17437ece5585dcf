"""Backfills of one definition, that reads single tasks, or sessions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from phospho_schemas.ids import revision_ms
from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.definitions import CompiledDefinitions
from phospho_workers.detection.detect import analyse, check_task
from phospho_workers.jobs.backfills.analysis_merge import backfilled_revision, is_outdated, merged_row
from phospho_workers.jobs.backfills.history import History
from phospho_workers.jobs.sessions.session_analyses import ReadState, session_analysis_row
from phospho_workers.jobs.sessions.session_detection import SessionDetection, is_read_at_session_end
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.jobs.sessions.session_states import SessionState
from phospho_workers.jobs.sessions.turns import Turn


class TaskBackfill:
    """A definition to run over past tasks. Blocking; raises what the store raises. Thread-safe."""

    def __init__(self, history: History, definition: EventDefinition, compiled: CompiledDefinitions) -> None:
        self._history = history
        self._project_id, self._name = definition.project_id, definition.name
        self._compiled = compiled

    def run(self, task_ids: Sequence[str], definitions_revision: int) -> int:
        """Rewrite the analyses of these tasks that are of earlier definitions, and return how many events there are."""
        stored = self._history.analyses(self._project_id, task_ids)
        # Tasks that detection can't read are dead letters already.
        tasks = [task for task in self._history.tasks(self._project_id, task_ids) if check_task(task) is None]
        rows = analyse_project([task for task in tasks if task["task_id"] in stored], events_only(self._compiled))
        rows += analyse_project([task for task in tasks if task["task_id"] not in stored], self._compiled)
        merged = [self._merged(stored.get(row["task_id"]), row, definitions_revision) for row in rows]
        self._history.save([row for row in merged if row is not None])
        return sum(event["name"] == self._name for row in rows for event in row["events"])

    def _merged(
        self, stored: Mapping[str, Any] | None, row: Mapping[str, Any], definitions_revision: int
    ) -> dict[str, Any] | None:
        """Return the row to store; None where the stored one is up to date."""
        if not is_outdated(stored, row["revision"], definitions_revision):
            return None
        if stored is None:
            return {**row, "definitions_revision": backfilled_revision(None, definitions_revision)}
        return merged_row(
            stored, row, name=self._name, fields=["events", "candidates"], definitions_revision=definitions_revision
        )


def analyse_project(tasks: Sequence[Mapping[str, Any]], compiled: CompiledDefinitions) -> list[dict[str, Any]]:
    """Return the analyses of tasks of one project."""
    return analyse(tasks, {tasks[0]["project_id"]: compiled}) if tasks else []


def events_only(compiled: CompiledDefinitions) -> CompiledDefinitions:
    """Return the definitions of a project without the detection of sentiment and language."""
    settings = compiled.settings.model_copy(update={"detect_sentiment": False, "detect_language": False})
    return replace(compiled, settings=settings)


_TRANSCRIPTS_AT_ONCE = 20
_TURNS_AT_ONCE = 200

Event = Mapping[str, Any]


class _Reading(NamedTuple):
    """
    A session or a turn that was read: its tasks, and the events that all session definitions of the project find.

    `is_live` says that the session jobs read it as well, with all definitions.
    """

    session_id: str
    read_state: ReadState
    is_live: bool
    tasks: Sequence[Mapping[str, Any]]
    events: Sequence[Event]

    @property
    def key(self) -> tuple[str, str, int]:
        return self.session_id, self.read_state.turn, self.read_state.state


class SessionBackfill:
    """
    A definition to run over past sessions, with the project's others as they are. Thread-safe.

    Blocking; raises what the store raises.
    """

    def __init__(self, facts: SessionFacts, definition: EventDefinition, compiled: CompiledDefinitions) -> None:
        self._facts = facts
        self._project_id, self._name = definition.project_id, definition.name
        self._is_read_at_end = is_read_at_session_end(definition)
        self._detection = SessionDetection(compiled)
        self._idle_ms = compiled.settings.session_idle_ms
        names = [definition.name for definition in compiled.of_sessions]
        self._defined_at_ms = facts.arrivals.defined_at_ms(self._project_id, names)
        self._idle_to_ms = 0
        if self._is_read_at_end:
            times = facts.arrivals.times(self._project_id, since_ms=0)
            self._idle_to_ms = times.watermark_ms(self._idle_ms) - self._idle_ms

    def events_of(self, task_ids: Sequence[str]) -> dict[str, Event]:
        """Return the events that are found at these tasks, by the task's id. Stores nothing."""
        return {
            reading.tasks[-1]["task_id"]: event
            for readings in self._readings(task_ids)
            for reading in readings
            for event in reading.events
            if event["name"] == self._name
        }

    def run(self, task_ids: Sequence[str], definitions_revision: int) -> int:
        """Rewrite the analyses at these tasks that are of earlier definitions, and return how many events there are."""
        events = 0
        for readings in self._readings(task_ids):
            session_ids = sorted({reading.session_id for reading in readings})
            turns = sorted({reading.read_state.turn for reading in readings})
            stored = self._facts.analyses.stored(self._project_id, session_ids, turns)
            rows = [self._merged(stored.get(reading.key), reading, definitions_revision) for reading in readings]
            self._facts.analyses.save([row for row in rows if row is not None])
            events += sum(event["name"] == self._name for reading in readings for event in reading.events)
        return events

    def _merged(
        self, stored: Mapping[str, Any] | None, reading: _Reading, definitions_revision: int
    ) -> dict[str, Any] | None:
        """Return the row to store; None where the stored one is up to date."""
        if not is_outdated(stored, reading.read_state.revision, definitions_revision):
            return None
        # Other definitions have backfills of their own. But a session that the session jobs read too is read by
        # whoever comes first, for all definitions.
        events = [event for event in reading.events if reading.is_live or event["name"] == self._name]
        revision = backfilled_revision(stored, definitions_revision)
        row = session_analysis_row(reading.tasks, reading.read_state, revision, events)
        if stored is None:
            return row
        return merged_row(stored, row, name=self._name, fields=["events"], definitions_revision=definitions_revision)

    def _readings(self, task_ids: Sequence[str]) -> Iterator[list[_Reading]]:
        session_ids = self._facts.tasks.session_ids(self._project_id, task_ids)
        read = self._read_sessions if self._is_read_at_end else self._read_turns
        yield from read(session_ids, task_ids)

    def _read_sessions(self, session_ids: Sequence[str], last_task_ids: Sequence[str]) -> Iterator[list[_Reading]]:
        """Read the sessions that are over and end at one of these tasks, a page at a time."""
        wanted = set(last_task_ids)
        states = self._facts.states.states(self._project_id, session_ids)
        over = [state for state in states if state.last_task_id in wanted and state.is_over(self._idle_to_ms)]
        for begin in range(0, len(over), _TRANSCRIPTS_AT_ONCE):
            page = over[begin : begin + _TRANSCRIPTS_AT_ONCE]
            sessions = self._facts.tasks.of_sessions(self._project_id, [state.session_id for state in page])
            yield [self._session_reading(state, tasks) for state in page if (tasks := sessions.get(state.session_id))]

    def _session_reading(self, state: SessionState, tasks: Sequence[Mapping[str, Any]]) -> _Reading:
        changed_ms = revision_ms(max(state.revision, state.closed_revision))
        is_live = changed_ms >= self._defined_at_ms or state.last_ms > self._defined_at_ms - self._idle_ms
        read_state = ReadState("", state.state, state.revision)
        events = self._detection.detect_in_session(tasks)
        return _Reading(state.session_id, read_state, is_live=is_live, tasks=tasks, events=events)

    def _read_turns(self, session_ids: Sequence[str], task_ids: Sequence[str]) -> Iterator[list[_Reading]]:
        """Read the turns of these tasks, a page at a time."""
        turns = self._facts.turns.of_tasks(self._project_id, session_ids, self._detection.context_turns, task_ids)
        for begin in range(0, len(turns), _TURNS_AT_ONCE):
            page = turns[begin : begin + _TURNS_AT_ONCE]
            tasks = self._facts.tasks.by_id(self._project_id, list({name for turn in page for name in turn.task_ids}))
            yield [
                self._turn_reading(turn, [tasks[name] for name in turn.task_ids])
                for turn in page
                if all(name in tasks for name in turn.task_ids)
            ]

    def _turn_reading(self, turn: Turn, tasks: Sequence[Mapping[str, Any]]) -> _Reading:
        is_live = revision_ms(turn.revision) >= self._defined_at_ms
        read_state = ReadState(turn.task_id, turn.state, turn.revision)
        events = self._detection.detect_in_turn(tasks)
        return _Reading(turn.session_id, read_state, is_live=is_live, tasks=tasks, events=events)
