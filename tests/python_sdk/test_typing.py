"""Types of the SDK in an app that is checked by `mypy --strict`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import phospho

APP = """
from collections.abc import AsyncIterator, Iterator
from typing import Literal

import phospho


@phospho.wrap
def plain(question: str, times: int = 1) -> str:
    return question * times


@phospho.wrap(metadata={"team": "blue"}, user_id="u1")
def with_arguments(question: str) -> list[int]:
    return [1]


@phospho.wrap(stream=True, stop=lambda word: word is None)
def generator(question: str) -> Iterator[str]:
    yield question


@phospho.wrap
async def coroutine(question: str) -> str:
    return question


@phospho.wrap(stream=True)
async def async_generator(question: str) -> AsyncIterator[str]:
    yield question


@phospho.trace
def traced(question: str) -> int:
    return 1


@phospho.trace(session_id="s1", metadata={"team": "blue"})
async def traced_with_arguments(question: str) -> int:
    return 1


class Agent:
    @phospho.wrap
    def method(self, question: str) -> str:
        return question

    @phospho.wrap
    @classmethod
    def of_class(cls, question: str) -> str:
        return question

    @phospho.wrap(metadata={})
    @staticmethod
    def static(question: str) -> str:
        return question


def starred(stars: int) -> Literal["success", "failure"]:
    return "success" if stars > 3 else "failure"


reveal_type(plain)
reveal_type(with_arguments)
reveal_type(generator)
reveal_type(coroutine)
reveal_type(async_generator)
reveal_type(traced)
reveal_type(traced_with_arguments)
reveal_type(Agent().method)
reveal_type(Agent.of_class)
reveal_type(Agent.static)
reveal_type(phospho.wrap(len))
reveal_type(phospho.MutableGenerator(iter(["a"])).stopped_at)
phospho.user_feedback("task-1", flag="success")
phospho.confirm_event("task-1", "refund", comment="Yes")
phospho.reject_event("task-1", "refund")
phospho.clear_event("task-1", "refund")
phospho.user_feedback("task-1", raw_flag=4, raw_flag_to_flag=starred)
"""

REVEALED = [
    "def (question: str, times: int =) -> str",
    "def (question: str) -> list[int]",
    "def (question: str) -> Iterator[str]",
    "def (question: str) -> Coroutine[Any, Any, str]",
    "def (question: str) -> AsyncIterator[str]",
    "def (question: str) -> int",
    "def (question: str) -> Coroutine[Any, Any, int]",
    "def (question: str) -> str",
    "def (question: str) -> str",
    "def (question: str) -> str",
    "def (Sized) -> int",
    "str | None",
]

# The public names, with the types that they give an app.
PUBLIC_NAMES = """
from typing import Any, Iterator, Optional

import phospho
from phospho.integrations.openai import wrap_openai
from phospho.tasks import Task

phospho.init(api_key="ph_key", transport=phospho.RecordingTransport())
log: dict[str, Any] = phospho.log(input="Hello", output="Hi", anything=1)
task: Optional[Task] = phospho.user_feedback(log["task_id"], raw_flag="up")
result: phospho.FlushResult = phospho.flush(timeout=1.0)
sent: tuple[str, ...] = result.sent
latest: Optional[str] = phospho.latest_task_id
session_id: str = phospho.new_session()
if phospho.log_queue is not None:
    content: dict[str, Any] = phospho.log_queue.events[log["task_id"]].content


def words() -> Iterator[str]:
    yield "Hi"


stream = phospho.MutableGenerator(words(), stop=lambda word: word == "END")
first: str = next(stream)

@phospho.wrap
def answer(question: str) -> str:
    return "42"


@phospho.trace
def traced(question: str) -> str:
    return "42"


length: int = len(answer("why?")) + len(traced("why?"))
with phospho.tracer(session_id=session_id) as trace:
    task_id: str = trace.task_id
"""

MISTAKES = """
import phospho


@phospho.wrap
def answer(question: str) -> str:
    return question


answer(5)
phospho.user_feedback("task-1", flag="good")
phospho.wrap(5)
phospho.lgo(input="Hello")
"""


FILES = {"app.py": APP, "public_names.py": PUBLIC_NAMES, "mistakes.py": MISTAKES}


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The messages of one run of mypy, by file."""
    folder = tmp_path_factory.mktemp("typing")
    for name, source in FILES.items():
        (folder / name).write_text(source)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", "cache", *FILES]
    environment = {**os.environ, "MYPYPATH": str(Path(phospho.__file__).parents[1])}
    checked = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=110)
    assert checked.stderr == ""
    lines = checked.stdout.splitlines()
    return {name: [line.removeprefix(f"{name}:") for line in lines if line.startswith(f"{name}:")] for name in FILES}


def test_mypy_keeps_types_of_wrapped_functions(messages: dict[str, list[str]]) -> None:
    text = re.sub(r"\b(?:builtins|typing|collections\.abc)\.", "", "\n".join(messages["app.py"]))

    assert "error" not in text, text
    assert re.findall(r'note: Revealed type is "(.*)"', text) == REVEALED


def test_mypy_accepts_public_names_in_an_app(messages: dict[str, list[str]]) -> None:
    assert messages["public_names.py"] == []


def test_mypy_rejects_mistakes_of_an_app(messages: dict[str, list[str]]) -> None:
    errors = [
        re.sub(r"(\d+): error: .*\[([\w-]+)\]", r"\1 \2", line)
        for line in messages["mistakes.py"]
        if ": error:" in line
    ]

    assert errors == ["10 arg-type", "11 arg-type", "12 call-overload", "13 attr-defined"]
    assert any('has no attribute "lgo"' in line for line in messages["mistakes.py"])
