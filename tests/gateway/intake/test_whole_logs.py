"""Events that are larger than a message: parts that are the whole log, and a head that fits."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from phospho_gateway.intake.bodies import is_mostly_text, wide_text_bytes
from phospho_gateway.intake.events import AcceptedEvent, Envelope, EventReader
from phospho_schemas.ids import HybridClock
from phospho_schemas.topics import PARTS, RAW_LOGS, TASKS
from phospho_workers.extraction.stage import Extraction
from phospho_workers.runtime.records import Record, StageOutput

_ENVELOPE = Envelope("project", "batch", datetime(2026, 1, 1, tzinfo=UTC))
_LONG = "Where is my order? «Ã©»\n" * 800_000


def _read(event: dict[str, Any]) -> AcceptedEvent:
    return EventReader(HybridClock(), "here").read(event, _ENVELOPE, 0)


def _extracted(event: AcceptedEvent) -> StageOutput:
    messages = [*event.parts, event.keyed]
    return Extraction()([Record(RAW_LOGS.name, 0, n, 1_800_000_000_000, *each) for n, each in enumerate(messages)])


@pytest.mark.parametrize(
    "event",
    [
        {"input": _LONG, "output": _LONG[::-1], "task_id": "t", "metadata": {"plan": "pro"}},
        {"input": {"messages": [{"role": "user", "content": _LONG}]}, "output": "on its way"},
        {"input": [{"role": "user", "content": "x" * 700} for _ in range(20_000)], "output": "many"},
        {"input": "\x01" * 3_000_000, "output": "a control character has six bytes in JSON"},
        {"input": "why", "output": "a plan", "metadata": {"document": _LONG, "pages": 3}},
    ],
    ids=["texts", "messages", "many-messages", "escapes", "metadata"],
)
def test_large_event_becomes_a_head_and_all_of_it_in_parts(event: dict[str, Any]) -> None:
    accepted = _read(event)
    output = _extracted(accepted)
    assert not output.dead_letters
    [task] = [orjson.loads(message.value) for message in output.messages[TASKS.name]]
    parts = [orjson.loads(message.value) for message in output.messages[PARTS.name]]
    assert {part["whole_log_id"] for part in parts} == {task["whole_log_id"]}
    assert [part["part"] for part in parts] == list(range(parts[0]["parts"]))
    log = orjson.loads("".join(part["text"] for part in parts))
    assert {name: log[name] for name in event} == event
    assert len(accepted.keyed.value) < 5_000_000
    assert max(len(message.value) for message in output.messages[PARTS.name]) < 2_500_000
    assert task["input"][:100] == _text(event["input"])[:100]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    messages = content["messages"] if isinstance(content, dict) else content
    return str(messages[-1]["content"])


def test_event_sent_again_has_the_same_parts() -> None:
    first, second = (_read({"input": _LONG, "task_id": "t"}) for _ in range(2))
    rows = [
        [
            {name: row[name] for name in ("task_id", "whole_log_id", "part", "text")}
            for row in (orjson.loads(part.value) for part in event.parts)
        ]
        for event in (first, second)
    ]
    assert rows[0] == rows[1]


def test_whole_log_id_of_a_client_is_metadata() -> None:
    message = orjson.loads(_read({"input": "a", "whole_log_id": "mine"}).keyed.value)
    assert "whole_log_id" not in message
    assert message["metadata"] == {"whole_log_id": "mine"}


@pytest.mark.parametrize(
    ("document", "is_text"),
    [
        (b'{"input":"' + b'say \\"no\\", twice\\\\' * 600_000 + b'"}', True),
        (b"[" + b"{}," * 500_000 + b"1]", False),
        (b"[" + b'"",' * 200_000 + b"1]", False),
        (b'["' + b"x" * 999 + b'"' + (b',"' + b"x" * 999 + b'"') * 2_000 + b"]", False),
        (b'["a",' + b"[]," * 500_000 + b'"b"]', False),
        (b'["\\\\",' + b"[]," * 500_000 + b'"b"]', False),
    ],
    ids=["text", "objects", "empty-texts", "short-texts", "lists-between-texts", "after-an-escape"],
)
def test_structure_of_a_large_body_is_bounded(document: bytes, is_text: bool) -> None:
    assert is_mostly_text(document, 1_000_000) is is_text


@pytest.mark.parametrize(
    "text",
    ["a" * 100_000, "é" * 100_000, "語" * 100_000, "a" * 100_000 + "語", "a" * 100_000 + "😀", "😀" * 100_000],
    ids=["ascii", "latin-1", "cjk", "ascii-and-cjk", "ascii-and-emoji", "emoji"],
)
@pytest.mark.parametrize("is_escaped", [False, True], ids=["utf-8", "escaped"])
def test_memory_of_wide_texts_is_known_before_they_are_read(text: str, is_escaped: bool) -> None:
    content = json.dumps([text, 'say "no", \\u20ac' * 1_000], ensure_ascii=is_escaped).encode()
    memory_bytes = sum(map(sys.getsizeof, json.loads(content)))

    counted_bytes = len(content) + wide_text_bytes(content)
    assert memory_bytes - 1_000 <= counted_bytes
    assert counted_bytes <= max(len(content), 2 * memory_bytes)
