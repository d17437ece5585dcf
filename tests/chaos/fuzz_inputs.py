"""Requests and records for fuzzing: valid ones, changed as trees and as bytes. All follow from a seed."""

from __future__ import annotations

import gzip
import itertools
import json
import random
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from gateway.otlp.making import chat, json_body, request, span
from phospho_schemas.topics import RAW_LOGS
from phospho_workers.runtime.records import Record
from phospho_workers.sink import insert
from phospho_workers.sink.planner import TABLES

PROJECT_ID = "fuzz"
_MOMENT = "2026-03-03T10:30:00Z"
_MAX_BYTES = 40_000


class Body(NamedTuple):
    """A request of the fuzzer."""

    path: str
    content_type: str
    encoding: str
    content: bytes


_EVENT = {
    "task_id": "t1", "session_id": "s1", "user_id": "u1", "version_id": "v1", "input": "where is my order",
    "output": "on its way", "created_at": _MOMENT, "flag": "success", "system_prompt": "be kind",
    "raw_input": {"messages": [{"role": "user", "content": "hello"}], "model": "m"},
    "metadata": {"model": "m", "tokens_in": 3, "plan": {"name": "pro", "seats": [1, 2]}, "latency_ms": 1.5},
}  # fmt: skip
_FEEDBACK = {"score": 1, "comment": "good", "source": "user", "feedback_id": "f1"}
_FLAG = {"flag": "failure", "notes": "bad", "project_id": PROJECT_ID, "human_eval": "success", "source": "owner"}
_FLAT = {"task_id": "t1", "task_metadata": {"a": 1}, "task_eval": "success", "task_input": "a"}
_MESSAGES = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]
_CONVERSATION = {"session_id": "s1", "messages": _MESSAGES, "metadata": {"a": 1}, "created_at": 1_770_000_000}
EXPORT_PATHS = ("/v1/traces", f"/v3/otl/{PROJECT_ID}")
_JSON_BODIES: Sequence[tuple[str, Any]] = (
    ("/api/v1/events", _EVENT),
    ("/api/v1/events/batch", {"events": [_EVENT, _EVENT | {"task_id": "t2", "output": None}]}),
    (f"/v2/log/{PROJECT_ID}", {"batched_log_events": [_EVENT, {"input": "a"}]}),
    ("/api/v1/events/t1/feedback", _FEEDBACK),
    ("/v2/tasks/t1/flag", _FLAG),
    ("/v2/tasks/t1/human-eval", _FLAG),
    ("/v2/tasks", _EVENT | {"data": {"a": 1}}),
    ("/v3/log", {"batched_log_events": [_CONVERSATION], "project_id": PROJECT_ID}),
)
# These read ClickHouse, which takes a hundred times as long.
_SHARE_THAT_READS = 0.002
_BODIES_THAT_READ: Sequence[tuple[str, Any]] = (
    ("/v2/tasks/t1", {"metadata": {"a": 1}, "flag": "success", "notes": "good", "flag_source": "owner"}),
    (f"/v2/projects/{PROJECT_ID}/tasks/flat-update", {"flattened_tasks": [_FLAT, {"task_id": "t2"}]}),
)
# The bodies of these may hold no log, which is no error.
MAY_BE_EMPTY = (*EXPORT_PATHS, "/v3/log", *(path for path, _ in _BODIES_THAT_READ))
_EXPORTS = (
    request(chat(attributes={"gen_ai.usage.input_tokens": 3, "session.id": "s", "user.id": "u"})),
    request(
        chat(1, parent=2, events=[("gen_ai.user.message", {"content": "hello"})], error="timeout"),
        span(2, attributes={"input.value": "a", "output.value": "b", "list": [1, "x", {"y": 2.5}]}),
    ),
)
_RAW_LOG = _EVENT | {"schema_version": 1, "project_id": PROJECT_ID, "revision": 1, "received_at": _MOMENT}
_STEP = {"trace_id": "tr", "step": {"span_id": "sp", "name": "tool", "started_at": _MOMENT}}
_PART = {"whole_log_id": "w", "part": 0, "parts": 2, "text": "{}"}
_RAW_LOGS: Sequence[Mapping[str, Any]] = (
    _RAW_LOG,
    _RAW_LOG | _FEEDBACK | {"kind": "feedback"},
    _RAW_LOG | _STEP | {"kind": "step"},
    _RAW_LOG | _PART | {"kind": "part"},
)
_ROWS = {topic: json.loads(insert._GOOD_ROWS[table].model_dump_json()) for topic, table in TABLES.items()}

_HOSTILE_TEXTS = (
    "", "\0", "\ud800", "\udfff", "￿", "𝕏" * 3, "a" * 600, "../../etc", "'; DROP TABLE task_rows; --", "{}", "[",
    "success", "NaN", "1e999", "2199-01-01T00:00:00Z", "0000-00-00", "1969-12-31T23:59:59Z", "\u202e", "=cmd()",
)  # fmt: skip
_HOSTILE_NUMBERS = (0, -1, 1, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**40, 1.5, -0.0, 1e308, 5e-324)
_HOSTILE_BYTES = (
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"{",
    b"}",
    b'"',
    b"\\",
    b"\\ud800",
    b"1e999",
    b"NaN",
    b"[" * 300,
)


def bodies(seed: int) -> Iterator[Body]:
    """Yield requests without an end."""
    choice = random.Random(seed)
    exports = [(export.SerializeToString(), json_body(export)) for export in _EXPORTS]
    while True:
        kind = choice.random()
        if kind < 0.6:
            path, document = choice.choice(_BODIES_THAT_READ if choice.random() < _SHARE_THAT_READS else _JSON_BODIES)
            yield _encoded(choice, path, "application/json", _json_bytes(choice, document))
        elif kind < 0.8:
            document = choice.choice(exports)[1]
            yield _encoded(choice, choice.choice(EXPORT_PATHS), "application/json", _json_bytes(choice, document))
        else:
            content = b"".join(choice.choice(exports)[0] for _ in range(choice.choice((1, 1, 2))))
            yield _encoded(
                choice, choice.choice(EXPORT_PATHS), "application/x-protobuf", _changed_bytes(choice, content)
            )


def raw_records(seed: int) -> Iterator[Record]:
    """Yield records of the topic of raw logs without an end."""
    choice = random.Random(seed)
    for offset in itertools.count():
        yield _record(choice, RAW_LOGS.name, offset, _json_bytes(choice, choice.choice(_RAW_LOGS)))


def row_records(seed: int) -> Iterator[Record]:
    """Yield records of the topics that the sink reads, without an end."""
    choice = random.Random(seed)
    for offset in itertools.count():
        topic, row = choice.choice(list(_ROWS.items()))
        yield _record(choice, topic.name, offset, _json_bytes(choice, row | {"project_id": PROJECT_ID}))


def _record(choice: random.Random, topic: str, offset: int, value: bytes) -> Record:
    key = choice.choice((b"", b"fuzz:s", b"\xff\x00", f"fuzz:{offset % 97}".encode()))
    timestamp_ms = choice.choice((1_790_000_000_000, 1_790_000_000_000, 0, -1, 2**41))
    headers = choice.choice(((), (), (("trace", b"\xff\xfe"),), (("a", b"1"), ("b", b""))))
    return Record(topic, offset % 4, offset, timestamp_ms, key, value, headers)


def _json_bytes(choice: random.Random, document: Any) -> bytes:
    """Return a document as it is, or changed as a tree, as bytes, or both. Ids are new in most of them."""
    document = orjson.loads(orjson.dumps(document))
    for _ in range(choice.choice((0, 0, 1, 1, 2, 4))):
        document = _changed_tree(choice, document)
    if choice.random() < 0.8:
        _renew_ids(choice, document)
    content = json.dumps(document, ensure_ascii=choice.random() < 0.5).encode("utf-8", "surrogatepass")
    return _changed_bytes(choice, content) if choice.random() < 0.35 else content[:_MAX_BYTES]


def _renew_ids(choice: random.Random, document: Any) -> None:
    for inner in (document, *(document.values() if isinstance(document, dict) else ())):
        for event in inner if isinstance(inner, list) else [inner]:
            if isinstance(event, dict) and isinstance(event.get("task_id"), str):
                event["task_id"] += f"-{choice.randrange(10**7)}"


def _changed_tree(choice: random.Random, document: Any) -> Any:
    """Change a random node of a JSON document, in place where it is not the root."""
    places = list(_places(document))
    if not places or choice.random() < 0.02:
        return _value(choice)
    container, name = choice.choice(places)
    change = choice.randrange(4)
    if change == 0:
        del container[name]
    elif change == 1 and isinstance(container, dict):
        container[_text(choice)] = container.pop(name)
    elif change == 2 and isinstance(container, list):
        container.insert(0, container[name])
    else:
        container[name] = _value(choice)
    return document


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the container and the key or index of each value below the root."""
    names: Any = range(len(document)) if isinstance(document, list) else ()
    for name in list(document) if isinstance(document, dict) else names:
        yield document, name
        yield from _places(document[name])


def _value(choice: random.Random) -> Any:
    makers: Sequence[Callable[[], Any]] = (
        lambda: choice.choice((None, True, False)),
        lambda: choice.choice(_HOSTILE_NUMBERS),
        lambda: _text(choice),
        lambda: [_value(choice) for _ in range(choice.randrange(3))],
        lambda: {_text(choice): _value(choice) for _ in range(choice.randrange(3))},
        lambda: _nested(choice.choice((3, 99, 101, 150))),
        lambda: (
            {f"k{number}.x": number for number in range(choice.choice((65, 1_005)))} if choice.random() < 0.1 else 7
        ),
    )
    return choice.choices(makers, (4, 4, 8, 2, 2, 1, 1))[0]()


def _text(choice: random.Random) -> str:
    names = (*_EVENT, *_FLAG, "kind", "schema_version", "revision", "project_id", "events")
    return choice.choice(choice.choice((_HOSTILE_TEXTS, names)))


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def _changed_bytes(choice: random.Random, content: bytes) -> bytes:
    """Return bytes with one to three changes: a bit, a cut, a repetition, something hostile in between."""
    changed = bytearray(content)
    for _ in range(choice.randrange(1, 4)):
        at = choice.randrange(len(changed) + 1)
        change = choice.randrange(4)
        if change == 0 and at < len(changed):
            changed[at] ^= 1 << choice.randrange(8)
        elif change == 1:
            del changed[at : at + choice.choice((1, 1, 5, len(changed)))]
        elif change == 2:
            changed[at:at] = changed[at : at + choice.randrange(1, 30)]
        else:
            changed[at:at] = choice.choice(_HOSTILE_BYTES)
    return bytes(changed[:_MAX_BYTES])


def _encoded(choice: random.Random, path: str, content_type: str, content: bytes) -> Body:
    kind = choice.random()
    if kind < 0.9:
        return Body(path, content_type, "", content)
    if kind < 0.93:
        return Body(path, content_type, "gzip", gzip.compress(content, 1))
    if kind < 0.96:
        return Body(path, content_type, "deflate", _changed_bytes(choice, zlib.compress(content, 1)))
    return Body(path, content_type, choice.choice(("gzip", "zstd", "br", "x")), content)
