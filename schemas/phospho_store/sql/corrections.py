"""SQL that applies labels, judgements and session events to the analyses of one project, reading only what it has."""

from __future__ import annotations

from dataclasses import dataclass

from phospho_store.sql.events import found_names, labelled
from phospho_store.sql.sessions import session_events

_OF_PROJECT = "project_id = {project:String}"
_HAS_EVENT = "has(events.name, {event:String})"
_REJECTED = labelled("rejected", "task_id", "event_name")
_CONFIRMED = labelled("confirmed", "task_id", "event_name")
_CONFIRMED_NAMES = labelled("confirmed", "groupUniqArray(event_name)")


@dataclass(frozen=True)
class Corrections:
    """
    The kinds of corrections that a project has; the SQL of its events looks for these and for no other.

    Labels are people's, judgements a judge's. Session events were found in whole sessions, in last tasks, or in turns
    that are read with those before them. Feedback corrects the flag that was logged with a task. A bare label adds an
    event to a task that was not analysed.
    """

    has_labels: bool = False
    has_judgements: bool = False
    has_session_events: bool = False
    has_feedback: bool = False
    has_bare_labels: bool = False

    def found_names(self) -> str:
        """Return the expression of the names found in a row of `analysis_rows`, after judgements."""
        return found_names(has_judgements=self.has_judgements)

    def names(self, span: str) -> str:
        """
        Return the expression of the names of the events in a row of `analysis_rows`, after judgements and labels.

        Few tasks have a label: only theirs are looked at name by name. `span` is the condition on project and time.
        """
        if not self.has_labels:
            return self.found_names()
        unrejected_names = f"arrayFilter(name -> (task_id, name) NOT IN ({_REJECTED}), found_names)"
        is_added = f"{self.is_added('task_id', 'name', span)} AND NOT has(found_names, name)"
        added = f"arrayFilter(name -> {is_added}, ({_CONFIRMED_NAMES}))"
        return f"""if(
            task_id IN (SELECT task_id FROM label_rows WHERE {_OF_PROJECT}),
            arrayConcat({unrejected_names}, {added}), {self.found_names()} AS found_names
        )"""

    def names_in_sessions(self) -> str:
        """Return the expression of those of `found_names`, found in a session at `task_id`, that nobody rejected."""
        unrejected = f"arrayFilter(name -> (task_id, name) NOT IN ({_REJECTED}), found_names)"
        return unrejected if self.has_labels else "found_names"

    def is_added(self, task_id: str, name: str, span: str) -> str:
        """
        Return the condition that people added an event to a task, and that it was not found in the task's session.

        `span` holds for both: events found in a session have the time of their task.
        """
        condition = f"({task_id}, {name}) IN ({_CONFIRMED})"
        if not self.has_session_events:
            return condition
        of_labels = f"{span} AND task_id IN ({labelled('confirmed', 'task_id')})"
        names = "found.task_id AS task_id", "arrayJoin(found.events.name) AS name"
        in_sessions = session_events(of_labels, *names, tasks=_OF_PROJECT)
        return f"{condition} AND ({task_id}, {name}) NOT IN (SELECT task_id, toString(name) FROM {in_sessions})"

    def has_event(self, is_found: str, span: str) -> str:
        """
        Return the condition on a `task_id` that its task has the event {event:String}.

        `is_found` is the condition that its analysis shows it; `span` narrows the session events that are read.
        """
        condition = is_found
        if self.has_session_events:
            in_sessions = session_events(f"{span} AND {_HAS_EVENT}", "found.task_id", tasks=_OF_PROJECT)
            condition = f"({condition} OR task_id IN {in_sessions})"
        if self.has_labels:
            of_event = " AND event_name = {event:String}"
            rejected = labelled("rejected", "task_id") + of_event
            confirmed = labelled("confirmed", "task_id") + of_event
            condition = f"(({condition} AND task_id NOT IN ({rejected})) OR task_id IN ({confirmed}))"
        return condition


NO_CORRECTIONS = Corrections()
