"""The endpoint of sample data."""

from __future__ import annotations

import re
from typing import Any

import orjson
from starlette.testclient import TestClient

PATH = "/api/v1/sample-data"


def test_sample_data_publishes_what_it_counts(world: Any, fresh: TestClient) -> None:
    world.publisher.messages.clear()

    answer = fresh.post(PATH, json={"days": 2})

    messages = [orjson.loads(message.value) for message in world.publisher.messages]
    logs = [message for message in messages if message["kind"] == "log"]
    assert answer.status_code == 201, answer.text
    counts = answer.json()
    assert (counts["tasks"], counts["feedback"]) == (len(logs), len(messages) - len(logs))
    assert counts["sessions"] == len({message["session_id"] for message in logs})
    assert len({message["task_id"] for message in logs}) == len(logs) > 100


def test_sample_data_defines_events_once(fresh: TestClient) -> None:
    defined = fresh.post(PATH, json={"days": 1}).json()["definitions"]

    names = [definition["name"] for definition in fresh.get("/api/v1/definitions").json()["definitions"]]
    assert sorted(names) == sorted(defined) != []
    assert fresh.post(PATH).json()["definitions"] == []


def test_sample_data_refuses_a_wrong_number_of_days(fresh: TestClient) -> None:
    for days in (0, 401, "30", True):
        assert fresh.post(PATH, json={"days": days}).status_code == 422


def test_sample_data_needs_a_publisher(world: Any) -> None:
    client = world.client(world.keys["mine"], can_publish=False)

    assert client.post(PATH).status_code == 503


def test_button_of_an_empty_project_loads_sample_data(world: Any, pages: TestClient, project: str) -> None:
    world.publisher.messages.clear()
    page = pages.get("/", params={"project": project})
    token = re.search(r'name="form_token" value="([0-9a-f]{64})"', page.text)
    assert token is not None

    answer = pages.post("/sample-data", params={"project": project}, data={"form_token": token[1]})

    assert "Load sample data</button>" in page.text
    assert (answer.status_code, answer.headers["location"]) == (303, f"/?project={project}")
    assert len(world.publisher.messages) > 1000
    assert world.registry.definitions(project) != []
