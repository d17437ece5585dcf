"""Events in the order in which they were stored: what webhooks are told of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phospho_store.store import Store


@dataclass(frozen=True)
class Place:
    """Where a reader stands: the time at which a row was stored, in milliseconds, and the row's identity."""

    stored_ms: int
    identity: str = ""


@dataclass(frozen=True)
class Table:
    """A table that holds events, and what a row of it is known by within everything."""

    name: str
    identity: str


TABLES = (
    Table("analysis_rows", "concat(project_id, '\\n', task_id)"),
    Table("session_analysis_rows", "concat(project_id, '\\n', session_id, '\\n', turn)"),
)


class FoundEvents:
    """Reads of events by the time at which they were stored. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def now_ms(self) -> int:
        """Return the time of the clock that stamps rows."""
        return int(self._store.rows("SELECT toUnixTimestamp64Milli(now64(3, 'UTC')) AS now_ms")[0]["now_ms"])

    def page(
        self, table: Table, place: Place, project_ids: Sequence[str], names: Sequence[str], limit: int
    ) -> list[dict[str, Any]]:
        """
        Return the next rows that hold events, in the order of `Place`, each with `stored_ms` and `identity`.

        With `names`, rows that hold one of these; without, of any name.
        """
        holds = "hasAny(events.name, {names:Array(String)})" if names else "notEmpty(events.name)"
        return self._store.rows(
            f"SELECT project_id, task_id, session_id, user_id, version_id, events, {table.identity} AS identity,"
            " toUnixTimestamp64Milli(inserted_at) AS stored_ms,"
            " formatDateTime(created_at, '%Y-%m-%dT%H:%i:%S.%fZ') AS created"
            f" FROM {table.name} FINAL WHERE project_id IN {{projects:Array(String)}} AND {holds}"
            " AND inserted_at >= fromUnixTimestamp64Milli({stored:Int64})"
            " AND (stored_ms, identity) > ({stored:Int64}, {identity:String})"
            " ORDER BY stored_ms, identity LIMIT {limit:UInt32}",
            {
                "projects": list(project_ids),
                "names": list(names),
                "stored": place.stored_ms,
                "identity": place.identity,
                "limit": limit,
            },
        )


def payload(row: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a receiver is told of one event: the names are those of the API, and no text of the task is told."""
    return {
        "type": "event.detected",
        "timestamp": row["created"],
        "data": {
            "id": event["id"],
            "name": event["name"],
            "project_id": row["project_id"],
            "task_id": row["task_id"],
            "session_id": row["session_id"],
            "user_id": row["user_id"],
            "version_id": row["version_id"],
            "created_at": row["created"],
            **{
                name: event[name]
                for name in ("definition_version", "engine", "scope", "score", "evidence", "value", "category")
            },
        },
    }
