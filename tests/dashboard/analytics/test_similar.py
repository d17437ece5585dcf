"""Search by meaning: similar tasks of a text and of a task, within the filters of a page."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from dashboard.conftest import World
from phospho_workers.detection.text.meaning import codes

INPUTS = {
    "refund": "I want my money back",
    "refund-again": "please give me my money back",
    "refund-copy": "please give me my money back",
    "price": "this is far too expensive",
    "lights": "turn off the lights in the kitchen",
    "wordless": "",
}


@pytest.fixture
def client(world: World, project: str) -> TestClient:
    with world.together():
        for number, (task_id, text) in enumerate(INPUTS.items()):
            shared = {"created_at": f"2026-01-01T10:00:0{number}.000Z", "user_id": f"user-{number % 2}"}
            world.add_task(project, task_id, input=text, **shared)
            world.add_analysis(project, task_id, meaning=codes([text])[0], **shared)
    client = world.open_pages()
    client.params = client.params.set("project", project).set("period", "all")
    return client


def ids(tasks: list[dict]) -> list[str]:
    return [task["task_id"] for task in tasks]


def test_similar_tasks_are_ranked_and_of_different_inputs(client: TestClient, world: World, project: str) -> None:
    tasks = client.get("/similar-tasks/refund.json").json()["tasks"]
    assert ids(tasks)[:1] == ["refund-copy"]
    assert not {"refund", "refund-again", "wordless"} & set(ids(tasks))
    similarities = [task["similarity"] for task in tasks]
    assert similarities == sorted(similarities, reverse=True)
    assert client.get("/similar-tasks/wordless.json").json()["tasks"] == []
    assert client.get("/similar-tasks/nothing.json").status_code == 404
    page = client.get("/similar-tasks/refund")
    assert "give me my money back" in page.text
    assert "/similar-tasks/refund?" in client.get("/tasks/refund").text
    # A task that was logged again is compared as it is now, whatever its earlier analysis was.
    world.add_task(project, "refund-copy", input="what is the weather", revision=2)
    assert ids(client.get("/similar-tasks/refund.json").json()["tasks"])[0] == "refund-again"


def test_search_finds_by_meaning_beside_words(client: TestClient) -> None:
    content = client.get("/tasks.json", params={"q": "money back"}).json()
    assert {"refund", "refund-again", "refund-copy"} == set(ids(content["tasks"]))
    assert not set(ids(content["tasks"])) & set(ids(content["similar"]))
    content = client.get("/tasks.json", params={"q": "costs too much"}).json()
    assert content["tasks"] == []
    assert ids(content["similar"])[0] == "price"
    assert "Similar in meaning" in client.get("/tasks", params={"q": "costs too much"}).text
    assert client.get("/tasks.json").json()["similar"] == []


def test_search_by_meaning_keeps_the_other_filters(client: TestClient) -> None:
    similar = client.get("/tasks.json", params={"q": "give back cash money", "user": "user-0"}).json()["similar"]
    assert set(ids(similar)) <= {"refund", "refund-copy", "lights"}
    assert "refund" in ids(similar)
