"""The label queue that several people share: tasks in hand, progress and agreement."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from phospho_dashboard.definitions import review_queue

_NUMBERS = itertools.count()
TASKS = [f"t{number}" for number in range(6)]


@pytest.fixture
def asked(world: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the parameters of a queue of six tasks, two of which are handed out at a time."""
    monkeypatch.setattr(review_queue, "QUEUED_TASKS", 2)
    project = f"reviews-{next(_NUMBERS)}"
    world.registry.save_project(project)
    for number, task_id in enumerate(TASKS):
        world.add_task(project, task_id, input=f"a flight {number}")
        event = {"id": task_id, "name": "flight", "engine": "semantic", "scope": "input", "score": 0.3 + number / 10}
        world.add_analysis(project, task_id, events=[event])
    world.define(project, "flight")
    return {"project": project, "name": "flight"}


def _in_hand(client: TestClient, asked: dict[str, str], **more: str) -> list[str]:
    text = client.get("/definitions/queue", params={**asked, **more}).text
    return [task_id for task_id in TASKS if f'data-task="{task_id}"' in text]


def _twin(client: TestClient, asked: dict[str, str], **more: str) -> Any:
    return client.get("/definitions/queue.json", params={**asked, **more}).json()


def _label(client: TestClient, project: str, **label: str) -> None:
    page = client.get("/definitions", params={"project": project}).text
    token = re.search(r'name="form_token" value="([0-9a-f]{64})"', page)
    assert token is not None
    data = {"form_token": token[1], "project": project, "event": "flight", "next": "/", **label}
    assert client.post("/annotations/label", data=data).status_code == 303


def test_queue_gives_each_person_tasks_of_their_own(world: Any, asked: dict[str, str]) -> None:
    ada, bob = world.signed_in("editor"), world.signed_in("editor")
    assert _in_hand(ada, asked) == ["t0", "t1"]
    assert _in_hand(bob, asked) == ["t2", "t3"]
    assert _in_hand(ada, asked) == ["t0", "t1"]
    assert [person["in_hand"] for person in _twin(ada, asked)["progress"]["reviewers"]] == [2, 2]


def test_queue_of_viewers_and_programs_takes_nothing(world: Any, asked: dict[str, str]) -> None:
    viewer, editor = world.signed_in("viewer"), world.signed_in("editor")
    assert _in_hand(viewer, asked) == [task["task_id"] for task in _twin(editor, asked)["tasks"]] == ["t0", "t1"]
    assert _twin(editor, asked)["progress"]["reviewers"] == []


def test_queue_hands_out_what_nobody_labelled_in_time(
    world: Any, asked: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(review_queue, "LEASE", -review_queue.LEASE)
        world.signed_in("editor").get("/definitions/queue", params=asked)
    assert _in_hand(world.signed_in("editor"), asked) == ["t0", "t1"]


def test_queue_asks_two_people_and_lists_disagreements(world: Any, asked: dict[str, str]) -> None:
    ada, bob, eve = (world.signed_in("editor") for _ in range(3))
    project = asked["project"]
    assert _in_hand(ada, asked, people="2") == _in_hand(bob, asked, people="2") == ["t0", "t1"]
    assert _in_hand(eve, asked, people="2") == ["t2", "t3"]
    for client, labels in ((ada, ("confirmed", "rejected")), (bob, ("confirmed", "confirmed"))):
        for task_id, label in zip(("t0", "t1"), labels, strict=True):
            _label(client, project, task_id=task_id, label=label)
    assert not {"t0", "t1"} & {*_in_hand(ada, asked, people="2"), *_in_hand(bob, asked, people="2")}
    progress = _twin(ada, asked)["progress"]
    assert (progress["labelled_tasks"], progress["compared_tasks"], progress["disagreements"]) == (2, 2, 1)
    assert progress["agreement"] == pytest.approx(-1 / 3)
    [task] = progress["disagreeing_tasks"]
    assert (task["task_id"], [row["label"] for row in task["labels"]]) == ("t1", ["rejected", "confirmed"])
    assert "1 disagreement" in ada.get("/definitions/queue", params=asked).text


def test_queue_hides_the_label_of_another_person(world: Any, asked: dict[str, str]) -> None:
    ada, bob = world.signed_in("editor"), world.signed_in("editor")
    _label(ada, asked["project"], task_id="t5", label="confirmed")
    page = bob.get("/definitions/queue", params={**asked, "people": "2"}).text
    assert 'data-task="t5"' in page
    assert "Undo label" not in page
    assert 'data-task="t5"' not in bob.get("/definitions/queue", params=asked).text


def test_queue_asks_one_to_three_people(world: Any, asked: dict[str, str]) -> None:
    editor = world.signed_in("editor")
    for people in ("0", "4", "many"):
        assert editor.get("/definitions/queue.json", params={**asked, "people": people}).status_code == 400
