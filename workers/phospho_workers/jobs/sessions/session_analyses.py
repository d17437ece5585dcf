"""The rows of `session_analysis_rows`: what was found in a session or a turn, in one state of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from phospho_schemas.messages import SCHEMA_VERSION
from phospho_store.store import Store

# Parameters: project, sessions, turns.
_STORED = """
SELECT * EXCEPT (inserted_at, created_at), formatDateTime(created_at, '%Y-%m-%dT%H:%i:%S.%fZ') AS created_at
FROM session_analysis_rows FINAL
WHERE project_id = {project:String} AND session_id IN {sessions:Array(String)} AND turn IN {turns:Array(String)}
"""


class ReadState(NamedTuple):
    """A turn, by the id of its task, or a whole session (empty `turn`), in the state in which it is read."""

    turn: str
    state: int
    revision: int


class SessionAnalyses:
    """Reads and writes of SessionAnalysisRows. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def stored(
        self, project_id: str, session_ids: Sequence[str], turns: Sequence[str]
    ) -> dict[tuple[str, str, int], dict[str, Any]]:
        """Return the rows of these sessions and turns, by session, turn and state."""
        parameters = {"project": project_id, "sessions": list(session_ids), "turns": list(turns)}
        return {(row["session_id"], row["turn"], row["state"]): row for row in self._store.rows(_STORED, parameters)}

    def save(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store rows."""
        if rows:
            self._store.insert("session_analysis_rows", b"\n".join(orjson.dumps(row) for row in rows))


def session_analysis_row(
    tasks: Sequence[Mapping[str, Any]],
    read_state: ReadState,
    definitions_revision: int,
    events: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the SessionAnalysisRow of `tasks` that were read together; the events are the last task's."""
    last = tasks[-1]
    return {
        "schema_version": SCHEMA_VERSION,
        "project_id": last["project_id"],
        "session_id": last["session_id"],
        "turn": read_state.turn,
        "state": read_state.state,
        "revision": read_state.revision,
        "definitions_revision": definitions_revision,
        "task_id": last["task_id"],
        "tasks": len(tasks),
        "user_id": last["user_id"],
        "version_id": last["version_id"],
        "created_at": last["created_at"],
        "events": list(events),
    }
