"""Metadata is anybody's JSON: each of these is stored, or refused by itself beside rows that are stored."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from phospho_store.store import Store
from phospho_workers.sink.insert import insert_lines
from store.facts import task, view


def nested(levels: int, innermost: str) -> str:
    return '{"a":' * levels + innermost + "}" * levels


KEPT: dict[str, Any] = {
    "nothing": {},
    "arrays of many types": {"a": [1, "x", 2.5, True, {"k": 1}, [2, ["y"]]], "b": [1, "x", None, [2]]},
    "objects of many types in an array": {"a": [{"k": 1}, {"k": "x"}, {"k": [1]}]},
    "empty arrays and arrays of null": {"a": [], "b": [None, None], "c": [[]]},
    "the greatest 64-bit integers": {"a": 2**63 - 1, "b": 2**64 - 1, "c": -(2**63)},
    "the extremes of floats": {"a": 1e308, "b": 5e-324, "c": -0.5},
    "a thousand keys": {f"key_{number}": number for number in range(1000)},
    "a hundred levels": json.loads(nested(100, '"end"')),
    "a hundred levels of arrays": {"a": json.loads("[" * 100 + "1" + "]" * 100)},
    "an empty key": {"": 1},
    "empty keys within empty keys": {"": {"": {"": 1}}, "a": {"": 2}},
    "keys and values in many scripts": {"é": "ü", "日本": "語", "🙂": "🙃", "\u202e": "\u200d", "नमस्ते": "עולם"},
    "keys with signs": {"a`b": 1, 'a"b': 2, "a\\b": 3, "a\nb": 4, "a b": 5, "%": 6, "a:b": 7, "a[]": [1], "^a": 8},
    "NUL": {"a\0b": "c\0d"},
    "a long key": {"k" * 70_000: 1},
    "a long value": {"a": "v" * 1_000_000},
    "text that looks like times": {"a": "2026-01-01", "b": "2026-01-01T00:00:00.123Z", "c": ["2026-01-01 00:00:00"]},
    "text that looks like numbers": {"a": "1", "b": "NaN", "c": "1e5", "d": "9" * 400, "e": "true"},
}
CHANGED: dict[str, tuple[str, Any]] = {
    "null is as good as nothing": ('{"a": null, "b": {"c": null}, "d": 1}', {"d": 1}),
    "an empty object is as good as nothing": ('{"a": {}, "b": 1}', {"b": 1}),
    "of keys that are one path the first stays": ('{"a.b": 1, "a": {"b": 2}}', {"a": {"b": 1}}),
    "and so of two types": ('{"a": {"b": "x"}, "a.b": [1]}', {"a": {"b": "x"}}),
    "and so where each is part of the other": ('{"a.b": {"c": 1}, "a": {"b.c": 2}}', {"a": {"b": {"c": 1}}}),
    "and so of a key that is there twice": ('{"a": 1, "a": 2}', {"a": 1}),
    "a dotted key is a path": ('{"gen_ai.request.model": "m"}', {"gen_ai": {"request": {"model": "m"}}}),
    "an integer beyond 64 bits is text": (f'{{"a": 1{"0" * 400}}}', {"a": "1" + "0" * 400}),
    "null metadata is no metadata": ("null", {}),
}
REFUSED: dict[str, bytes] = {
    "arrays of three levels with a null": b'{"a": [null, [2, ["y"]]]}',
    "NaN": b'{"a": NaN}',
    "a number that is no float": b'{"a": 1e400}',
    "a lone surrogate": b'{"a": "\\ud800"}',
    "not UTF-8": b'{"a": "\xff"}',
    "four thousand levels": nested(4000, "1").encode(),
    "an array": b"[1]",
    "text": b'"text"',
    "a number": b"1",
}


def insert_among_others(store: Store, project_id: str, metadata: bytes) -> list[int]:
    """Insert a row with this metadata between two others; return the places of those that were refused."""
    lines = [orjson.dumps(task(project_id, name)) for name in ("a", "b", "c")]
    lines[1] = lines[1][:-1] + b',"metadata":' + metadata + b"}"
    return [refused.index for refused in insert_lines(store, "task_rows", lines, project_id)]


def stored(store: Store, project_id: str) -> dict[str, Any]:
    return {row["task_id"]: row["metadata"] for row in view(store, "tasks", project_id, "task_id, metadata")}


@pytest.mark.parametrize("metadata", KEPT.values(), ids=KEPT)
def test_what_is_stored_comes_back_as_it_was(store: Store, project_id: str, metadata: dict[str, Any]) -> None:
    assert insert_among_others(store, project_id, json.dumps(metadata, ensure_ascii=False).encode()) == []
    assert stored(store, project_id) == {"a": {}, "b": metadata, "c": {}}


@pytest.mark.parametrize(("metadata", "expected"), CHANGED.values(), ids=CHANGED)
def test_what_a_column_of_paths_can_not_tell_apart_is_stored(
    store: Store, project_id: str, metadata: str, expected: dict[str, Any]
) -> None:
    assert insert_among_others(store, project_id, metadata.encode()) == []
    assert stored(store, project_id)["b"] == expected


@pytest.mark.parametrize("metadata", REFUSED.values(), ids=REFUSED)
def test_what_is_no_object_of_json_is_refused_by_itself(store: Store, project_id: str, metadata: bytes) -> None:
    assert insert_among_others(store, project_id, metadata) == [1]
    assert stored(store, project_id) == {"a": {}, "c": {}}


def test_a_path_is_queried_by_its_name_whatever_else_is_in_the_column(store: Store, project_id: str) -> None:
    insert_among_others(store, project_id, b'{"plan": "pro", "seats": 3, "org": {"country": "fr"}}')
    query = (
        "SELECT metadata.plan AS plan, metadata.seats::Int64 AS seats, metadata.org.country AS country FROM tasks"
        " WHERE project_id = {p:String} AND metadata.plan = 'pro'"
    )
    assert store.rows(query, {"p": project_id}) == [{"plan": "pro", "seats": 3, "country": "fr"}]


def test_part_of_hostile_metadata_has_a_bounded_number_of_files(store: Store) -> None:
    """Lists of objects of many keys and types, in a part that has files of its own for each column."""
    values = [1, 0.5, "x", True, [1], ["x"], [{"a": 1}], [{"b": [{"c": 1}]}], {"d": 1}, [[{"e": "x"}]]]
    rows = [
        {"x": {f"k{key}": [{f"n{key % 7}": value}, {f"m{number % 9}": values}] for key, value in enumerate(values * 5)}}
        for number in range(50)
    ]
    lines = b"\n".join(orjson.dumps(task("files", f"t{number}", metadata=row)) for number, row in enumerate(rows))
    store.command("CREATE OR REPLACE TABLE wide_rows AS task_rows SETTINGS min_bytes_for_wide_part = 1")
    try:
        store.insert("wide_rows", lines)
        [part] = store.rows("SELECT part_type, files FROM system.parts WHERE table = 'wide_rows' AND active")
    finally:
        store.command("DROP TABLE wide_rows")
    assert part["part_type"] == "Wide"
    assert part["files"] < 1500
