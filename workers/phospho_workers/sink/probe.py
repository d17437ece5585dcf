"""Tell a table that refuses every row from a row that is at fault, without storing anything."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from phospho_schemas.messages import AnalysisRow, DeadLetterRow, FeedbackRow, Message, TaskRow
from phospho_store.errors import StatementRefused, StoreUnavailable
from phospho_store.store import Store

_VIOLATED_CONSTRAINT = 469
_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)

_PLACED = {"project_id": "probe", "task_id": "probe", "revision": 1, "created_at": _MOMENT}
_FOUND = {"id": "e", "name": "probe", "engine": "keyword", "scope": "input", "score": 0.5}
_GOOD_ROWS: Mapping[str, Message] = {
    "task_rows": TaskRow.model_validate(
        _PLACED
        | {"session_id": "probe", "received_at": _MOMENT, "input": "a question", "output": "an answer"}
        | {"flag": "success", "tokens_in": 1, "tokens_out": 1, "latency_ms": 1.5}
        | {"user_id": "u", "version_id": "v", "system_prompt": "s", "model": "m", "source": "s", "raw_input": "r"}
        | {"metadata": {"plan": "pro", "seats": 3, "labels": ["a", "b"]}}
    ),
    "analysis_rows": AnalysisRow.model_validate(
        _PLACED
        | {"session_id": "probe", "language": "en", "language_score": 0.5, "sentiment_score": 0.5}
        | {"events": [_FOUND | {"value": 0.5}], "candidates": [_FOUND | {"doubt": 0.5, "content": "c"}]}
    ),
    "feedback_rows": FeedbackRow.model_validate(
        _PLACED | {"feedback_id": "probe", "flag": "success", "score": 1, "comment": "c", "received_at": _MOMENT}
    ),
    "dead_letter_rows": DeadLetterRow.model_validate(
        {"dead_letter_id": "probe", "stage": "sink", "reason": "row_refused", "source_topic": "probe"}
        | {"source_partition": 0, "source_offset": 0, "payload_base64": "YQ==", "payload_bytes": 1}
        | {"headers": [("name", "YQ==")], "received_at": _MOMENT, "revision": 1}
    ),
}
# A good row in all but its version, which a constraint of every table checks after the row was read.
_PROBES = {
    table: row.model_dump_json().replace('"schema_version":1', '"schema_version":0', 1).encode()
    for table, row in _GOOD_ROWS.items()
}


def takes_rows(store: Store, table: str) -> bool:
    """
    Tell whether `table` reads a good row, by a row that its constraint on the version refuses at the very end.

    So nothing is stored. It reaches the statement, the table, the columns and their defaults, not the write to disk,
    whose refusals have codes that no row causes. Raises StoreUnavailable.
    """
    try:
        store.insert(table, _PROBES[table])
    except StatementRefused as refusal:
        return refusal.code == _VIOLATED_CONSTRAINT
    raise StoreUnavailable(f"{table} takes a row of schema_version 0: its constraint is gone, run `phospho migrate`")
