"""Inserts of JSON lines that store every row except those that ClickHouse refuses by themselves."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from phospho_schemas.topics import Keyed
from phospho_store.errors import StatementRefused, StoreUnavailable
from phospho_store.store import Store
from phospho_workers.runtime import metrics
from phospho_workers.runtime.dead_letters import dead_letter
from phospho_workers.runtime.json_bytes import is_too_deep
from phospho_workers.runtime.records import Record, Rejected
from phospho_workers.runtime.sparse_lists import has_unreadable_lists
from phospho_workers.sink.planner import MAX_INSERT_BYTES, STAGE
from phospho_workers.sink.refusals import accepts_good_row, is_over_query_memory, is_server_fault

logger = logging.getLogger(__name__)

_MAX_REFUSALS_WITHOUT_PROBE = 100
_MAX_DETAIL_CHARACTERS = 500


@dataclass(frozen=True)
class RefusedRow:
    """A row that ClickHouse does not take: the index of its line, and ClickHouse's message."""

    index: int
    detail: str


class ResumableInsert:
    """
    Insert of JSON lines that can be interrupted and resumed.

    `token_prefix` identifies the range of the lines. With a hash of the lines it makes the token by which ClickHouse
    recognises a repeated insert. The hash keeps a token from matching other lines, such as those of a recreated topic.

    Lines beyond MAX_INSERT_BYTES become several inserts, and a refused insert is bisected down to the row. Both splits
    depend on the lines alone, so a repetition has the same tokens.
    """

    def __init__(self, store: Store, table: str, lines: Sequence[bytes], token_prefix: str) -> None:
        self._store = store
        self.table = table
        self._lines = lines
        self._token_prefix = token_prefix
        self._refused_rows: dict[int, RefusedRow] = {}
        # Half-open ranges of lines that are still to be inserted. The last one is next.
        self._parts: list[tuple[int, int]] = []
        self._refusals_before_probe = 0
        self._split()

    @property
    def refused_rows(self) -> list[RefusedRow]:
        """The rows refused so far, in order."""
        return [self._refused_rows[index] for index in sorted(self._refused_rows)]

    def run(self, max_s: float = math.inf) -> bool:
        """
        Insert until all lines are done (True) or `max_s` have passed (False). At least one statement runs.

        Raises StoreUnavailable where the server or the table is at fault. Another call resumes there.
        """
        deadline_s = time.monotonic() + max_s
        while self._parts:
            self._insert_next_part()
            if time.monotonic() >= deadline_s:
                break
        return not self._parts

    def _split(self) -> None:
        """Refuse the lines that ClickHouse can't read or merge in a bounded time, and split the others into parts."""
        start, size_bytes, parts = 0, 0, []
        for index, line in enumerate(self._lines):
            if detail := _unbounded_cost(line):
                self._refused_rows[index] = RefusedRow(index, detail)
            if (index in self._refused_rows or size_bytes + len(line) >= MAX_INSERT_BYTES) and index > start:
                parts.append((start, index))
                start, size_bytes = index, 0
            if index in self._refused_rows:
                start = index + 1
                continue
            size_bytes += len(line) + 1
        if start < len(self._lines):
            parts.append((start, len(self._lines)))
        self._parts = parts[::-1]

    def _insert_next_part(self) -> None:
        start, end = self._parts[-1]
        try:
            self._insert(self._lines[start:end])
        except StatementRefused as refusal:
            if is_server_fault(refusal):
                raise StoreUnavailable(str(refusal), refusal.code) from refusal
            self._bisect(start, end, refusal)
        except StoreUnavailable as error:
            if not is_over_query_memory(error):
                raise
            self._bisect(start, end, error)
        else:
            self._parts.pop()
            self._refusals_before_probe = _MAX_REFUSALS_WITHOUT_PROBE

    def _bisect(self, start: int, end: int, refusal: StatementRefused | StoreUnavailable) -> None:
        """Halve a part; refuse it where it is a single row."""
        if end - start > 1:
            middle = start + (end - start) // 2
            self._parts[-1:] = [(middle, end), (start, middle)]
            return
        self._check_table(refusal)
        self._parts.pop()
        detail = str(refusal).splitlines()[0][:_MAX_DETAIL_CHARACTERS]
        self._refused_rows[start] = RefusedRow(start, detail)
        logger.error("ClickHouse refused a row of %s; it becomes a dead letter: %s", self.table, detail)

    def _check_table(self, refusal: Exception) -> None:
        """Raise StoreUnavailable where the table refuses a good row too, so that the refused row is not at fault."""
        if self._refusals_before_probe <= 0:
            if not accepts_good_row(self._store, self.table):
                metrics.TABLE_REFUSALS.labels(self.table).inc()
                raise StoreUnavailable(f"{self.table} refuses good rows too, nothing is dead-lettered: {refusal}")
            self._refusals_before_probe = _MAX_REFUSALS_WITHOUT_PROBE
        self._refusals_before_probe -= 1

    def _insert(self, lines: Sequence[bytes]) -> None:
        body = b"\n".join(lines)
        digest = hashlib.blake2b(body, digest_size=16).hexdigest()
        token = f"{self._token_prefix}:{self.table}:{digest}" if self._token_prefix else ""
        with metrics.INSERT_SECONDS.labels(self.table).time():
            self._store.insert(self.table, body, token)
        metrics.ROWS_INSERTED.labels(self.table).inc(len(lines))


def _unbounded_cost(line: bytes) -> str:
    """Return why ClickHouse would take unbounded time for a row; empty for nearly every row."""
    if is_too_deep(line):
        return "the row nests too many lists and objects"
    if has_unreadable_lists(line):
        return "the metadata holds lists of three or more levels with nulls or empty lists: send them as text"
    return ""


def insert_lines(store: Store, table: str, lines: Sequence[bytes], token_prefix: str = "") -> list[RefusedRow]:
    """
    Insert JSON lines and return the refused rows; the others are stored.

    Without a `token_prefix`, ClickHouse drops no repeated insert. Raises StoreUnavailable.
    """
    insert = ResumableInsert(store, table, lines, token_prefix)
    insert.run()
    return insert.refused_rows


def row_dead_letter(record: Record, row: RefusedRow) -> Keyed:
    """Return the dead letter of a refused row, and count it."""
    metrics.DEAD_LETTERS.labels(STAGE, "row_refused").inc()
    return dead_letter(record, STAGE, Rejected("row_refused", row.detail))
