"""
One definition that reads sessions, run over those of the past.

It goes by tasks, as every backfill does: a session that is over is read at its last task, and a turn at its own. So a
page of tasks says which sessions are read, each is read once, and where to go on after a kill is a task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from phospho_schemas.ids import revision_ms
from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.definitions import CompiledDefinitions
from phospho_workers.jobs.backfills.analysis_merge import backfilled_revision, is_older, rewritten
from phospho_workers.jobs.sessions.session_facts import Read, SessionFacts, session_row
from phospho_workers.jobs.sessions.session_states import SessionState
from phospho_workers.jobs.sessions.transcripts import SessionDetection, reads_whole
from phospho_workers.jobs.sessions.turns import Turn

_TRANSCRIPTS_AT_ONCE = 20
_TURNS_AT_ONCE = 200

Event = Mapping[str, Any]


class _Place(NamedTuple):
    """
    What is read at one task: a whole session, or a turn and those of `task_ids` before it.

    `is_followed` says that the job of what comes looks at it as well, whatever is defined.
    """

    session_id: str
    read: Read
    is_followed: bool
    task_ids: Sequence[str] = ()

    @property
    def key(self) -> tuple[str, str, int]:
        return self.session_id, self.read.turn, self.read.state


class _Reading(NamedTuple):
    """A place, its tasks, and what all definitions of sessions find there."""

    place: _Place
    tasks: Sequence[Mapping[str, Any]]
    events: Sequence[Event]


class SessionBackfill:
    """
    A definition of one project that reads sessions, with the others as they are, at one moment.

    Blocking; raises what the store raises. Safe to share between threads.
    """

    def __init__(self, facts: SessionFacts, definition: EventDefinition, compiled: CompiledDefinitions) -> None:
        self._facts = facts
        self._project_id, self._name = definition.project_id, definition.name
        self._is_whole = reads_whole(definition)
        self._detection = SessionDetection(compiled)
        idle_ms = compiled.settings.session_idle_ms
        born_ms = facts.born_ms(self._project_id, [one.name for one in compiled.of_sessions])
        self._born_ms, self._born_idle_ms = born_ms, born_ms - idle_ms
        self._idle_to_ms = facts.moments(self._project_id, 0).told_until_ms(idle_ms) - idle_ms if self._is_whole else 0

    def found(self, task_ids: Sequence[str]) -> dict[str, Event]:
        """Return the event that is found at each of these tasks, by the task's id; nothing is stored."""
        return {
            reading.tasks[-1]["task_id"]: event
            for readings in self._readings(task_ids)
            for reading in readings
            for event in reading.events
            if event["name"] == self._name
        }

    def store(self, task_ids: Sequence[str], definitions_revision: int) -> int:
        """Store what is found at these tasks where that was found under earlier instructions; return the events."""
        found = 0
        for readings in self._readings(task_ids):
            places = [one.place for one in readings]
            known = self._facts.known(
                self._project_id, sorted({one.session_id for one in places}), sorted({one.read.turn for one in places})
            )
            rows = [self._row(one, known.get(one.place.key), definitions_revision) for one in readings]
            self._facts.save([row for row in rows if row is not None])
            found += sum(event["name"] == self._name for one in readings for event in one.events)
        return found

    def _row(
        self, reading: _Reading, known: Mapping[str, Any] | None, definitions_revision: int
    ) -> dict[str, Any] | None:
        """Return the row of a reading; None where there is one by these instructions."""
        place = reading.place
        if not is_older(known, place.read.revision, definitions_revision):
            return None
        # What the other definitions find in history is for backfills of their own; but what is followed is looked at
        # once, for all of them.
        events = [one for one in reading.events if place.is_followed or one["name"] == self._name]
        row = session_row(reading.tasks, place.read, backfilled_revision(known, definitions_revision), events)
        return row if known is None else rewritten(known, row, self._name, ["events"], definitions_revision)

    def _readings(self, task_ids: Sequence[str]) -> Iterator[list[_Reading]]:
        sessions = self._facts.sessions_of(self._project_id, task_ids)
        yield from self._wholes(sessions, set(task_ids)) if self._is_whole else self._turns(sessions, task_ids)

    def _wholes(self, session_ids: Sequence[str], wanted: set[str]) -> Iterator[list[_Reading]]:
        states = self._facts.ends.states(self._project_id, session_ids)
        over = [one for one in states if one.last_task_id in wanted and one.is_over(self._idle_to_ms)]
        for begin in range(0, len(over), _TRANSCRIPTS_AT_ONCE):
            chosen = over[begin : begin + _TRANSCRIPTS_AT_ONCE]
            transcripts = self._facts.transcripts(self._project_id, [one.session_id for one in chosen])
            yield [
                _Reading(self._session(one), tasks, self._detection.in_session(tasks))
                for one in chosen
                if (tasks := transcripts.get(one.session_id))
            ]

    def _session(self, state: SessionState) -> _Place:
        told_ms = revision_ms(max(state.revision, state.closed_revision))
        is_followed = told_ms >= self._born_ms or state.last_ms > self._born_idle_ms
        return _Place(state.session_id, Read("", state.state, state.revision), is_followed)

    def _turns(self, session_ids: Sequence[str], wanted: Sequence[str]) -> Iterator[list[_Reading]]:
        context_turns = self._detection.context_turns
        turns = self._facts.turns.of_tasks(self._project_id, session_ids, context_turns, wanted)
        for begin in range(0, len(turns), _TURNS_AT_ONCE):
            chosen = [self._turn(one) for one in turns[begin : begin + _TURNS_AT_ONCE]]
            tasks = self._facts.tasks(self._project_id, list({name for one in chosen for name in one.task_ids}))
            yield [
                _Reading(one, read, self._detection.in_turn(read))
                for one in chosen
                if len(read := [tasks[name] for name in one.task_ids if name in tasks]) == len(one.task_ids)
            ]

    def _turn(self, turn: Turn) -> _Place:
        read = Read(turn.task_id, turn.state, turn.revision)
        return _Place(turn.session_id, read, revision_ms(turn.revision) >= self._born_ms, turn.task_ids)
