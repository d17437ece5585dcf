"""`phospho demo`: traffic that looks like an app's, the same for the same seed."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import islice, pairwise
from typing import Any

from cli.conftest import Run
from cli.fake_server import FakeServer
from phospho_cli.commands.definition_file import DefinitionItem
from phospho_cli.demo.script import DEFINITIONS
from phospho_cli.demo.traffic import DemoTask, DemoTraffic


def first(count: int, seed: int = 7, rate: float = 5.0) -> list[DemoTask]:
    return list(islice(DemoTraffic(seed, rate), count))


def without_times(tasks: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        name: {key: value for key, value in task.items() if key != "client_created_at"} for name, task in tasks.items()
    }


def test_demo_traffic_follows_from_its_seed() -> None:
    assert first(500) == first(500)
    assert [task.event for task in first(50)] != [task.event for task in first(50, seed=8)]


def test_demo_arrivals_are_ordered_and_average_the_rate() -> None:
    tasks = first(6000)

    assert all(one.at_s < other.at_s for one, other in pairwise(tasks))
    assert 4.4 < len(tasks) / tasks[-1].at_s < 5.6


def test_demo_sessions_have_several_turns_of_one_user_and_version() -> None:
    sessions = defaultdict(list)
    for task in first(3000):
        sessions[task.event["session_id"]].append(task.event)

    assert 2.5 < 3000 / len(sessions) < 6
    for events in sessions.values():
        assert len({(event["user_id"], event["version_id"], event["metadata"]["model"]) for event in events}) == 1
        assert [event["task_id"][-2:] for event in events] == [f"{turn:02d}" for turn in range(1, len(events) + 1)]


def test_demo_has_every_kind_and_fills_every_gap() -> None:
    events = [task.event for task in first(2000)]

    assert {event["metadata"]["kind"] for event in events} == {"travel", "billing", "support", "smalltalk"}
    assert not [event for event in events if re.search(r"[{}]", event["input"] + event["output"])]
    assert len({event["input"] for event in events}) > 300


def test_demo_has_at_most_one_feedback_for_a_task() -> None:
    tasks = first(3000)
    feedback = [task.feedback for task in tasks if task.feedback]

    assert 0.04 < len(feedback) / len(tasks) < 0.15
    assert {one.body["score"] for one in feedback} == {0, 1}
    assert len({task.event["task_id"] for task in tasks}) == len(tasks)


def test_demo_definitions_are_valid() -> None:
    assert [DefinitionItem.model_validate(item).name for item in DEFINITIONS] == [item["name"] for item in DEFINITIONS]


def test_demo_logs_the_given_number_of_tasks_with_feedback(server: FakeServer, run: Run) -> None:
    result = run("demo", "--tasks", "60", "--rate", "300", "--seed", "7")

    assert result.exit_code == 0, result.output
    assert set(server.tasks) == {task.event["task_id"] for task in first(60, rate=300)}
    expected = {task.feedback.task_id for task in first(60, rate=300) if task.feedback}
    assert set(server.feedback) == expected
    assert f"60 tasks in 60 sessions, {len(expected)} with feedback" in result.stdout


def test_demo_logs_the_same_tasks_for_a_seed(server: FakeServer, run: Run) -> None:
    run("demo", "--tasks", "30", "--rate", "300", "--seed", "7")
    once = without_times(server.tasks)
    run("demo", "--tasks", "30", "--rate", "300", "--seed", "7")

    assert without_times(server.tasks) == once


def test_demo_applies_definitions_only_to_a_project_without_any(server: FakeServer, run: Run) -> None:
    run("demo", "--tasks", "1", "--rate", "300")
    assert len(server.definitions) == len(DEFINITIONS)

    server.definitions = {"mine": {"name": "mine"}}
    run("demo", "--tasks", "1", "--rate", "300")
    assert set(server.definitions) == {"mine"}


def test_demo_ends_after_its_duration(server: FakeServer, run: Run) -> None:
    run("demo", "--duration", "0.3", "--rate", "100", "--seed", "7")

    assert len(server.tasks) == sum(task.at_s <= 0.3 for task in first(200, rate=100))
