"""Conversations to measure on: the real ones of shared/data where they are, else made-up ones of the same shape."""

from __future__ import annotations

import gzip
import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from phospho_gateway.intake.events import Envelope, EventReader
from phospho_schemas.ids import HybridClock
from phospho_schemas.topics import Keyed

REPOSITORY = Path(__file__).resolve().parents[2]
CONVERSATIONS = REPOSITORY.parent / "shared" / "data" / "sgd-dev.jsonl.gz"
DEFINITIONS = REPOSITORY / "tests" / "data" / "definitions.yaml"

_TURNS_A_SESSION = 9
_ASKED = ("find", "book", "show me", "look for", "reserve")
_THINGS = ("a flight", "a hotel room", "an Italian restaurant", "the weather", "a bus", "two tickets", "a rental car")
_PLACES = ("Paris", "San Jose", "London", "New York", "Berkeley", "Seattle", "Mexico City", "Sydney")
_ENDS = ("for tomorrow", "on March 3rd", "at half past six", "please", "thanks", "as cheap as you can")
_ANSWERS = ("I found one in", "Please confirm: you want to go to", "Your reservation is confirmed in", "Sorry, none in")


def source_name() -> str:
    """Say which conversations `logs` gives."""
    return CONVERSATIONS.name if CONVERSATIONS.exists() else "generated"


def logs(count: int, run: str) -> Iterator[dict[str, Any]]:
    """
    Yield `count` logs in the order of their time, repeated until there are enough.

    Every copy has ids of its own, which begin with `run`: no task is logged twice.
    """
    originals = list(_real() if CONVERSATIONS.exists() else _made_up())
    copies = ((copy, log) for copy in itertools.count() for log in originals)
    for copy, log in itertools.islice(copies, count):
        prefix = f"{run}-{copy:04d}-"
        yield log | {"session_id": prefix + log["session_id"], "task_id": prefix + log["task_id"]}


def raw_messages(count: int, run: str, project_id: str) -> list[Keyed]:
    """Return messages of phospho.raw-logs: the very bytes that the gateway publishes for these logs."""
    reader = EventReader(HybridClock(), run)
    envelope = Envelope(project_id, "batch", datetime.now(UTC))
    return [reader.read(log, envelope, index).keyed for index, log in enumerate(logs(count, run))]


def _real() -> Iterator[dict[str, Any]]:
    with gzip.open(CONVERSATIONS) as file:
        yield from map(orjson.loads, file)


def _made_up(sessions: int = 2000) -> Iterator[dict[str, Any]]:
    chance = random.Random(7)
    for session in range(sessions):
        for turn in range(_TURNS_A_SESSION):
            place = chance.choice(_PLACES)
            yield {
                "session_id": f"session-{session:05d}",
                "task_id": f"session-{session:05d}-{turn:02d}",
                "user_id": f"user-{session % 97:03d}",
                "version_id": f"v{session % 3}",
                "client_created_at": 1_767_226_784 + session * 60 + turn,
                "input": " ".join(map(chance.choice, (("I want to",), _ASKED, _THINGS, ("in",), (place,), _ENDS))),
                "output": f"{chance.choice(_ANSWERS)} {place}, {chance.randint(2, 900)} dollars. Anything else?",
                "metadata": {
                    "model": "gpt-4o-mini",
                    "tokens_in": chance.randint(20, 90),
                    "tokens_out": chance.randint(8, 60),
                    "latency_ms": chance.randint(400, 4000),
                    "services": ["Travel_1"],
                },
                "flag": {0: "success", 5: "failure"}.get(chance.randrange(24)),
            }
