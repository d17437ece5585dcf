"""The extraction stage: raw logs in, tasks and feedback out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from phospho_schemas.ids import message_key
from phospho_schemas.topics import FEEDBACK, TASKS, Keyed, Topic
from phospho_workers.extraction.feedback import feedback_row
from phospho_workers.extraction.raw_log import RawLog
from phospho_workers.extraction.task import task_row
from phospho_workers.runtime.dead_letters import reject
from phospho_workers.runtime.json_bytes import decode_object, encode_row
from phospho_workers.runtime.records import Record, Rejected, StageOutput

_KINDS: Mapping[str, tuple[Topic, Callable[[RawLog], dict[str, Any]]]] = {
    "log": (TASKS, task_row),
    "feedback": (FEEDBACK, feedback_row),
}


class Extraction:
    """Stage that reads raw logs. Its output depends on the records alone."""

    name = "extraction"

    def __call__(self, batch: Sequence[Record]) -> StageOutput:
        output = StageOutput()
        for record in batch:
            self._extract(record, output)
        return output

    def _extract(self, record: Record, output: StageOutput) -> None:
        fields: dict[str, Any] = {}
        try:
            fields = decode_object(record.value)
            topic, row = _row(RawLog(fields, record))
            key = message_key(row["project_id"], row.get("session_id", ""), row["task_id"])
            output.add(topic, Keyed(key, encode_row(row)))
        except (Rejected, RecursionError) as error:
            rejection = error if isinstance(error, Rejected) else Rejected("too_deep", "the JSON is nested too deep")
            project_id = _project_or_empty(RawLog(fields, record))
            reject(output, record, stage=self.name, rejection=rejection, project_id=project_id)


def _row(log: RawLog) -> tuple[Topic, dict[str, Any]]:
    log.check_version()
    kind = log.kind
    if not isinstance(kind, str) or kind not in _KINDS:
        raise Rejected("unknown_kind", f"kind {str(kind)[:50]!r}: one of {', '.join(_KINDS)} is needed")
    topic, to_row = _KINDS[kind]
    return topic, to_row(log)


def _project_or_empty(log: RawLog) -> str:
    try:
        return log.project_id
    except Rejected:
        return ""
