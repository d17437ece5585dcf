"""The sides of a task: its input, its output and its system prompt, and which of them a definition reads."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from phospho_schemas.messages import EventDefinition

Side = Literal["input", "output", "system_prompt"]
SIDES: tuple[Side, ...] = ("input", "output", "system_prompt")
# Between the messages of a session that are read as one text: no phrase or pattern spans it.
MESSAGE_BREAK = "\n\u2029\n"
# The side that gives another one its context: the answer to a question, and the question of an answer.
OTHER_SIDE: Mapping[str, Side] = MappingProxyType({"input": "output", "output": "input"})


def reads_side(definition: EventDefinition, side: Side) -> bool:
    """Return True if a definition reads that side of a task; the scope `task` reads input and output separately."""
    return definition.scope == side or (definition.scope == "task" and side != "system_prompt")


def texts_of(task: Mapping[str, Any], scope: str) -> dict[Side, str]:
    """Return the texts of a task on the sides that a scope reads, without empty ones."""
    sides: tuple[Side, ...] = ("input", "output") if scope == "task" else tuple(side for side in SIDES if side == scope)
    return {side: task[side] for side in sides if task.get(side)}


def messages_of(text: str) -> list[str]:
    """Return the messages that a text was joined of, most often the text itself."""
    return text.split(MESSAGE_BREAK)
