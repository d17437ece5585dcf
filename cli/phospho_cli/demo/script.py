"""The demo's conversations and definitions, read from `script.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml


@dataclass(frozen=True)
class Turn:
    """One exchange: ways to ask, ways to answer, ways to fail."""

    asks: tuple[str, ...]
    answers: tuple[str, ...]
    failures: tuple[str, ...]


@dataclass(frozen=True)
class Kind:
    """A kind of conversation: it opens, goes on for some of the middle's turns, and mostly closes."""

    name: str
    weight: float
    opening: list[Turn]
    middle: list[Turn]
    closing: list[Turn]


def _turn(content: dict[str, list[str]]) -> Turn:
    return Turn(*(tuple(content.get(part, ())) for part in ("asks", "answers", "failures")))


def _kind(content: dict[str, Any]) -> Kind:
    parts = {part: [_turn(turn) for turn in content[part]] for part in ("opening", "middle", "closing")}
    return Kind(content["name"], content["weight"], **parts)


_SCRIPT = yaml.safe_load(resources.files(__package__).joinpath("script.yaml").read_text("utf-8"))

WORDS: dict[str, list[str]] = _SCRIPT["words"]
KINDS = [_kind(content) for content in _SCRIPT["kinds"]]
FRUSTRATED = _turn(_SCRIPT["frustrated"])
COMMENTS: dict[int, list[str]] = _SCRIPT["comments"]
DEFINITIONS: list[dict[str, Any]] = _SCRIPT["definitions"]
