"""The examples of each topic: good ones, and bad ones with what their readers must say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import phospho_schemas
from phospho_schemas.topics import TOPICS

ROOT = Path(phospho_schemas.__file__).parent / "examples"
_EXPECTED = ".expected.json"


@dataclass(frozen=True)
class Example:
    """One message in a file. `expected` is what stands beside it: of a bad one, the answer of each reader."""

    topic: str
    path: Path

    @property
    def name(self) -> str:
        return f"{self.topic}/{self.path.stem}"

    @property
    def document(self) -> Any:
        return json.loads(self.path.read_bytes())

    @property
    def line(self) -> bytes:
        """The message as a producer sends it: on one line where it is JSON, else as it is."""
        try:
            return json.dumps(self.document, ensure_ascii=False).encode()
        except ValueError:
            return self.path.read_bytes()

    @property
    def expected(self) -> dict[str, Any]:
        path = self.path.with_name(self.path.stem + _EXPECTED)
        return dict(json.loads(path.read_bytes()))


def good(topic: str) -> list[Example]:
    """Return the examples of version 1 of a topic."""
    return list(_examples(topic, "1"))


def bad(topic: str) -> list[Example]:
    """Return the messages of a topic that some reader must not take."""
    return list(_examples(topic, "bad"))


def each(*examples: list[Example]) -> pytest.MarkDecorator:
    """Run a test for each of these examples."""
    chosen = [example for some in examples for example in some]
    return pytest.mark.parametrize("example", chosen, ids=lambda example: example.name)


def all_good() -> list[Example]:
    return [example for topic in TOPICS for example in good(topic.name)]


def all_bad() -> list[Example]:
    return [example for topic in TOPICS for example in bad(topic.name)]


def _examples(topic: str, folder: str) -> Iterator[Example]:
    for path in sorted((ROOT / topic / folder).glob("*.json")):
        if not path.name.endswith(_EXPECTED):
            yield Example(topic, path)
