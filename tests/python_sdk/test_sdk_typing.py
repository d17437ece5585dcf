"""What `mypy --strict` says of an app that uses the SDK."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

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

MISTAKES = """
import phospho


@phospho.wrap
def answer(question: str) -> str:
    return question


answer(5)
phospho.user_feedback("task-1", flag="good")
phospho.wrap(5)
"""


def mypy(folder: Path, app: str) -> str:
    (folder / "app.py").write_text(app)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", "cache", "app.py"]
    environment = {**os.environ, "MYPYPATH": str(Path(phospho.__file__).parents[1])}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300).stdout


def test_an_app_keeps_the_types_of_its_functions_and_is_told_its_mistakes(tmp_path: Path) -> None:
    said = mypy(tmp_path, APP)

    short = re.sub(r"\b(?:builtins|typing|collections\.abc)\.", "", said)
    revealed = re.findall(r'note: Revealed type is "(.*)"', short)
    assert "error" not in said, said
    assert revealed == REVEALED

    lines = mypy(tmp_path, MISTAKES).splitlines()
    mistakes = [re.sub(r"app\.py:(\d+): error: .*\[([\w-]+)\]", r"\1 \2", line) for line in lines if ": error:" in line]
    assert mistakes == ["10 arg-type", "11 arg-type", "12 call-overload"]
