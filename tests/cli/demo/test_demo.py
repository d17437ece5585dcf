"""`phospho demo`: traffic that looks like an app's, the same for the same seed."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any

from cli.conftest import Run
from cli.fake_server import FakeServer
from phospho_cli.commands.definitions.definition_file import DefinitionItem
from phospho_cli.demo.conversations import DemoTask
from phospho_cli.demo.history import past_tasks
from phospho_cli.demo.script import DEFINITIONS
from phospho_cli.demo.traffic import DemoTraffic


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

    assert 2 < 3000 / len(sessions) < 6
    for events in sessions.values():
        assert len({(event["user_id"], event["version_id"], event["metadata"]["model"]) for event in events}) == 1
        assert [event["task_id"][-2:] for event in events] == [f"{turn:02d}" for turn in range(1, len(events) + 1)]


def test_demo_has_every_kind_and_fills_every_gap() -> None:
    events = [task.event for task in first(2000)]

    assert {event["metadata"]["kind"] for event in events} == {
        "flights", "hotels", "refunds", "changes", "sign_in", "trip", "off_topic",
    }  # fmt: skip
    assert not [event for event in events if re.search(r"[{}]", event["input"] + event["output"])]
    assert len({event["input"] for event in events}) > 300


def test_demo_has_at_most_one_feedback_for_a_task() -> None:
    tasks = first(3000)
    feedback = [task.feedback for task in tasks if task.feedback]

    assert 0.04 < len(feedback) / len(tasks) < 0.15
    assert {one.body["score"] for one in feedback} == {0, 1}
    assert len({task.event["task_id"] for task in tasks}) == len(tasks)


NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


def past(days: int = 30, now: datetime = NOON) -> list[DemoTask]:
    return list(past_tasks(days, now))


def test_demo_past_covers_its_days_and_ends_now() -> None:
    tasks = past()
    days = {datetime.fromtimestamp(task.at_s, UTC).date() for task in tasks}

    assert days == {(NOON - timedelta(days=age)).date() for age in range(30)}
    assert NOON.timestamp() - 3600 < max(task.at_s for task in tasks) < NOON.timestamp()


def test_demo_past_keeps_its_ids_for_a_day() -> None:
    earlier, later = past(), past(now=NOON + timedelta(hours=6))

    assert {task.event["task_id"] for task in earlier} < {task.event["task_id"] for task in later}


def test_demo_past_is_quiet_at_night_and_on_weekends() -> None:
    times = [datetime.fromtimestamp(task.at_s, UTC) for task in past()]
    hours = Counter(time.hour for time in times)
    weekend = sum(time.weekday() >= 5 for time in times)

    assert sum(hours[hour] for hour in range(5)) < sum(hours[hour] for hour in range(9, 14)) / 5
    assert 0.1 < weekend / len(times) < 0.2


def failure_rate(tasks: list[DemoTask], version: str) -> float:
    failed = [
        bool(re.search(r"(?i)couldn't|can't|unable|failed|don't have", task.event["output"]))
        for task in tasks
        if task.event["version_id"] == version
    ]
    return sum(failed) / len(failed)


def test_demo_past_has_a_version_that_regresses() -> None:
    tasks = past()
    first_seen = {task.event["version_id"]: task.at_s for task in sorted(tasks, key=lambda task: -task.at_s)}

    assert first_seen["v1.4"] < first_seen["v1.5"] < first_seen["v1.6"]
    assert failure_rate(tasks, "v1.5") < failure_rate(tasks, "v1.4")
    assert failure_rate(tasks, "v1.6") > 2 * failure_rate(tasks, "v1.5")


def test_demo_past_has_a_subject_that_grows() -> None:
    def share(since_days: int, until_days: int) -> float:
        ages = [(NOON.timestamp() - task.at_s) / 86_400 for task in tasks]
        kinds = [
            task.event["metadata"]["kind"]
            for task, age in zip(tasks, ages, strict=True)
            if until_days <= age < since_days
        ]
        return kinds.count("sign_in") / len(kinds)

    tasks = past()
    assert share(4, 0) > 3 * share(30, 15)


def test_demo_writes_the_past_before_it_goes_live(server: FakeServer, run: Run) -> None:
    server.answer_next(
        "/api/v1/sample-data", 201, b'{"tasks": 1234, "sessions": 400, "feedback": 90, "definitions": []}'
    )

    result = run("demo", "--history", "9d", "--tasks", "1", "--rate", "300")

    assert server.of("/api/v1/sample-data")[0].document == {"days": 9}
    assert "1,234 tasks in 400 sessions, 90 with feedback, over 9 days" in result.stdout
    assert len(server.tasks) == 1


def test_demo_refuses_a_history_that_is_no_number_of_days(run: Run) -> None:
    result = run("demo", "--history", "month")

    assert result.exit_code == 2
    assert "such as 30d" in result.stderr


def test_demo_definitions_are_valid() -> None:
    assert [DefinitionItem.model_validate(item).name for item in DEFINITIONS] == [item["name"] for item in DEFINITIONS]


def test_demo_logs_the_given_number_of_tasks_with_feedback(server: FakeServer, run: Run) -> None:
    result = run("demo", "--history", "0", "--tasks", "60", "--rate", "300", "--seed", "7")

    assert result.exit_code == 0, result.output
    assert set(server.tasks) == {task.event["task_id"] for task in first(60, rate=300)}
    expected = {task.feedback.task_id for task in first(60, rate=300) if task.feedback}
    assert set(server.feedback) == expected
    assert f"60 tasks in 60 sessions, {len(expected)} with feedback" in result.stdout


def test_demo_logs_the_same_tasks_for_a_seed(server: FakeServer, run: Run) -> None:
    run("demo", "--history", "0", "--tasks", "30", "--rate", "300", "--seed", "7")
    once = without_times(server.tasks)
    run("demo", "--history", "0", "--tasks", "30", "--rate", "300", "--seed", "7")

    assert without_times(server.tasks) == once


def test_demo_applies_definitions_only_to_a_project_without_any(server: FakeServer, run: Run) -> None:
    run("demo", "--history", "0", "--tasks", "1", "--rate", "300")
    assert len(server.definitions) == len(DEFINITIONS)

    server.definitions = {"mine": {"name": "mine"}}
    run("demo", "--history", "0", "--tasks", "1", "--rate", "300")
    assert set(server.definitions) == {"mine"}


def test_demo_ends_after_its_duration(server: FakeServer, run: Run) -> None:
    run("demo", "--history", "0", "--duration", "0.3", "--rate", "100", "--seed", "7")

    assert len(server.tasks) == sum(task.at_s <= 0.3 for task in first(200, rate=100))
