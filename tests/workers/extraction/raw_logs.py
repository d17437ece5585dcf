"""Raw logs at positions of a topic, and the output of extraction for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from phospho_schemas.topics import DEAD_LETTER, FEEDBACK, RAW_LOGS, TASKS
from phospho_workers.extraction.stage import Extraction
from phospho_workers.runtime.records import Record, StageOutput

PROJECT = "shop"
ARRIVED_MS = 1_767_261_605_000  # 2026-01-01T10:00:05Z


def record(value: bytes | dict[str, Any], offset: int = 0, timestamp_ms: int = ARRIVED_MS, **position: Any) -> Record:
    line = value if isinstance(value, bytes) else orjson.dumps(value)
    return Record(position.get("topic", RAW_LOGS.name), position.get("partition", 0), offset, timestamp_ms, b"", line)


def log(**fields: Any) -> dict[str, Any]:
    return {"project_id": PROJECT, "input": "hello"} | fields


def feedback(**fields: Any) -> dict[str, Any]:
    return {"project_id": PROJECT, "kind": "feedback", "task_id": "task-1"} | fields


def rows(output: StageOutput, topic: str = TASKS.name) -> list[dict[str, Any]]:
    return [orjson.loads(message.value) for message in output.messages.get(topic, [])]


def extract(values: Iterable[bytes | dict[str, Any]]) -> StageOutput:
    return Extraction()([record(value, offset) for offset, value in enumerate(values)])


def task_of(**fields: Any) -> dict[str, Any]:
    """Return the task of a log."""
    [task] = rows(extract([log(**fields)]))
    return task


def feedback_of(**fields: Any) -> dict[str, Any]:
    [row] = rows(extract([feedback(**fields)]), FEEDBACK.name)
    return row


def reason(value: bytes | dict[str, Any]) -> str:
    """Return the reason of a message's dead letter."""
    output = extract([value])
    assert list(output.messages) == [DEAD_LETTER.name]
    [letter] = rows(output, DEAD_LETTER.name)
    assert output.dead_letters == {letter["reason"]: 1}
    return str(letter["reason"])
