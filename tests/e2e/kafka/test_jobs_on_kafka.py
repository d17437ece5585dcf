"""Labels arrive while traffic runs through Kafka: workers use the new classifier and lose no event."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from fixtures.labels import new_label
from fixtures.shapes import PROJECT_ID, OnKafka
from phospho_store.annotations.labels import LabelRepository

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.timeout(400)]

DEFINITIONS = """
definitions:
  - {name: refund, engine: keyword, scope: input, keywords: [refund]}
  - {name: umbrella, description: The user wants a zorb, engine: semantic, scope: input}
"""
_LABELS = 200
_BATCH = 100


def logs(path: Path, first: int, number: int, text: str) -> str:
    """Write logs of a session for each ten tasks, and return where."""
    lines = [
        json.dumps({"task_id": f"t{n}", "session_id": f"s{n // 10}", "input": text.format(n), "output": "Yes."})
        for n in range(first, first + number)
    ]
    path.write_text("\n".join(lines))
    return str(path)


def test_classifier_is_used_within_seconds_and_nothing_is_lost(tmp_path: Path) -> None:
    with OnKafka(tmp_path) as shape, shape.worker("jobs") as jobs:
        jobs.wait_until_ready()
        (tmp_path / "definitions.yaml").write_text(DEFINITIONS)
        shape.apply_definitions(tmp_path / "definitions.yaml")
        shape.phospho("import", logs(tmp_path / "shown.jsonl", 0, _LABELS // 2, "bring umbrella {}. I want a refund"))
        shape.phospho("import", logs(tmp_path / "other.jsonl", 100, _LABELS // 2, "rain on day {}? I want a refund"))
        shape.settle()

        values = ["confirmed"] * (_LABELS // 2) + ["rejected"] * (_LABELS // 2)
        labels = [new_label(PROJECT_ID, "umbrella", f"t{n}", label) for n, label in enumerate(values)]
        LabelRepository(shape.store).save_labels(labels)
        labelled_s, logged = time.monotonic(), _LABELS
        classified = "SELECT count() FROM events WHERE classifier_version > 0"
        while not shape.number(classified):
            shape.phospho("import", logs(tmp_path / "live.jsonl", logged, _BATCH, "bring umbrella {}. I want a refund"))
            logged += _BATCH
        print(f"{_LABELS} labels: {time.monotonic() - labelled_s:.1f} s until a worker used the classifier")
        shape.settle()

        assert shape.number("SELECT count() FROM events WHERE name = 'refund'") == logged
        assert shape.number("SELECT uniqExact(task_id) FROM events WHERE name = 'refund'") == logged
        twice = "SELECT count() FROM (SELECT task_id, name FROM events GROUP BY task_id, name HAVING count() > 1)"
        assert shape.number(twice) == 0
