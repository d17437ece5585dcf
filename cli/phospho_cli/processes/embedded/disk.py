"""A reserve of free space on the disk of the embedded ClickHouse, which keeps a full disk from losing rows."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from phospho_store.errors import StoreError
from phospho_store.sql import compose
from phospho_store.store import DATABASE, Store
from phospho_web.problems import Problem
from phospho_workers.sink.planner import TABLES

logger = logging.getLogger(__name__)

_POLL_S = 0.25
_RETRY_AFTER_S = 10
# Ingest goes on with more space than it stopped at, so that it doesn't stop again at once.
_RESUME_RATIO = 1.1
_MAX_RESERVE_RATIO = 10
_MERGES_END_WITHIN_S = 5.0
# Longer than a merge takes that met the full disk; its sources are kept for 8 minutes.
_RECENT_S = 900
# Larger parts have a file for each of their streams.
_PACKED_BYTES = 1_000_000

_TABLE_SETTINGS = """
ALTER TABLE $table MODIFY SETTING
    fsync_after_insert = 1, fsync_part_directory = 1, min_bytes_for_full_part_storage = $packed_bytes
"""
_MERGES = f"SELECT count() AS running FROM system.merges WHERE database = '{DATABASE}'"
_MERGED_TABLES = f"""
SELECT DISTINCT table FROM system.parts
WHERE database = '{DATABASE}' AND active AND level > 0 AND modification_time > now() - INTERVAL {_RECENT_S} SECOND
"""


def prepare_tables(store: Store) -> None:
    """
    Let the tables of facts write each insert through to the disk before it returns, a small one as one file.

    A part of its own for each request has eleven files otherwise, which are created, synced and deleted again.
    """
    for table in TABLES.values():
        store.command(compose(_TABLE_SETTINGS, table=table, packed_bytes=str(_PACKED_BYTES)))


class DiskReserve:
    """
    Watches the free space. Below the reserve ingest is refused, no merge runs, and the process is not ready.

    Merges stop because ClickHouse 26.9 commits a merge whose last write failed: its rows can't be read (codes 246 and
    33), and are gone once the sources are deleted. Tables with recent merges are attached anew, which drops such a
    merge in favour of its sources. With space back all goes on by itself.
    """

    def __init__(
        self, store: Store, path: Path, reserve_bytes: int, free_bytes: Callable[[], int] | None = None
    ) -> None:
        disk = os.statvfs(path)
        self._store = store
        self._path = path
        self._reserve_bytes = min(reserve_bytes, disk.f_blocks * disk.f_frsize // _MAX_RESERVE_RATIO)
        self._free_bytes = free_bytes or self._read_free_bytes
        self._is_low = False
        self._detached: list[str] = []
        self._wake = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="phospho-disk", daemon=True)

    def start(self) -> None:
        """Look once, then in a thread."""
        self.look()
        self._thread.start()

    def close(self) -> None:
        self._is_closed = True
        self._wake.set()
        self._thread.join(_MERGES_END_WITHIN_S)

    def refuse_if_low(self) -> None:
        """Raise Problem (503) while less than the reserve is free. Never blocks."""
        if self._is_low or self._free_bytes() < self._reserve_bytes:
            self._wake.set()
            raise Problem(
                503, "disk_full", self._reason(), "it goes on once there is space", retry_after_s=_RETRY_AFTER_S
            )

    def check(self) -> str | None:
        """Return why the process is not ready, or None."""
        return self._reason() if self._is_low else None

    def look(self) -> None:
        """Compare the free space with the reserve, and stop or go on. Blocks for seconds where it stops."""
        free_bytes = self._free_bytes()
        if not self._is_low and free_bytes < self._reserve_bytes:
            self._is_low = True
            logger.error("%s: logs are refused until there is. Free some space; it goes on by itself.", self._reason())
            self._protect()
        elif self._is_low and free_bytes >= self._reserve_bytes * _RESUME_RATIO and self._attach():
            self._command("SYSTEM START MERGES")
            self._is_low = False
            logger.warning("The disk of %s has space again; logs are taken.", self._path)

    def _run(self) -> None:
        while not self._is_closed:
            self._wake.wait(_POLL_S)
            self._wake.clear()
            try:
                self.look()
            except Exception:
                # The edge of this thread, without which logs would be refused for ever.
                logger.exception("the free space can't be looked at; trying again")

    def _reason(self) -> str:
        return f"the disk of {self._path} has less than {self._reserve_bytes:,} bytes free"

    def _read_free_bytes(self) -> int:
        disk = os.statvfs(self._path)
        return disk.f_bavail * disk.f_frsize

    def _protect(self) -> None:
        """Stop the merges, and attach the tables anew that have recent ones."""
        self._command("SYSTEM STOP MERGES")
        deadline_s = time.monotonic() + _MERGES_END_WITHIN_S
        try:
            while self._store.rows(_MERGES)[0]["running"] and time.monotonic() < deadline_s:
                time.sleep(0.05)
            for row in self._store.rows(_MERGED_TABLES):
                if self._command(compose("DETACH TABLE $table SYNC", table=row["table"])):
                    self._detached.append(row["table"])
                    self._attach()
        except StoreError as error:
            logger.error("the tables can't be checked: %s", error)
        # An attached table is a new one, whose merges run.
        self._command("SYSTEM STOP MERGES")

    def _attach(self) -> bool:
        """Attach the detached tables; False where one is left."""
        self._detached = [
            table for table in self._detached if not self._command(compose("ATTACH TABLE $table", table=table))
        ]
        return not self._detached

    def _command(self, sql: str) -> bool:
        try:
            self._store.command(sql)
        except StoreError as error:
            logger.error("%s failed: %s", sql, error)
            return False
        return True
