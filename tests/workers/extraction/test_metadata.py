"""Metadata comes back as it was logged: from its JSON column, or from its text where the column would change it."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from phospho_schemas.topics import TASKS
from phospho_store.metadata import metadata_text
from phospho_store.store import Store
from phospho_workers.sink.insert import insert_lines
from workers.extraction.raw_logs import extract, rows

HELD = [
    '{"plan": "pro", "seats": 3, "org": {"country": "fr"}, "labels": ["a", "b"], "is_beta": true, "rate": 0.25}',
    '{"a": [true, false], "b": [true, null], "c": [1, null, 2.5], "d": ["x", 1, {"k": 1}], "e": [], "f": [{}]}',
    '{"greatest": 18446744073709551615, "least": -9223372036854775808, "beyond_doubles": [9007199254740993, 1]}',
    '{"a": [[1.5, 2], [3, 4]], "b": [{"c": [{"d": 1}]}, {"c": ["x"]}], "": {"": 1}, "a`b": 2, "1": 3}',
    '{"day": "2026-01-01", "moments": ["2026-01-01T00:00:00Z"], "text": "null"}',
    "{}",
]
CHANGED_BY_A_COLUMN = [
    '{"a.b": 1, "c": {"d.e": 2}}',
    '{"a.b": 1, "a": {"b": 2}}',
    '{"a": "scalar", "a.b": {"c": "deeper"}}',
    '{".": 1, ".a": 2, "b.": 3, "c..d": 4}',
    '{"a": [{"b.c": 1}]}',
    '{"a": null, "b": {"c": null}, "d": [{"e": null}]}',
    '{"a": {}, "b": {"c": {}}, "d": [{"e": {}}]}',
    '{"a": [true, 1], "b": [true, "true"], "c": [[true], [1]], "d": [true, 0.5]}',
    '{"a": [9007199254740993, 0.5], "b": [[-9007199254740993], [0.5]]}',
    '{"a": [[1], null], "b": [[], null], "c": [[[1, null]], [[]]]}',
    '{"a": 18446744073709551616, "b": -9223372036854775809, "c": [123456789012345678901234567890]}',
    '{"a": 1e300}',
]


def typed(value: Any) -> Any:
    """Return a value whose booleans equal no numbers."""
    if isinstance(value, dict):
        return {key: typed(part) for key, part in value.items()}
    if isinstance(value, list):
        return [typed(part) for part in value]
    return (bool, value) if isinstance(value, bool) else value


def stored(store: Store, project_id: str, *metadata: str) -> list[Any]:
    """Return metadata, each logged with one task, as the store has it, and whether the column holds it."""
    log = '{"project_id": "%s", "input": "x", "task_id": "%05d", "metadata": %s}'
    messages = extract([(log % (project_id, number, text)).encode() for number, text in enumerate(metadata)]).messages
    assert insert_lines(store, "task_rows", [message.value for message in messages[TASKS.name]]) == []
    query = f"SELECT {metadata_text()} AS text FROM task_rows WHERE project_id = {{p:String}} ORDER BY task_id"
    return [json.loads(row["text"]) for row in store.rows(query, {"p": project_id})]


def texts(*metadata: str) -> list[str]:
    """Return the column of text of logs with this metadata."""
    tasks = rows(extract([b'{"project_id": "p", "input": "x", "metadata": %s}' % text.encode() for text in metadata]))
    return [task.get("metadata_text", "") for task in tasks]


def test_metadata_comes_back_as_it_was_logged(store: Store) -> None:
    metadata = HELD + CHANGED_BY_A_COLUMN

    found = stored(store, "as-logged", *metadata)

    for text, value in zip(metadata, found, strict=True):
        assert typed(value) == typed(json.loads(text)), text


def test_only_metadata_that_a_column_would_change_has_a_text() -> None:
    assert texts(*HELD) == [""] * len(HELD)
    assert "" not in texts(*CHANGED_BY_A_COLUMN)


def test_any_mixture_of_values_comes_back(store: Store) -> None:
    """Seeded: the same 500 objects in each run."""
    chance = random.Random(14)
    metadata = [json.dumps({"k": _any_value(chance, 4), "l": _any_value(chance, 2)}) for _ in range(500)]

    found = stored(store, "mixtures", *metadata)

    for text, value in zip(metadata, found, strict=True):
        assert typed(value) == typed(json.loads(text)), text


def _any_value(chance: random.Random, levels: int) -> Any:
    kind = chance.random() if levels else 0
    if kind < 0.4:
        return chance.choice([None, True, 0, 1, -1, 2**53 + 1, 2**64 - 1, 2**64, 0.5, 1e22, "", "1", "true", "a.b"])
    if kind < 0.7:
        return [_any_value(chance, levels - 1) for _ in range(chance.randint(0, 3))]
    keys = chance.sample(["a", "b", "a.b", "", "A"], chance.randint(0, 3))
    return {key: _any_value(chance, levels - 1) for key in keys}


def test_text_has_keys_beside_the_metadata_and_every_digit() -> None:
    line = b'{"project_id": "p", "input": "x", "metadata": {"a.b": NaN, "c": "\\ud800"}, "n": %d}' % 10**30
    [task] = rows(extract([line]))
    assert task["metadata_text"] == f'{{"a.b":null,"c":"\ufffd","n":{10**30}}}'
    assert task["metadata"]["n"] == 1e30


@pytest.mark.parametrize("path", ["a.b", "c.d"])
def test_dotted_and_nested_keys_are_queried_by_their_path(path: str, store: Store) -> None:
    stored(store, f"queried-{path}", '{"a.b": 1, "c": {"d": 1}, "e": null}')
    query = f"SELECT task_id FROM tasks WHERE project_id = {{p:String}} AND metadata.{path} = 1"
    assert len(store.rows(query, {"p": f"queried-{path}"})) == 1


def test_pictures_in_metadata_are_described() -> None:
    picture = "A" * 2_000
    log = {"project_id": "p", "input": "x", "metadata": {"image": picture, "a.b": 2**70, "note": picture}}

    [task] = rows(extract([json.dumps(log).encode()]))

    assert json.loads(task["metadata_text"]) == {"image": "<base64, 1500 bytes>", "a.b": 2**70, "note": picture}
