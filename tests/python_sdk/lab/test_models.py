"""Messages of the lab, made from tasks."""

from __future__ import annotations

from typing import Any

import phospho
from phospho import lab


def test_message_from_task_is_output_after_input() -> None:
    earlier = (lab.Message("Hi", "User"), lab.Message("Hello!", "Assistant"))

    message = lab.Message.from_task({"task_id": "t1", "input": "Why?", "output": "Because."}, earlier, {"a": 1})

    assert (message.id, message.role, message.content, message.metadata) == ("t1", "Assistant", "Because.", {"a": 1})
    assert message.sides() == ("Why?", "Because.")
    assert message.context() == earlier
    assert (
        message.transcript(with_previous_messages=True)
        == "User: Hi\nAssistant: Hello!\nUser: Why?\nAssistant: Because."
    )
    assert message.transcript(with_role=False) == "Because."


def test_message_from_task_without_output_is_input() -> None:
    message = lab.Message.from_task({"task_id": "t1", "input": "Why?", "output": None, "metadata": {"a": 1}})

    assert (message.id, message.role, message.sides(), message.metadata) == ("t1", "User", ("Why?", ""), {"a": 1})


def test_message_from_read_task_and_from_logged_content(server: Any, recorded: Any) -> None:
    logged = phospho.log(input="Why?", output="Because.")
    task = phospho.tasks.Task(phospho.Client(base_url=server.url), "t2", {"task_id": "t2", "input": "a", "output": "b"})

    assert lab.Message.from_task(logged).id == logged["task_id"]
    assert lab.Message.from_task(task).sides() == ("a", "b")


def test_message_sides_of_answer_without_question() -> None:
    first = lab.Message("Welcome!", "assistant")

    assert first.sides() == ("", "Welcome!")
    assert lab.Message("And?", "assistant", [first]).sides() == ("", "And?")
