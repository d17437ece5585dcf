"""Real conversations through the whole system, in one process and on Kafka: one truth, whatever happens to it."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.conversations import CONVERSATIONS
from fixtures.expected import Expected
from fixtures.shapes import API_KEY, VIEWS, OneProcess, OnKafka, Shape

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

DEFINITIONS = Path(__file__).parents[1] / "data/definitions.yaml"


@pytest.mark.parametrize("shape_name", ["one_process", "on_kafka"])
def test_every_session_task_and_flag_is_there_once(
    shape_name: str, request: pytest.FixtureRequest, expected: Expected
) -> None:
    shape: Shape = request.getfixturevalue(shape_name)

    assert shape.number("SELECT count() FROM sessions") == expected.sessions
    assert shape.number("SELECT count() FROM tasks") == expected.tasks
    assert shape.number("SELECT uniqExact(task_id) FROM analyses") == expected.tasks
    for flag, number in expected.flags.items():
        assert shape.number(f"SELECT count() FROM tasks WHERE flag = '{flag}'") == number
    assert shape.number("SELECT count() FROM dead_letters") == 0


def test_the_real_conversations_are_what_they_were(conversations: Path, expected: Expected) -> None:
    """So that a change of the file does not go unseen in the numbers above."""
    if conversations != CONVERSATIONS:
        pytest.skip("../shared/data is not beside the project: the tests of this folder ran on made-up conversations")
    assert (expected.sessions, expected.tasks) == (2_098, 19_384)


@pytest.mark.parametrize("view", VIEWS)
def test_both_shapes_agree_row_for_row(view: str, one_process: OneProcess, on_kafka: OnKafka) -> None:
    rows = one_process.rows(view)

    assert rows == on_kafka.rows(view)
    assert view in ("feedback", "dead_letters") or rows


@pytest.mark.parametrize("shape_name", ["one_process", "on_kafka"])
def test_a_second_import_changes_nothing(shape_name: str, request: pytest.FixtureRequest, conversations: Path) -> None:
    shape = request.getfixturevalue(shape_name)
    before = shape.digest()

    shape.phospho("import", str(conversations))
    shape.settle()

    assert shape.digest() == before


def test_three_replays_of_every_topic_change_nothing(on_kafka: OnKafka) -> None:
    before = on_kafka.digest()

    for _ in range(3):
        on_kafka.stop_workers()
        on_kafka.rewind()
        on_kafka.start_workers()
        on_kafka.settle()

    assert on_kafka.digest() == before


def test_a_sink_killed_in_the_middle_of_an_import_loses_and_doubles_nothing(
    tmp_path: Path, one_process: OneProcess, conversations: Path, expected: Expected
) -> None:
    with OnKafka(tmp_path) as shape:
        shape.phospho("definitions", "apply", str(DEFINITIONS))
        importing = threading.Thread(target=shape.phospho, args=("import", str(conversations)))
        importing.start()
        kills_in_hand = 0
        for _ in range(3):
            stored = _stored(shape)
            _wait_for(lambda before=stored: _stored(shape) > before or (before and shape.lag() == 0))
            shape.workers["sink"].kill()
            kills_in_hand += shape.lag() > 0
            shape.workers["sink"].start()
        importing.join()
        shape.settle()

        assert kills_in_hand, "every kill came when nothing was left to do: the test says nothing"
        assert shape.digest() == one_process.digest()
        # Not even hidden ones, which FINAL would leave out: the sink's protocol held, the tables' was not needed.
        assert _stored(shape) == expected.tasks


@pytest.mark.parametrize("shape_name", ["one_process", "on_kafka"])
def test_counts_of_events_agree_in_sql_on_the_page_and_in_metrics(
    shape_name: str, request: pytest.FixtureRequest
) -> None:
    shape: Shape = request.getfixturevalue(shape_name)
    lines = shape.phospho("query", "SELECT name, count() FROM events GROUP BY name", "--format", "TSV").splitlines()
    in_sql = {name: int(number) for name, number in (line.split("\t") for line in lines)}

    on_page = {entry["name"]: entry["events"] for entry in _json(f"{shape.base_url}/api/v1/event-stats")["events"]}
    in_metrics = _gauges(f"{shape.base_url}/metrics", "phospho_project_events")

    assert in_sql
    # What is defined and was found nowhere stands on the page with 0, and has no row in SQL.
    assert {name: number for name, number in on_page.items() if number} == in_sql
    assert in_metrics == in_sql


def test_accepted_means_stored_when_the_process_is_killed(
    tmp_path: Path, conversations: Path, expected: Expected
) -> None:
    with OneProcess(tmp_path) as shape:
        shape.phospho("import", str(conversations))
        shape.process.kill()
        shape.process.start()
        shape.process.wait_until_ready()

        assert shape.number("SELECT count() FROM tasks") == expected.tasks
        assert shape.process.stop() == 0


def _stored(shape: OnKafka) -> int:
    """Return how many rows the table of tasks holds, doubled ones too."""
    return int(shape.store.rows("SELECT count() AS number FROM task_rows")[0]["number"])


def _wait_for(is_true: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline_s, "it did not come true in time"
        time.sleep(0.02)


def _json(url: str) -> dict[str, list[dict[str, object]]]:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {API_KEY}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        document: dict[str, list[dict[str, object]]] = json.load(answer)
        return document


def _gauges(url: str, name: str) -> dict[str, int]:
    """Return a gauge's values by the label `event`."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    samples = [line for line in lines if line.startswith(name + "{")]
    return {line.split('event="')[1].split('"')[0]: int(float(line.split()[-1])) for line in samples}
