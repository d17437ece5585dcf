"""Inserts of JSON lines that store every row except those that ClickHouse refuses by themselves."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from phospho_schemas.messages import AnalysisRow, DeadLetterRow, FeedbackRow, Message, PartRow, StepRow, TaskRow
from phospho_schemas.metadata import MAX_METADATA_KEYS, MAX_ROW_KEYS, has_too_many_keys
from phospho_schemas.rows.ledger import ReceiptRow
from phospho_schemas.topics import Keyed
from phospho_store.errors import StatementRefused, StoreUnavailable
from phospho_store.store import Store
from phospho_workers.runtime import metrics
from phospho_workers.runtime.dead_letters import dead_letter
from phospho_workers.runtime.json_bytes import is_too_deep
from phospho_workers.runtime.records import Record, Rejected
from phospho_workers.runtime.sparse_lists import has_unreadable_lists
from phospho_workers.sink.planner import MAX_INSERT_BYTES, STAGE

# Besides those that the store itself reports as StoreUnavailable (overloaded, out of memory, disk or threads,
# read-only, too many parts, no access). Any other code may be a row's fault: a list of the rows' codes would never be
# complete, and a missing one would stop storage for every project.
_SERVER_FAULT_CODES = frozenset(
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
VIOLATED_CONSTRAINT = 469

_CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)

_TASK_KEY = {"project_id": "probe", "task_id": "probe", "revision": 1, "created_at": _CREATED_AT}
_EVENT = {"id": "e", "name": "probe", "engine": "keyword", "scope": "input", "score": 0.5}
_GOOD_ROWS: Mapping[str, Message] = {
    "task_rows": TaskRow.model_validate(
        _TASK_KEY
        | {"session_id": "probe", "received_at": _CREATED_AT, "input": "a question", "output": "an answer"}
        | {"flag": "success", "tokens_in": 1, "tokens_out": 1, "latency_ms": 1.5}
        | {"user_id": "u", "version_id": "v", "system_prompt": "s", "model": "m", "source": "s", "raw_input": "r"}
        | {"metadata": {"plan": "pro", "seats": 3, "labels": ["a", "b"]}}
    ),
    "analysis_rows": AnalysisRow.model_validate(
        _TASK_KEY
        | {"session_id": "probe", "language": "en", "language_score": 0.5, "sentiment_score": 0.5}
        | {"events": [_EVENT | {"value": 0.5}], "candidates": [_EVENT | {"doubt": 0.5, "content": "c"}]}
    ),
    "feedback_rows": FeedbackRow.model_validate(
        _TASK_KEY | {"feedback_id": "probe", "flag": "success", "score": 1, "comment": "c", "received_at": _CREATED_AT}
    ),
    "step_rows": StepRow.model_validate(
        {"project_id": "probe", "trace_id": "probe", "span_id": "probe", "revision": 1, "step": "{}"}
        | {"created_at": _CREATED_AT, "received_at": _CREATED_AT}
    ),
    "log_part_rows": PartRow.model_validate(
        {"project_id": "probe", "task_id": "probe", "whole_log_id": "probe", "part": 0, "parts": 1, "revision": 1}
        | {"text": "{}", "created_at": _CREATED_AT, "received_at": _CREATED_AT}
    ),
    "receipt_rows": ReceiptRow.model_validate(
        {"project_id": "probe", "receipt_id": "probe", "revision": 1, "received_at": _CREATED_AT}
        | {"rejected": {"too_deep": 1}, "item_kinds": ["task"], "item_ids": ["probe"], "item_revisions": [1]}
    ),
    "dead_letter_rows": DeadLetterRow.model_validate(
        {"dead_letter_id": "probe", "stage": "sink", "reason": "row_refused", "source_topic": "probe"}
        | {"source_partition": 0, "source_offset": 0, "payload_base64": "YQ==", "payload_bytes": 1}
        | {"headers": [("name", "YQ==")], "received_at": _CREATED_AT, "revision": 1}
    ),
}
# Good rows except for the version, which a constraint of every table checks after the row was parsed.
_PROBES = {
    table: row.model_dump_json().replace('"schema_version":1', '"schema_version":0', 1).encode()
    for table, row in _GOOD_ROWS.items()
}


def is_server_fault(refusal: StatementRefused) -> bool:
    """Return True for a refusal for which no row can be at fault."""
    return refusal.code in _SERVER_FAULT_CODES


def is_over_query_memory(error: StoreUnavailable) -> bool:
    """
    Return True where an insert needs more memory than one statement may take, so that halving it helps.

    The limit of the server as a whole is left out: inserts would not be halved the same way twice. Only the start of
    the message is searched, since quoted rows stand behind it.
    """
    return error.code == _MEMORY_LIMIT_EXCEEDED and "Query memory limit exceeded" in str(error)[:200]


def accepts_good_row(store: Store, table: str) -> bool:
    """
    Insert a row that only the constraint on the version refuses, and return True where nothing else refused it.

    Nothing is stored. The probe covers the statement, the table, the columns and their defaults. It does not cover the
    write to disk, whose errors have codes of their own. Raises StoreUnavailable.
    """
    try:
        store.insert(table, _PROBES[table])
    except StatementRefused as refusal:
        return refusal.code == VIOLATED_CONSTRAINT
    raise StoreUnavailable(
        f"{table} accepted a row of schema_version 0, so its constraint is missing. Run `phospho migrate`"
    )


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
    if has_too_many_keys(line, lambda: _metadata(line), MAX_ROW_KEYS):
        return f"the metadata has more than {MAX_METADATA_KEYS} keys"
    return ""


def _metadata(line: bytes) -> Any:
    """Return the metadata of a row; None for a line that ClickHouse is going to refuse."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return row.get("metadata") if isinstance(row, dict) else None


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
