"""Insert JSON lines into a table: all of them, or all but those that ClickHouse refuses by themselves."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from phospho_store.errors import StatementRefused, StoreUnavailable
from phospho_store.store import Store
from phospho_workers.runtime import metrics
from phospho_workers.runtime.json_bytes import is_too_deep
from phospho_workers.sink.probe import takes_rows
from phospho_workers.sink.tables import MAX_INSERT_BYTES

logger = logging.getLogger("phospho.sink")

# Refusals for which no row can be at fault, beside those that the store already takes for an outage (overloaded,
# out of memory, disk or threads, read-only, too many parts, no access). Any other code may be a row's doing: a list of
# the rows' codes would never be complete, and what it lacks would stop storage for every project.
_SERVER_AT_FAULT = frozenset(
    {
        16,   # NO_SUCH_COLUMN_IN_TABLE
        40,   # CHECKSUM_DOESNT_MATCH
        47,   # UNKNOWN_IDENTIFIER
        60,   # UNKNOWN_TABLE
        74,   # CANNOT_READ_FROM_FILE_DESCRIPTOR
        75,   # CANNOT_WRITE_TO_FILE_DESCRIPTOR
        76,   # CANNOT_OPEN_FILE
        81,   # UNKNOWN_DATABASE
        88,   # CANNOT_TRUNCATE_FILE
        115,  # UNKNOWN_SETTING
        173,  # CANNOT_ALLOCATE_MEMORY
        192,  # UNKNOWN_USER
        193,  # WRONG_PASSWORD
        194,  # REQUIRED_PASSWORD
        195,  # IP_ADDRESS_NOT_ALLOWED
        201,  # QUOTA_EXCEEDED
        218,  # TABLE_IS_DROPPED
        225,  # NO_ZOOKEEPER
        246,  # CORRUPTED_DATA
        291,  # DATABASE_ACCESS_DENIED
        439,  # CANNOT_SCHEDULE_TASK
        499,  # S3_ERROR
    }
)  # fmt: skip
_MEMORY_LIMIT_EXCEEDED = 241

# So many refusals in a row are believed after a row was stored or the table was probed.
_REFUSALS_BETWEEN_PROBES = 100
_MAX_DETAIL_CHARACTERS = 500


@dataclass(frozen=True)
class Refused:
    """A line that ClickHouse does not take: its index among the lines, and ClickHouse's words."""

    index: int
    detail: str


class Insertion:
    """
    The insert of JSON lines, which can be interrupted and gone on with.

    `place` says where the lines stand (topic, partition and range): with a hash of the lines it is the token by
    which ClickHouse knows an insert that comes again. The hash keeps a token from standing for other lines, such as
    those of a topic that was made anew.

    Lines beyond MAX_INSERT_BYTES are several inserts. A refused insert is halved, down to the row. Either split is a
    function of the lines, so a repetition gives the same tokens.
    """

    def __init__(self, store: Store, table: str, lines: Sequence[bytes], place: str) -> None:
        self._store = store
        self.table = table
        self._lines = lines
        self._place = place
        self._refused: dict[int, Refused] = {}
        # Half-open ranges of lines that are still to be inserted; the last one is next.
        self._parts: list[tuple[int, int]] = []
        self._believed = 0
        self._begin()

    @property
    def refused(self) -> list[Refused]:
        """The lines that were refused so far, in order."""
        return [self._refused[index] for index in sorted(self._refused)]

    def run(self, max_s: float = math.inf) -> bool:
        """
        Insert until all is done (True) or `max_s` is over (False). At least one statement runs.

        Raises StoreUnavailable where the server or the table is at fault: run it again later, it goes on there.
        """
        deadline_s = time.monotonic() + max_s
        while self._parts:
            self._next_part()
            if time.monotonic() >= deadline_s:
                break
        return not self._parts

    def _begin(self) -> None:
        """Refuse what could be stored but never merged, and cut the rest into parts."""
        start, size_bytes, parts = 0, 0, []
        for index, line in enumerate(self._lines):
            if is_too_deep(line):
                self._refused[index] = Refused(index, "the row nests too many lists and objects")
            if (index in self._refused or size_bytes + len(line) >= MAX_INSERT_BYTES) and index > start:
                parts.append((start, index))
                start, size_bytes = index, 0
            if index in self._refused:
                start = index + 1
                continue
            size_bytes += len(line) + 1
        if start < len(self._lines):
            parts.append((start, len(self._lines)))
        self._parts = parts[::-1]

    def _next_part(self) -> None:
        first, end = self._parts[-1]
        try:
            self._insert(self._lines[first:end])
        except StatementRefused as refusal:
            if refusal.code in _SERVER_AT_FAULT:
                raise StoreUnavailable(str(refusal), refusal.code) from refusal
            self._divide(first, end, refusal)
        except StoreUnavailable as refusal:
            if not _is_too_large(refusal):
                raise
            self._divide(first, end, refusal)
        else:
            self._parts.pop()
            self._believed = _REFUSALS_BETWEEN_PROBES

    def _divide(self, first: int, end: int, refusal: StatementRefused | StoreUnavailable) -> None:
        """Halve a part; of a single row, take down that it is refused."""
        if end - first > 1:
            half = first + (end - first) // 2
            self._parts[-1:] = [(half, end), (first, half)]
            return
        self._check_table(refusal)
        self._parts.pop()
        detail = str(refusal).splitlines()[0][:_MAX_DETAIL_CHARACTERS]
        self._refused[first] = Refused(first, detail)
        logger.error("%s: a row is refused and becomes a dead letter: %s", self.table, detail)

    def _check_table(self, refusal: Exception) -> None:
        """Raise StoreUnavailable where the table refuses a good row too: the refused row is not at fault then."""
        if self._believed <= 0:
            if not takes_rows(self._store, self.table):
                metrics.TABLE_REFUSALS.labels(self.table).inc()
                raise StoreUnavailable(f"{self.table} refuses good rows too, nothing is dead-lettered: {refusal}")
            self._believed = _REFUSALS_BETWEEN_PROBES
        self._believed -= 1

    def _insert(self, lines: Sequence[bytes]) -> None:
        body = b"\n".join(lines)
        digest = hashlib.blake2b(body, digest_size=16).hexdigest()
        token = f"{self._place}:{self.table}:{digest}" if self._place else ""
        with metrics.INSERT_SECONDS.labels(self.table).time():
            self._store.insert(self.table, body, token)
        metrics.ROWS_INSERTED.labels(self.table).inc(len(lines))


def insert_lines(store: Store, table: str, lines: Sequence[bytes], place: str) -> list[Refused]:
    """Insert JSON lines and return those that were refused; the others are stored. Raises StoreUnavailable."""
    insertion = Insertion(store, table, lines, place)
    insertion.run()
    return insertion.refused


def _is_too_large(refusal: StoreUnavailable) -> bool:
    """
    Tell whether an insert takes more memory than one statement may, so that halving it helps.

    Out of the server's own memory it would not be halved the same way twice. The text stands before any quoted row.
    """
    return refusal.code == _MEMORY_LIMIT_EXCEEDED and "Query memory limit exceeded" in str(refusal)[:200]
