"""Tombstones: what was forgotten, as every reader of a topic checks it."""

from __future__ import annotations

import base64
import binascii
import logging
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from phospho_schemas.ids import derived_id
from phospho_schemas.rows.ledger import ItemKind, item_of_row
from phospho_store.errors import StoreError, StoreUnavailable
from phospho_store.forgetting.deletion import TABLES_OF_DEAD_LETTERS, TABLES_OF_TRACES, delete_rows, pages
from phospho_store.ledger.deletions import record_deleted_items
from phospho_store.rollups.rollups import Rollups
from phospho_store.store import Store

logger = logging.getLogger(__name__)

# The kinds of a tombstone, by the field of a row that has the id.
KIND_OF_FIELD: Mapping[str, str] = {
    "user_id": "user",
    "session_id": "session",
    "task_id": "task",
    "trace_id": "trace",
    "dead_letter_id": "dead_letter",
}
_TABLE = "tombstone_rows"
_STATE = "SELECT count() AS count, max(revision) AS revision FROM tombstone_rows"
_ALL = "SELECT project_id, digest, max(revision) AS revision FROM tombstone_rows GROUP BY project_id, digest"
_MAX_AGE_S = 1.0
_ROWS_AT_ONCE = 250
# The ids of projects in a line of JSON, also those in nested objects.
_PROJECT_IDS = re.compile(rb'"project_id"\s*:\s*"([^"\\]*)"')

# The rows of logs, which the sink inserts.
_TABLES_OF_TASKS = {
    "feedback_rows": "task_id",
    "log_part_rows": "task_id",
    "analysis_rows": "task_id",
    "task_rows": "task_id",
}


def digest_of(project_id: str, kind: str, identifier: str) -> str:
    """Return what a tombstone has in the place of an id."""
    return derived_id("forgotten", project_id, kind, identifier)


def store_tombstones(store: Store, project_id: str, identifiers: Iterable[tuple[str, str]], revision: int) -> None:
    """Store tombstones for (kind, id) pairs: what has them up to `revision` is forgotten."""
    rows = [
        {"project_id": project_id, "kind": kind, "digest": digest_of(project_id, kind, each), "revision": revision}
        for kind, each in identifiers
    ]
    if rows:
        store.insert(_TABLE, b"\n".join(map(orjson.dumps, rows)))


class _Scope(NamedTuple):
    """The project and the revision of a tombstone."""

    project_id: str
    revision: int


class Tombstones:
    """
    The tombstones of all projects, in memory. Not thread-safe.

    `refresh` reads them where they have changed. An exclusive store is asked only after it has written some: the
    question costs 2 ms of CPU, and a batch of `phospho up` may be one task. Rows of projects without any aren't
    decoded.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        # By project and digest.
        self._revisions: dict[str, dict[str, int]] = {}
        self._read_at_s = float("-inf")
        self._state: tuple[int, int] | None = None
        self._writes = -1

    def refresh(self) -> bool:
        """Read the tombstones that were stored until now; False where none came. Raises what the store raises."""
        writes = self._store.writes((_TABLE,))
        if self._store.is_exclusive and writes == self._writes:
            return False
        [row] = self._store.rows(_STATE)
        state = (int(row["count"]), int(row["revision"]))
        has_changed = state != self._state
        if has_changed:
            revisions: dict[str, dict[str, int]] = {}
            for row in self._store.rows(_ALL) if state[0] else ():
                revisions.setdefault(row["project_id"], {})[row["digest"]] = int(row["revision"])
            self._revisions, self._state = revisions, state
        self._writes = writes
        self._read_at_s = time.monotonic()
        return has_changed

    def refresh_if_old(self) -> None:
        """
        Refresh at most once a second. Where that fails, those in memory count.

        Raises StoreUnavailable as long as none were ever read.
        """
        if time.monotonic() - self._read_at_s < _MAX_AGE_S:
            return
        try:
            self.refresh()
        except StoreError as error:
            if self._state is None:
                raise StoreUnavailable(f"the tombstones can't be read: {error}") from error
            self._read_at_s = time.monotonic()
            logger.warning("the tombstones can't be read; those in memory count: %s", error)

    def decoded(self, line: bytes) -> Mapping[str, Any] | None:
        """Return the row in a line of JSON; None where its project has no tombstones."""
        if not self._revisions:
            return None
        project_ids = [each.decode("utf-8", "replace") for each in _PROJECT_IDS.findall(line)]
        # A dead letter may have no project. Its payload may say one.
        can_be_covered = not project_ids or "" in project_ids or any(map(self._revisions.__contains__, project_ids))
        return _object(line) if can_be_covered else None

    def covers(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row, or the log in a dead letter, was forgotten."""
        return bool(self._revisions) and self._covering(row) is not None

    def extend(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """
        Store tombstones of the tasks and traces of forgotten rows, and delete what is stored of them.

        Feedback, parts and steps name no user, and come before or after their task. Rows that were not forgotten have
        no effect. Safe to repeat.
        """
        forgotten: dict[_Scope, list[Mapping[str, Any]]] = {}
        for row in rows:
            if (scope := self._covering(row)) is not None:
                forgotten.setdefault(scope, []).append(row)
        for scope, of_scope in forgotten.items():
            for start in range(0, len(of_scope), _ROWS_AT_ONCE):
                self._forget_rows(scope, of_scope[start : start + _ROWS_AT_ONCE])

    def _forget_rows(self, scope: _Scope, rows: Sequence[Mapping[str, Any]]) -> None:
        items = [item for row in rows if (item := _item(row)) is not None]
        record_deleted_items(self._store, scope.project_id, items, scope.revision, reason="forgotten")
        identifiers = {pair for row in rows for pair in _identifiers(row)}
        revisions = self._revisions[scope.project_id]
        digests = {pair: digest_of(scope.project_id, *pair) for pair in identifiers}
        new = [pair for pair, digest in digests.items() if revisions.get(digest, -1) < scope.revision]
        store_tombstones(self._store, scope.project_id, new, scope.revision)
        revisions.update((digests[pair], scope.revision) for pair in new)
        self._delete(scope, identifiers)

    def _delete(self, scope: _Scope, identifiers: Iterable[tuple[str, str]]) -> None:
        """Delete the rows of tasks, traces and dead letters up to the revision."""
        by_kind: dict[str, list[str]] = {"task": [], "trace": [], "dead_letter": []}
        for kind, identifier in sorted(identifiers):
            by_kind[kind].append(identifier)
        project_id, revision = scope
        delete_rows(self._store, TABLES_OF_TRACES, project_id, by_kind["trace"], up_to=revision)
        for of_project in (project_id, ""):
            delete_rows(self._store, TABLES_OF_DEAD_LETTERS, of_project, by_kind["dead_letter"], up_to=revision)
        rollups = Rollups(self._store)
        for ids in pages(by_kind["task"]):
            hours = rollups.begin_deletion(project_id, "task_id IN {ids:Array(String)}", {"ids": list(ids)})
            delete_rows(self._store, _TABLES_OF_TASKS, project_id, ids, up_to=revision)
            rollups.end_deletion(hours)

    def _covering(self, row: Mapping[str, Any]) -> _Scope | None:
        """Return the project and revision of a tombstone that covers a row; None where none does."""
        payload = _payload(row)
        project_id, revision = row.get("project_id") or payload.get("project_id"), row.get("revision")
        if not isinstance(project_id, str) or not isinstance(revision, int):
            return None
        if revisions := self._revisions.get(project_id):
            for fields in (row, payload):
                for name, kind in KIND_OF_FIELD.items():
                    identifier = fields.get(name)
                    if identifier and isinstance(identifier, str | int):
                        forgotten = revisions.get(digest_of(project_id, kind, str(identifier)), -1)
                        if forgotten >= revision:
                            return _Scope(project_id, forgotten)
        return None


def _item(row: Mapping[str, Any]) -> tuple[ItemKind, str] | None:
    """Return the log behind a row as receipts have it; None where a dead letter doesn't say it."""
    if "payload_base64" in row:
        return (row["item_kind"], row["item_id"]) if row.get("item_kind") else None
    return item_of_row(row)


def _identifiers(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the (kind, id) pairs by which other rows belong to the same log."""
    for fields in (row, _payload(row)):
        metadata = fields.get("metadata")
        trace_id = fields.get("trace_id") or (metadata.get("trace_id") if isinstance(metadata, dict) else "")
        pairs = {"task": fields.get("task_id"), "trace": trace_id, "dead_letter": fields.get("dead_letter_id")}
        for kind, identifier in pairs.items():
            if identifier and isinstance(identifier, str | int):
                yield kind, str(identifier)


def _payload(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the log in a dead letter, with the ids that extraction gives it; empty for another row, or no JSON."""
    if "payload_base64" not in row:
        return {}
    try:
        fields = _object(base64.b64decode(row["payload_base64"], validate=True))
    except (ValueError, TypeError, binascii.Error):
        return {}
    metadata = fields.get("metadata")
    user_id = fields.get("user_id") or (metadata.get("user_id") if isinstance(metadata, dict) else None)
    return {**fields, "task_id": fields.get("task_id") or fields.get("event_id"), "user_id": user_id}


def _object(line: bytes) -> Mapping[str, Any]:
    """Return the object of a line of JSON; empty for anything else."""
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return fields if isinstance(fields, dict) else {}
