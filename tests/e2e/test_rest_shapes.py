"""Objects of every provider, posted as they are: each task has the text and figures of the shared examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from fixtures.shapes import OneProcess

EXAMPLES = json.loads((Path(__file__).parents[1] / "contract/shapes.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def stored(up: OneProcess) -> dict[str, dict[str, Any]]:
    """Post the examples in one request, and return their tasks by id."""
    shape = up.of_project("rest-shapes")
    events = [
        {"task_id": f"{example['name']} {way}", "input": "Say hello", "output": example[way]}
        for example in EXAMPLES["answers"]
        for way in ("whole", "chunks")
        if way in example
    ]
    events += [{"task_id": example["name"], "input": example["value"], "output": ""} for example in EXAMPLES["inputs"]]
    events.append({"task_id": "failed", "input": "Say hello", "output": None, "error": "Error code: 400"})
    headers = {"Authorization": f"Bearer {shape.api_key}"}
    url = f"{shape.base_url}/api/v1/events/batch"
    answer = httpx.post(url, json={"events": events}, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    rows = [json.loads(line) for line in shape.sql("SELECT * FROM tasks", "JSONEachRow").splitlines()]
    assert len(rows) == len(events)
    return {row["task_id"]: row for row in rows}


def test_rest_answer_has_text_model_and_tokens_of_its_shape(stored: dict[str, dict[str, Any]]) -> None:
    for example in EXAMPLES["answers"]:
        for way in example.keys() & {"whole", "chunks"}:
            row = stored[f"{example['name']} {way}"]
            assert row["output"] == example["text"], (example["name"], way)
            counts = {name: row[name] for name in ("model", "tokens_in", "tokens_out") if name in example}
            assert counts == {name: example[name] for name in counts}, (example["name"], way)


def test_rest_input_is_what_the_user_said(stored: dict[str, dict[str, Any]]) -> None:
    for example in EXAMPLES["inputs"]:
        row = stored[example["name"]]
        assert (row["input"], row["system_prompt"]) == (example["text"], example["system_prompt"]), example["name"]


def test_rest_error_is_in_the_metadata(stored: dict[str, dict[str, Any]]) -> None:
    failed = stored["failed"]
    assert (failed["input"], failed["output"]) == ("Say hello", "")
    assert "Error code: 400" in json.dumps(failed["metadata"])
