"""
What makes the events of a project others than its analyses say, as SQL: the rules of the view `events`, for pages.

The view reads every project and every time; a page reads one project's span, and only what the project has.
"""

from __future__ import annotations

from dataclasses import dataclass

from phospho_schemas.messages import MAX_CONTEXT_TURNS

_AS_FOUND = "CAST(events.name, 'Array(String)')"
_JUDGEMENTS = """(
    SELECT name, definition_version, content FROM judgement_rows FINAL
    WHERE project_id = {{project:String}} AND answer {answer}
)"""
# A judgement is of one version of a definition and of one content, which stands in the candidate of the same name.
_AS_JUDGED = f"""arrayConcat(
    arrayFilter(
        (name, version) -> (name, version, candidates.content[indexOf(candidates.name, name)])
            NOT IN {_JUDGEMENTS.format(answer="NOT IN ('', 'yes')")},
        {_AS_FOUND}, events.definition_version
    ),
    arrayFilter(
        (name, version, content) -> NOT has(events.name, name)
            AND (name, version, content) IN {_JUDGEMENTS.format(answer="= 'yes'")},
        CAST(candidates.name, 'Array(String)'), candidates.definition_version, candidates.content
    )
)""".replace("{{", "{").replace("}}", "}")
_LABELLED = "SELECT {columns} FROM label_rows FINAL WHERE project_id = {{project:String}} AND label = '{label}'"
# What was found in a session is of the tasks, in their revisions, that were read, as the view `found_events` says: the
# present state of a session, or of a turn with what may be read with it, has the row of the same hash.
_SESSION_EVENTS = f"""(
    SELECT {{columns}}
    FROM (SELECT * FROM session_analysis_rows FINAL WHERE {{condition}} AND notEmpty(events.name)) AS found
    INNER JOIN
    (
        SELECT session_id, '' AS turn, groupBitXor(sipHash64(task_id, task_rows.revision)) AS state
        FROM task_rows FINAL
        WHERE project_id = {{{{project:String}}}} AND {{within}} AND session_id IN (
            SELECT session_id FROM session_analysis_rows WHERE {{condition}} AND turn = '' AND notEmpty(events.name)
        )
        GROUP BY session_id
        UNION ALL
        SELECT session_id, task_id AS turn,
            groupBitXor(sipHash64(task_id, task_rows.revision)) OVER (
                PARTITION BY session_id ORDER BY created_at, task_id
                ROWS BETWEEN {MAX_CONTEXT_TURNS} PRECEDING AND CURRENT ROW
            ) AS state
        FROM task_rows FINAL
        WHERE project_id = {{{{project:String}}}} AND {{within}} AND session_id IN (
            SELECT session_id FROM session_analysis_rows WHERE {{condition}} AND turn != '' AND notEmpty(events.name)
        )
    ) AS present
    ON found.session_id = present.session_id AND found.turn = present.turn AND found.state = present.state
)"""


def labelled(label: str, *columns: str) -> str:
    """Return the query of these columns of `label_rows` where people said `rejected` or `confirmed`."""
    return _LABELLED.format(columns=", ".join(columns), label=label)


_REJECTED = labelled("rejected", "task_id", "event_name")
_ADDED_NAMES = labelled("confirmed", "groupUniqArray(event_name)")


@dataclass(frozen=True)
class Corrections:
    """
    Which kinds of corrections a project has: reading its events looks for these and for no other.

    Labels are people's, judgements a judge's, and session events were found in whole sessions, in last tasks
    or in turns that are read with those before them. Feedback corrects the flag that was logged with a task. A bare
    label adds an event to a task that was not analysed.
    """

    has_labels: bool = False
    has_judgements: bool = False
    has_session_events: bool = False
    has_feedback: bool = False
    has_bare_labels: bool = False

    def found_names(self) -> str:
        """Return the names of what was found in a row of `analysis_rows`, after judgements."""
        return _AS_JUDGED if self.has_judgements else _AS_FOUND

    def names(self, span: str) -> str:
        """
        Return the names of the events of a row of `analysis_rows`: what was found, as people corrected it.

        Few tasks have a label: only theirs are looked at name by name. `span` is the condition on project and time.
        """
        if not self.has_labels:
            return self.found_names()
        kept = f"arrayFilter(name -> (task_id, name) NOT IN ({_REJECTED}), found_names)"
        is_added = f"{self.is_added('task_id', 'name', span)} AND NOT has(found_names, name)"
        added = f"arrayFilter(name -> {is_added}, ({_ADDED_NAMES}))"
        return f"""if(
            task_id IN (SELECT task_id FROM label_rows WHERE project_id = {{project:String}}),
            arrayConcat({kept}, {added}), {self.found_names()} AS found_names
        )"""

    def names_in_sessions(self) -> str:
        """Return those of `found_names`, what was found in a session at the task `task_id`, that nobody rejected."""
        unrejected = f"arrayFilter(name -> (task_id, name) NOT IN ({_REJECTED}), found_names)"
        return unrejected if self.has_labels else "found_names"

    def is_added(self, task_id: str, name: str, span: str) -> str:
        """
        Return the condition that people added an event to a task, and not to what was found in its session.

        What was found in a session has the time of its task, so that `span` holds for both.
        """
        condition = f"({task_id}, {name}) IN ({labelled('confirmed', 'task_id', 'event_name')})"
        if not self.has_session_events:
            return condition
        of_labels = f"{span} AND task_id IN ({labelled('confirmed', 'task_id')})"
        found = session_events(of_labels, "found.task_id AS task_id", "arrayJoin(found.events.name) AS name")
        return f"{condition} AND ({task_id}, {name}) NOT IN (SELECT task_id, toString(name) FROM {found})"

    def has_event(self, found: str, condition: str) -> str:
        """
        Return the condition on a `task_id` that its task has the event {event:String}.

        `found` is the condition that its analysis shows it, `condition` says where session events are looked for.
        """
        if self.has_session_events:
            own = f"{condition} AND has(events.name, {{event:String}})"
            found = f"({found} OR task_id IN {session_events(own, 'found.task_id')})"
        if self.has_labels:
            of_event = " AND event_name = {event:String}"
            rejected = labelled("rejected", "task_id") + of_event
            confirmed = labelled("confirmed", "task_id") + of_event
            found = f"(({found} AND task_id NOT IN ({rejected})) OR task_id IN ({confirmed}))"
        return found


NO_CORRECTIONS = Corrections()


def session_events(condition: str, *columns: str, within: str = "1") -> str:
    """
    Return a subquery of what was found in sessions as they are now: expressions on `found`, a row of the table.

    `condition` is one on `session_analysis_rows`; `within` one on `session_id` alone, where that is known.
    """
    return _SESSION_EVENTS.format(columns=", ".join(columns), condition=condition, within=within)
