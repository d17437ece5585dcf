"""Real conversations through both shapes of the system, with replays, imports again and kills."""

from __future__ import annotations

import gzip
import json
import threading
import urllib.request
from pathlib import Path

import pytest

from benchmarks.conversations import CONVERSATIONS
from fixtures.examples import examples
from fixtures.expected import Expected
from fixtures.phospho_process import run_phospho
from fixtures.shapes import API_KEY, PROJECT_ID, VIEWS, OneProcess, OnKafka, Shape

pytestmark = [pytest.mark.kafka, pytest.mark.sweep, pytest.mark.timeout(400)]

DEFINITIONS = Path(__file__).parents[2] / "data/definitions.yaml"
# Columns that depend on the project.
OF_PROJECT = ("project_id", "id")
# Of each example of the Hypothesis profile: one in `make test`, three in `make chaos`.
REPLAYS = 0.003


@pytest.mark.parametrize("shape_name", ["one_process", "on_kafka"])
def test_shape_stores_every_session_task_and_flag_once(
    shape_name: str, request: pytest.FixtureRequest, expected: Expected
) -> None:
    shape: Shape = request.getfixturevalue(shape_name)

    assert shape.number("SELECT count() FROM sessions") == expected.sessions
    assert shape.number("SELECT count() FROM tasks") == expected.tasks
    assert shape.number("SELECT uniqExact(task_id) FROM analyses") == expected.tasks
    for flag, number in expected.flags.items():
        assert shape.number(f"SELECT count() FROM tasks WHERE flag = '{flag}'") == number
    assert shape.number("SELECT count() FROM dead_letters") == 0


def test_conversations_file_has_its_known_size() -> None:
    """A changed file would otherwise go unnoticed."""
    if not CONVERSATIONS.exists():
        pytest.skip("../shared/data is not beside the project: the tests of this folder ran on made-up conversations")
    with gzip.open(CONVERSATIONS) as file:
        logged = [json.loads(line) for line in file]
    assert (len({log["session_id"] for log in logged}), len({log["task_id"] for log in logged})) == (2_098, 19_384)


@pytest.mark.parametrize("view", VIEWS)
def test_both_shapes_store_the_same_rows(view: str, one_process: OneProcess, on_kafka: OnKafka) -> None:
    rows = one_process.rows(view)

    assert rows == on_kafka.rows(view)
    assert view in ("feedback", "dead_letters") or rows


@pytest.mark.parametrize("shape_name", ["one_process", "on_kafka"])
def test_second_import_changes_nothing(shape_name: str, request: pytest.FixtureRequest, conversations: Path) -> None:
    shape = request.getfixturevalue(shape_name)
    before = shape.digest()

    shape.phospho("import", str(conversations))
    shape.settle()

    assert shape.digest() == before


def test_replays_of_every_topic_change_nothing(on_kafka: OnKafka) -> None:
    before = on_kafka.digest()

    for _ in range(examples(REPLAYS)):
        on_kafka.stop_workers()
        on_kafka.rewind()
        on_kafka.start_workers()
        on_kafka.settle()

    assert on_kafka.digest() == before


def test_sink_killed_during_an_import_loses_and_doubles_nothing(
    one_process: OneProcess, on_kafka: OnKafka, conversations: Path, expected: Expected
) -> None:
    shape = on_kafka.of_project("killed-sink")
    shape.apply_definitions(DEFINITIONS)
    environment = shape.client_environment()
    importing = threading.Thread(
        target=run_phospho, args=("import", str(conversations)), kwargs={"environment": environment}
    )
    importing.start()
    kills_with_lag = 0
    for _ in range(3):
        stored = _stored(shape)
        shape.wait_until(
            lambda before=stored: _stored(shape) > before or (before and shape.lag() == 0), "nothing is stored"
        )
        shape.workers["sink"].kill()
        kills_with_lag += shape.lag() > 0
        shape.workers["sink"].start()
    importing.join()
    shape.settle()

    assert kills_with_lag, "every kill came when no messages were left: the test proves nothing"
    assert shape.digest(*OF_PROJECT) == one_process.digest(*OF_PROJECT)
    # No duplicates that FINAL would hide either: the sink's protocol held without the help of the tables.
    assert _stored(shape) == expected.tasks


@pytest.mark.parametrize("shape_name", ["one_process", "on_kafka"])
def test_event_counts_agree_in_sql_api_and_metrics(shape_name: str, request: pytest.FixtureRequest) -> None:
    shape: Shape = request.getfixturevalue(shape_name)
    lines = shape.sql("SELECT name, count() FROM events GROUP BY name").splitlines()
    in_sql = {name: int(number) for name, number in (line.split("\t") for line in lines)}

    on_page = {entry["name"]: entry["events"] for entry in _json(f"{shape.base_url}/api/v1/event-stats")["events"]}
    in_metrics = _gauges(f"{shape.base_url}/metrics", "phospho_project_events")

    assert in_sql
    # A definition without events has a 0 in the API and no row in SQL.
    assert {name: number for name, number in on_page.items() if number} == in_sql
    assert in_metrics == in_sql


def test_accepted_logs_are_stored_after_a_kill(
    one_process: OneProcess, conversations: Path, expected: Expected
) -> None:
    shape = one_process.of_project("killed")
    shape.phospho("import", str(conversations))
    shape.process.kill()
    shape.process.start()
    shape.process.wait_until_ready()

    assert shape.number("SELECT count() FROM tasks") == expected.tasks
    assert shape.process.stop() == 0
    shape.process.start()
    shape.process.wait_until_ready()


def _stored(shape: OnKafka) -> int:
    """Return the number of a project's rows in the table of tasks, duplicates included."""
    sql = "SELECT count() AS number FROM task_rows WHERE project_id = {project:String}"
    return int(shape.store.rows(sql, {"project": shape.project_id})[0]["number"])


def _json(url: str) -> dict[str, list[dict[str, object]]]:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {API_KEY}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        document: dict[str, list[dict[str, object]]] = json.load(answer)
        return document


def _gauges(url: str, name: str) -> dict[str, int]:
    """Return a gauge's values of the first project by the label `event`."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    samples = [line for line in lines if line.startswith(name + "{") and f'project_id="{PROJECT_ID}"' in line]
    return {line.split('event="')[1].split('"')[0]: int(float(line.split()[-1])) for line in samples}
