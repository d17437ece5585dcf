"""Tombstones: what was forgotten, as every reader of a topic checks it."""

from __future__ import annotations

import base64
import binascii
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from phospho_schemas.ids import derived_id
from phospho_schemas.ledger import ItemKind, item_of_row
from phospho_store.errors import StoreError
from phospho_store.ledger.deletions import record_deleted_items
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
_STATE = "SELECT count() AS count, max(revision) AS revision FROM tombstone_rows"
_ALL = "SELECT digest, max(revision) AS revision FROM tombstone_rows GROUP BY digest"
_DELETE_FEEDBACK = """
DELETE FROM feedback_rows WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
    AND revision <= {revision:UInt64}
"""
_MAX_AGE_S = 1.0


def digest_of(project_id: str, kind: str, identifier: str) -> str:
    """Return what a tombstone has in the place of an id."""
    return derived_id("forgotten", project_id, kind, identifier)


def bury(store: Store, project_id: str, identifiers: Iterable[tuple[str, str]], revision: int) -> None:
    """Store tombstones for (kind, id) pairs: what has them up to `revision` is forgotten."""
    rows = [
        {"project_id": project_id, "kind": kind, "digest": digest_of(project_id, kind, each), "revision": revision}
        for kind, each in identifiers
    ]
    if rows:
        store.insert("tombstone_rows", b"\n".join(map(orjson.dumps, rows)))


class Tombstones:
    """
    The tombstones of all projects, in memory. Not thread-safe.

    `refresh` reads them where they have changed. Without any, `covers` costs nothing.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._revisions: dict[str, int] = {}
        self._read_at_s = float("-inf")
        self._state = (0, 0)

    def __bool__(self) -> bool:
        return bool(self._revisions)

    def refresh(self) -> None:
        """Read the tombstones that were stored until now. Raises what the store raises."""
        [row] = self._store.rows(_STATE)
        state = (int(row["count"]), int(row["revision"]))
        if state != self._state:
            self._revisions = {row["digest"]: int(row["revision"]) for row in self._store.rows(_ALL)}
            self._state = state

    def refresh_if_old(self) -> None:
        """Refresh at most once a second; where they can't be read, what was read last counts."""
        if time.monotonic() - self._read_at_s >= _MAX_AGE_S:
            self._read_at_s = time.monotonic()
            try:
                self.refresh()
            except StoreError as error:
                logger.warning("the tombstones can't be read; those known count: %s", error)

    def covers(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row, or the log in a dead letter, was forgotten."""
        return bool(self._revisions) and self._covering(row) is not None

    def covers_line(self, line: bytes) -> bool:
        """Tell whether a row, as a line of JSON, was forgotten."""
        return bool(self._revisions) and self._covering(_decoded(line)) is not None

    def bury_tasks(self, lines: Iterable[bytes]) -> None:
        """
        Store tombstones of the tasks that forgotten rows are of, and delete what names only the task.

        Feedback may have come before its task, or come later. What `lines` has of others stays as it is.
        """
        by_project: dict[str, dict[str, int]] = {}
        items: dict[tuple[str, int], list[tuple[ItemKind, str]]] = {}
        for row in map(_decoded, lines if self._revisions else ()):
            revision = self._covering(row)
            if revision is not None and (task_id := row.get("task_id")):
                by_project.setdefault(row["project_id"], {})[task_id] = revision
                items.setdefault((row["project_id"], revision), []).append(item_of_row(row))
        for (project_id, revision), deleted in items.items():
            record_deleted_items(self._store, project_id, deleted, revision, reason="forgotten")
        for project_id, revisions in by_project.items():
            newest = max(revisions.values())
            for task_id in revisions:
                digest = digest_of(project_id, "task", task_id)
                self._revisions[digest] = max(newest, self._revisions.get(digest, 0))
            bury(self._store, project_id, (("task", each) for each in revisions), newest)
            parameters = {"project": project_id, "tasks": list(revisions), "revision": newest}
            self._store.command(_DELETE_FEEDBACK, parameters)

    def _covering(self, row: Mapping[str, Any]) -> int | None:
        """Return the revision of a tombstone that covers a row, None where none does."""
        project_id, revision = row.get("project_id"), row.get("revision")
        if not isinstance(project_id, str) or not isinstance(revision, int):
            return None
        for fields in (row, _payload(row)) if "payload_base64" in row else (row,):
            for name, kind in KIND_OF_FIELD.items():
                identifier = fields.get(name)
                if identifier and isinstance(identifier, str | int):
                    forgotten = self._revisions.get(digest_of(project_id, kind, str(identifier)), -1)
                    if forgotten >= revision:
                        return forgotten
        return None


def _decoded(line: bytes) -> Mapping[str, Any]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return row if isinstance(row, dict) else {}


def _payload(letter: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the log in a dead letter; empty where it is none."""
    try:
        log = orjson.loads(base64.b64decode(letter["payload_base64"], validate=True))
    except (ValueError, TypeError, binascii.Error):
        return {}
    return log if isinstance(log, dict) else {}
