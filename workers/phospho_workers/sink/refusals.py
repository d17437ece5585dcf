"""Refusals of ClickHouse: the error codes for which the server is at fault and no row is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from phospho_schemas.messages import AnalysisRow, DeadLetterRow, FeedbackRow, Message, TaskRow
from phospho_store.errors import StatementRefused, StoreUnavailable
from phospho_store.store import Store

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
