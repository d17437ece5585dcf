"""On real conversations: each event is found as well as it was when its definition was written."""

from __future__ import annotations

import gzip
from pathlib import Path

import orjson
import pytest
import yaml

from phospho_workers.detection.definitions import compile_definitions
from phospho_workers.detection.detect import analyse
from workers.detection.tasks import definition, task

REPOSITORY = Path(__file__).parents[3]
DATA = REPOSITORY.parent / "shared" / "data"
DEFINITIONS = REPOSITORY / "tests" / "data" / "definitions.yaml"

# Precision and recall, measured, less 0.03. `payment` is in no conversation of this data.
FLOORS = {
    "flight": (0.83, 0.90),
    "hotel": (0.76, 0.81),
    "restaurant": (0.87, 0.70),
    "weather": (0.92, 0.88),
    "thanks": (0.71, 0.82),
    "goodbye": (0.57, 0.68),
    "booking_confirmed": (0.94, 0.75),
    "booking_failed": (0.96, 0.78),
    "assistant_asks_confirmation": (0.93, 0.81),
}

pytestmark = pytest.mark.data


def lines(name: str) -> list[dict]:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not in ../shared/data, beside the repository: it is not part of it")
    with gzip.open(path) as file:
        return [orjson.loads(line) for line in file]


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    logs = lines("sgd-dev.jsonl.gz")
    tasks = [task(log["input"], log["output"], task_id=log["task_id"], session_id=log["session_id"]) for log in logs]
    wanted = yaml.safe_load(DEFINITIONS.read_text())["definitions"]
    compiled = compile_definitions([definition(**one) for one in wanted])
    assert compiled.skipped == {}
    found = []
    for begin in range(0, len(tasks), 1000):
        found += analyse(tasks[begin : begin + 1000], {"shop": compiled})
    return found


def test_every_event_is_found_as_well_as_its_definition_did(rows) -> None:
    labels = {label["task_id"]: label for label in lines("sgd-dev-labels.jsonl.gz")}
    found = {row["task_id"]: {event["name"] for event in row["events"]} for row in rows}
    for name, (precision, recall) in FLOORS.items():
        positive = {task_id for task_id, label in labels.items() if name in label["positive"]}
        negative = {task_id for task_id, label in labels.items() if name in label["negative"]}
        matches = {task_id for task_id in positive | negative if name in found[task_id]}
        assert len(matches & positive) / len(matches) >= precision, name
        assert len(matches & positive) / len(positive) >= recall, name


def test_the_language_is_english_or_not_told_on_nearly_all(rows) -> None:
    assert len(rows) == 19_384
    assert sum(row["language"] not in ("en", "") for row in rows) < 0.01 * len(rows)
