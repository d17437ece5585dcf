"""Retention: delete the rows that are older than their project's retention."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from phospho_schemas.messages import Project
from phospho_schemas.times import utc_now
from phospho_store.errors import StoreError
from phospho_store.forgetting.deletion import pages
from phospho_store.ledger.deletions import record_deletions
from phospho_store.registry.registry import Registry
from phospho_store.rollups.rollups import Hour, Rollups
from phospho_store.sql import compose
from phospho_store.store import Store

logger = logging.getLogger(__name__)

INTERVAL_S = 3600.0
# The ids of one statement are held in memory: some 100 MB of them.
MAX_IDENTITIES = 1_000_000


@dataclass(frozen=True)
class _Expiry:
    """A table whose rows expire, with the identity of a row within its project and the column of its time."""

    table: str
    identity: str
    time: str


@dataclass(frozen=True)
class _Annotation:
    """A table of rows about tasks: the identity of a row within its project, and a further condition on it."""

    table: str
    identity: str
    condition: str = "true"


_EXPIRIES = (
    _Expiry("analysis_rows", "task_id", "created_at"),
    _Expiry("step_rows", "(trace_id, span_id)", "created_at"),
    _Expiry("log_part_rows", "(task_id, whole_log_id, part)", "created_at"),
    _Expiry("session_analysis_rows", "(session_id, turn, state)", "created_at"),
    _Expiry("session_task_rows", "(task_id, session_id)", "created_at"),
    _Expiry("session_close_rows", "session_id", "created_at"),
    _Expiry("webhook_delivery_rows", "(webhook_id, event_id)", "created_at"),
    _Expiry("dead_letter_rows", "dead_letter_id", "received_at"),
    _Expiry("dead_letter_action_rows", "dead_letter_id", "created_at"),
    # Last: while anything about it is there, the task is.
    _Expiry("task_rows", "task_id", "created_at"),
)


_SHARED_CONTENTS = """
SELECT arrayJoin(candidates.content) AS content FROM analysis_rows
WHERE project_id = {project:String} AND created_at >= {cutoff:DateTime64(3, 'UTC')}
AND content IN (SELECT content FROM judgement_rows WHERE project_id = {project:String})
"""
# What people and judges wrote on a task goes with it, however new it is. Where the task is not stored, its own time
# counts.
_ANNOTATIONS = (
    _Annotation("feedback_rows", "(task_id, feedback_id)"),
    _Annotation("note_rows", "(task_id, note_id)"),
    _Annotation("label_rows", "(event_name, task_id)"),
    _Annotation("review_rows", "(event_name, task_id, created_by)"),
    # A judgement holds for every task with the same texts: it stays while one of them does.
    _Annotation("judgement_rows", "(name, definition_version, content)", f"content NOT IN ({_SHARED_CONTENTS})"),
)

_EXPIRED_TASKS = """
SELECT task_id FROM task_rows FINAL
WHERE project_id = {project:String} AND created_at < {cutoff:DateTime64(3, 'UTC')}
ORDER BY created_at LIMIT $limit
"""
_EXPIRED_WITH_TASK = """
SELECT $identity FROM $table FINAL
WHERE project_id = {project:String} AND (
    task_id IN ($expired_tasks)
    OR created_at < {cutoff:DateTime64(3, 'UTC')}
    AND task_id NOT IN
    (
        SELECT task_id FROM task_rows
        WHERE project_id = {project:String} AND task_id IN
        (
            SELECT task_id FROM $table
            WHERE project_id = {project:String} AND created_at < {cutoff:DateTime64(3, 'UTC')}
        )
    )
) AND $condition
ORDER BY created_at LIMIT $limit
"""
_EXPIRED = """
SELECT $identity FROM $table FINAL
WHERE project_id = {project:String} AND $time < {cutoff:DateTime64(3, 'UTC')}
ORDER BY $time LIMIT $limit
"""
_DELETE = "DELETE FROM $table WHERE project_id = {project:String} AND $condition"

_HAS_ID = "toString(tuple($identity)) IN {ids:Array(String)}"


@dataclass(frozen=True)
class Deleted:
    """The rows that one statement deleted, counted by identity, whatever their revisions."""

    project_id: str
    table: str
    identities: int


def enforce(
    store: Store, registry: Registry, now: datetime, *, max_identities: int = MAX_IDENTITIES
) -> Iterator[Deleted]:
    """
    Delete what has expired by `now`, and yield what was deleted, statement by statement.

    A row expires `retention_days` after its time, 0 keeps it for ever; dead letters of no project are kept. Feedback,
    notes, labels and judgements expire with their task; a judgement stays while a task with the same texts does. It is
    the row that readers see that counts: an identity whose last revision has expired goes with all of its revisions,
    so that no older one comes up again. At most `max_identities` a table and project go in one call, the oldest first;
    the next call deletes the rest. Safe to repeat and to run from many processes at once. Blocking.

    ClickHouse still knows the tokens of the inserts whose rows are gone: the same range inserted again stays deleted.
    Raises what the store raises; what was yielded is deleted.
    """
    for project in registry.projects():
        if project.retention_days:
            expiring = _Expiring(store, project, _cutoff(project.retention_days, now), str(max_identities))
            hours = expiring.begin()
            for annotation in _ANNOTATIONS:
                yield from expiring.annotations(annotation)
            for expiry in _EXPIRIES:
                yield from expiring.rows(expiry)
            Rollups(store).end_deletion(hours)


def expired_tasks(store: Store, project_id: str, retention_days: int, now: datetime) -> int:
    """Return how many tasks `enforce` would delete, did their project keep them for `retention_days`, 1 or more."""
    sql = (
        "SELECT count() AS tasks FROM task_rows FINAL"
        " WHERE project_id = {project:String} AND created_at < {cutoff:DateTime64(3, 'UTC')}"
    )
    return int(store.rows(sql, {"project": project_id, "cutoff": _cutoff(retention_days, now)})[0]["tasks"])


async def enforce_hourly(store: Store, registry: Registry, now: Callable[[], datetime] = utc_now) -> None:
    """
    Enforce retention now and every hour, until cancelled; the loop is never blocked.

    While the store is away it logs that and waits for the next hour.
    """
    while True:
        await asyncio.to_thread(_enforce_and_log, store, registry, now())
        await asyncio.sleep(INTERVAL_S)


def _enforce_and_log(store: Store, registry: Registry, now: datetime) -> None:
    try:
        for deleted in enforce(store, registry, now):
            logger.info("%s: %d of %s have expired", deleted.project_id, deleted.identities, deleted.table)
    except StoreError as error:
        logger.warning("retention waits for the next hour: %s", error)


@dataclass(frozen=True)
class _Expiring:
    """The rows of a project that expire at a cutoff, at most `limit` of a table."""

    store: Store
    project: Project
    cutoff: str
    limit: str

    def begin(self) -> list[Hour]:
        """Return the hours with tasks to delete; no rollup of them holds any more."""
        expired = "created_at < {cutoff:DateTime64(3, 'UTC')}"
        return Rollups(self.store).begin_deletion(self.project.project_id, expired, {"cutoff": self.cutoff})

    def annotations(self, annotation: _Annotation) -> Iterator[Deleted]:
        """Delete what is about tasks that expire, or about none."""
        expired = compose(
            _EXPIRED_WITH_TASK,
            table=annotation.table,
            identity=annotation.identity,
            condition=annotation.condition,
            expired_tasks=compose(_EXPIRED_TASKS, limit=self.limit),
            limit=self.limit,
        )
        return self._delete(annotation.table, annotation.identity, expired)

    def rows(self, expiry: _Expiry) -> Iterator[Deleted]:
        """Delete what is older than the cutoff."""
        parts = {"table": expiry.table, "identity": expiry.identity, "time": expiry.time, "limit": self.limit}
        return self._delete(expiry.table, expiry.identity, compose(_EXPIRED, **parts))

    def _delete(self, table: str, identity: str, expired: str) -> Iterator[Deleted]:
        parameters = {"project": self.project.project_id, "cutoff": self.cutoff}
        # A delete looks into every part, also where it finds nothing: count first.
        identities = int(self.store.rows(f"SELECT count() AS identities FROM ({expired})", parameters)[0]["identities"])
        if identities:
            for condition, further in self._conditions(identity, expired, parameters):
                record_deletions(self.store, table, condition, {**parameters, **further})
                self.store.command(compose(_DELETE, table=table, condition=condition), {**parameters, **further})
            yield Deleted(self.project.project_id, table, identities)

    def _conditions(
        self, identity: str, expired: str, parameters: dict[str, Any]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """
        Yield the conditions of the deletes, with their parameters.

        The shards of a cluster delete one by one, and each would ask for what has expired when the others have begun:
        there, the ids are read once.
        """
        if self.store.cluster is None:
            yield f"{identity} IN ({expired})", {}
            return
        rows = self.store.rows(f"SELECT toString(tuple(*)) AS id FROM ({expired})", parameters)
        for ids in pages(row["id"] for row in rows):
            yield compose(_HAS_ID, identity=identity), {"ids": list(ids)}


def _cutoff(retention_days: int, now: datetime) -> str:
    """Return the time before which rows expire, as ClickHouse reads it."""
    return f"{now.astimezone(UTC) - timedelta(days=retention_days):%Y-%m-%d %H:%M:%S.%f}"[:-3]
