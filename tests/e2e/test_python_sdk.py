"""The SDK against a real `phospho up`: logs, feedback, labels and events are read back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import phospho
from fixtures.shapes import OneProcess

DEFINITIONS = """
definitions:
  - name: refund
    description: The user asks for their money back
    engine: keyword
    scope: input
    keywords: [refund, money back]
"""


@pytest.fixture(scope="module")
def shape(up: OneProcess, tmp_path_factory: pytest.TempPathFactory) -> OneProcess:
    shape = up.of_project("python-sdk")
    definitions = tmp_path_factory.mktemp("definitions") / "definitions.yaml"
    definitions.write_text(DEFINITIONS)
    shape.phospho("definitions", "apply", str(definitions))
    return shape


@pytest.fixture
def client(shape: OneProcess) -> Iterator[phospho.Client]:
    with_key = phospho.Client(api_key=shape.api_key, base_url=shape.base_url, tick=2)
    yield with_key
    with_key.close(timeout=0)


def test_task_is_read_as_logged(client: phospho.Client) -> None:
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "I want my money back"}]
    log = client.log(
        {"messages": messages, "model": "gpt-4o-mini"},
        "Of course.",
        user_id="o'neill\\",
        version_id="v1",
        metadata={"latency_ms": 12.5, "deep": {"list": [1, None]}},
        source="web",
        client_created_at=1_800_000_000 - 3600 * 24 * 365,
    )
    assert client.flush().is_complete

    task = client.tasks.get(log["task_id"])

    content = task.content
    assert (content["input"], content["output"]) == ("I want my money back", "Of course.")
    assert (content["system_prompt"], content["model"]) == ("Be kind.", "gpt-4o-mini")
    assert (content["user_id"], content["version_id"]) == ("o'neill\\", "v1")
    assert content["latency_ms"] == 12.5
    assert content["metadata"]["deep"] == {"list": [1, None]}
    assert content["metadata"]["source"] == "web"
    assert content["created_at"].startswith("2026-01-15")
    assert [event["name"] for event in task.events()] == ["refund"]


def test_tasks_of_one_millisecond_are_read_in_order(client: phospho.Client) -> None:
    session_id, at_s = phospho.new_session(), 1_795_000_000.5
    for number in range(6):
        client.log(str(number), session_id=session_id, client_created_at=at_s)
    assert client.flush().is_complete

    tasks = client.sessions.get(session_id).list_tasks()

    assert [task.content["input"] for task in tasks] == [str(number) for number in range(6)]


def test_feedback_is_read_as_flag(client: phospho.Client) -> None:
    liked, disliked = (client.log(input=text)["task_id"] for text in ("good", "bad"))
    assert client.flush().is_complete
    client.feedback(liked, 1, comment="Quick!")
    client.tasks.get(disliked).flag("failure", notes="slow")
    assert client.flush().is_complete

    assert client.tasks.get(liked).content["flag"] == "success"
    assert client.tasks.get(disliked).content["flag"] == "failure"


def test_events_are_confirmed_rejected_and_cleared(client: phospho.Client) -> None:
    missed, wrong = (client.log(input=text)["task_id"] for text in ("Give it back", "No refund, please"))
    client.confirm_event(missed, "refund", comment="Between the lines")
    client.reject_event(wrong, "refund")
    assert client.flush().is_complete

    assert [event["name"] for event in client.tasks.get(missed).events()] == ["refund"]
    assert client.tasks.get(wrong).events() == []

    for task_id in (missed, wrong):
        client.clear_event(task_id, "refund")
    client.confirm_event(missed, "nobody defined this")
    result = client.flush()

    assert ["unknown_event" in reason for _, reason in result.rejected] == [True]
    assert client.tasks.get(missed).events() == []
    assert [event["name"] for event in client.tasks.get(wrong).events()] == ["refund"]


def test_session_and_its_tasks_are_read(client: phospho.Client) -> None:
    session_id = "a session/with a slash?"
    ids = [client.log(input=str(number), session_id=session_id)["task_id"] for number in range(3)]
    assert client.flush().is_complete

    session = client.sessions.get(session_id)

    assert session.content["session_id"] == session_id
    assert sorted(task.id for task in session.list_tasks()) == sorted(ids)
    assert [task.content["session_id"] for task in session.list_tasks()] == [session_id] * 3
    assert session_id in [session.id for session in client.sessions.list()]
    assert set(ids) <= {task.id for task in client.tasks.list()}


def test_missing_task_and_session_raise_not_found(client: phospho.Client) -> None:
    with pytest.raises(phospho.NotFoundError):
        client.tasks.get("nobody")
    with pytest.raises(phospho.NotFoundError):
        client.sessions.get("nobody")


def test_project_is_that_of_the_key(client: phospho.Client, shape: OneProcess) -> None:
    assert client.project()["project_id"] == shape.project_id


def test_invalid_key_raises_on_read_and_counts_on_log(shape: OneProcess) -> None:
    stranger = phospho.Client(api_key="ph_nobody", base_url=shape.base_url, tick=2)

    with pytest.raises(phospho.APIError) as error:
        stranger.tasks.list()
    stranger.log(input="Hello")

    assert error.value.status == 401
    [(_, reason)] = stranger.flush().rejected
    assert f"{shape.base_url} refuses the API key. Check PHOSPHO_API_KEY" in reason
    assert stranger.stats().dropped == {"rejected:http_401": 1}
    stranger.close(timeout=0)


def test_refused_event_harms_no_other(client: phospho.Client) -> None:
    good = client.log(input="good", flag="success")
    bad: Any = client.log(input="bad", flag="superb")
    result = client.flush()

    assert good["task_id"] in result.sent
    assert [event_id for event_id, _ in result.rejected] == [bad["task_id"]]


@pytest.mark.parametrize("name", ["01_log.py", "02_conversation.py", "05_trace.py", "06_asyncio.py"])
def test_example_runs_against_real_server(shape: OneProcess, name: str) -> None:
    example = Path(phospho.__file__).parents[1] / "examples" / name
    environment = {**os.environ, **shape.client_environment()}

    done = subprocess.run(
        [sys.executable, str(example)], env=environment, capture_output=True, text=True, timeout=30, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
