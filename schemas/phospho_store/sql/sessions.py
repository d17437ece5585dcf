"""
SQL for sessions: their facts, their state, and the events that hold for the state they are in now.

The state of a session is a hash of its tasks and their revisions, that of a turn one of its task and those that may
be read with it. Events are stored with the state in which they were found, and hold as long as it is the present one.
"""

from __future__ import annotations

from phospho_schemas.messages import MAX_CONTEXT_TURNS
from phospho_store.sql import compose


def turn_window(context_turns: int) -> str:
    """Return the window over `task_rows` that holds a turn and the `context_turns` before it."""
    return (
        "PARTITION BY project_id, session_id ORDER BY created_at, task_id"
        f" ROWS BETWEEN {context_turns} PRECEDING AND CURRENT ROW"
    )


def task_state(task_id: str = "task_id", revision: str = "task_rows.revision") -> str:
    """Return the expression of a task's part in the state of its session."""
    return f"sipHash64({task_id}, {revision})"


# XOR, as it depends on no order.
SESSION_STATE = f"groupBitXor({task_state()})"
TURN_STATE = f"{SESSION_STATE} OVER ({turn_window(MAX_CONTEXT_TURNS)})"

_DISTINCT = "arraySlice(arraySort(groupUniqArrayIf(toString($column), $column != '')), 1, 100)"
# Expressions by name, over the rows of one session in `task_rows FINAL`.
SESSION_FACTS = {
    "first_task_at": "min(created_at)",
    "last_task_at": "max(created_at)",
    "tasks": "count()",
    "user_ids": compose(_DISTINCT, column="user_id"),
    "version_ids": compose(_DISTINCT, column="version_id"),
    "models": compose(_DISTINCT, column="model"),
    "tokens_in": "sum(ifNull(task_rows.tokens_in, 0))",
    "tokens_out": "sum(ifNull(task_rows.tokens_out, 0))",
}

_SESSION_EVENTS = """(
    SELECT $columns
    FROM (SELECT * FROM session_analysis_rows FINAL WHERE $condition AND notEmpty(events.name)) AS found
    INNER JOIN
    (
        SELECT project_id, session_id, '' AS turn, $session_state AS state
        FROM task_rows FINAL
        WHERE $tasks AND (project_id, session_id) IN (
            SELECT project_id, session_id FROM session_analysis_rows
            WHERE $condition AND turn = '' AND notEmpty(events.name)
        )
        GROUP BY project_id, session_id
        UNION ALL
        SELECT project_id, session_id, task_id AS turn, $turn_state AS state
        FROM task_rows FINAL
        WHERE $tasks AND (project_id, session_id) IN (
            SELECT project_id, session_id FROM session_analysis_rows
            WHERE $condition AND turn != '' AND notEmpty(events.name)
        )
    ) AS present
    ON found.project_id = present.project_id AND found.session_id = present.session_id
        AND found.turn = present.turn AND found.state = present.state
)"""


def session_events(condition: str, *columns: str, tasks: str) -> str:
    """
    Return a subquery of the events that were found in sessions as they are now.

    `columns` are expressions on `found`, a row of `session_analysis_rows`; `condition` narrows that table, and `tasks`
    narrows `task_rows` to the tasks of whole sessions.
    """
    return compose(
        _SESSION_EVENTS,
        columns=", ".join(columns),
        condition=condition,
        tasks=tasks,
        session_state=SESSION_STATE,
        turn_state=TURN_STATE,
    )
