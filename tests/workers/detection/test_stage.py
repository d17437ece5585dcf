"""The stage: an analysis that no topic takes harms its own task only."""

from __future__ import annotations

from typing import Any

import orjson

from phospho_schemas.topics import ANALYSES, DEAD_LETTER, TASKS
from phospho_workers.detection.definitions import Snapshot
from phospho_workers.detection.stage import Detection
from phospho_workers.runtime.records import Record
from workers.detection.tasks import task


def record(offset: int, **fields: Any) -> Record:
    return Record(TASKS.name, 0, offset, 1_767_261_605_000, b"k", orjson.dumps(task("hello", **fields)))


def test_stage_makes_too_large_analysis_a_dead_letter() -> None:
    """No stage of ours writes such a task; another program may."""
    large = record(1, user_id="u" * ANALYSES.max_message_bytes)
    output = Detection(Snapshot)([record(0, task_id="before"), large, record(2, task_id="after")])
    analyses = [orjson.loads(message.value) for message in output.messages[ANALYSES.name]]
    assert [analysis["task_id"] for analysis in analyses] == ["before", "after"]
    assert output.dead_letters == {"too_large": 1}
    [message] = output.messages[DEAD_LETTER.name]
    assert DEAD_LETTER.fits(message.key, message.value)
    letter = orjson.loads(message.value)
    assert (letter["reason"], letter["payload_bytes"], letter["is_truncated"]) == ("too_large", len(large.value), True)
