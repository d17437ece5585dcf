"""The stage: raw logs in, tasks and feedback out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from phospho_schemas.ids import message_key
from phospho_schemas.records import Keyed
from phospho_schemas.topics import FEEDBACK, TASKS, Topic
from phospho_workers.extraction import fields
from phospho_workers.extraction.rows import feedback_row, task_row
from phospho_workers.runtime.json_bytes import decode_object, encode_row
from phospho_workers.runtime.records import Output, Record, Unreadable, reject

_Row = Callable[[Mapping[str, Any], Record], dict[str, Any]]
_KINDS: Mapping[str, tuple[Topic, _Row]] = {"log": (TASKS, task_row), "feedback": (FEEDBACK, feedback_row)}


class Extraction:
    """Reads the topic of raw logs. Pure: the output depends on the records alone."""

    name = "extraction"

    def __call__(self, batch: Sequence[Record]) -> Output:
        output = Output()
        for record in batch:
            self._extract(record, output)
        return output

    def _extract(self, record: Record, output: Output) -> None:
        log: dict[str, Any] = {}
        try:
            log = decode_object(record.value)
            fields.check_version(log)
            topic, to_row = _kind(log)
            row = to_row(log, record)
            output.add(topic, Keyed(_key(row), encode_row(row)))
        except Unreadable as why:
            reject(output, record, self.name, why, _project_or_empty(log))
        except RecursionError:
            reject(
                output, record, self.name, Unreadable("too_deep", "the JSON is nested too deep"), _project_or_empty(log)
            )


def _kind(log: Mapping[str, Any]) -> tuple[Topic, _Row]:
    kind = log.get("kind", "log")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise Unreadable("unknown_kind", f"kind {str(kind)[:50]!r}: one of {', '.join(_KINDS)} is needed")
    return _KINDS[kind]


def _key(row: Mapping[str, Any]) -> bytes:
    return message_key(row["project_id"], row.get("session_id", ""), row["task_id"])


def _project_or_empty(log: Mapping[str, Any]) -> str:
    try:
        return fields.project_of(log)
    except Unreadable:
        return ""
