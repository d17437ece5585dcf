"""The legacy API in front of Kafka and the workers: what was logged is readable when it has gone through them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from fixtures.shapes import OnKafka
from phospho_store.registry.registry import Registry

PROJECT = "legacy-on-kafka"


@pytest.mark.kafka
@pytest.mark.timeout(400)
def test_a_log_and_its_changes_are_readable_soon_after(cluster: OnKafka) -> None:
    registry = Registry(cluster.store)
    registry.save_project(PROJECT)
    headers = {"Authorization": f"Bearer {registry.create_key(PROJECT).secret}"}
    event = {"task_id": "t", "session_id": "s", "input": "I need a refund", "output": "Of course"}
    with httpx.Client(base_url=f"{cluster.base_url}/v2", headers=headers, timeout=30) as client:
        assert client.post(f"/log/{PROJECT}", json={"batched_log_events": [event]}).status_code == 200
        assert _read_soon(cluster, client, "/tasks/t", lambda task: task["language"] == "en")["input"] == event["input"]

        changed = client.post("/tasks/t", json={"metadata": {"label": "money"}, "flag": "failure"}).json()

        assert (changed["metadata"], changed["flag"]) == ({"label": "money"}, "failure")
        read = _read_soon(cluster, client, "/tasks/t", lambda task: task["flag"] == "failure" and task["metadata"])
        assert read["metadata"] == {"label": "money"}
        assert _read_soon(cluster, client, "/sessions/s", lambda session: True)["session_length"] == 1
    cluster.settle()


def _read_soon(cluster: OnKafka, client: httpx.Client, path: str, is_expected: Any) -> Any:
    """Return the document at `path` as soon as it is as expected."""
    documents: list[Any] = [None]

    def is_there() -> bool:
        response = client.get(path)
        assert response.status_code in (200, 404), response.text
        documents[0] = response.json()
        return bool(response.status_code == 200 and is_expected(documents[0]))

    cluster.wait_until(is_there, f"{path} is not there")
    return documents[0]
