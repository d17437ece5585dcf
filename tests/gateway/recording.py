"""Publishers for tests: one that remembers, one that refuses, one that waits until it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson

from phospho_schemas.topics import Keyed
from phospho_web.problems import Problem


class RecordingPublisher:
    """Remembers every message in order; `batches` holds how many came with each call."""

    def __init__(self) -> None:
        self.messages: list[Keyed] = []
        self.batches: list[int] = []
        self.receipts: list[dict[str, Any]] = []

    async def publish(self, messages: Sequence[Keyed], receipts: Sequence[Keyed] = ()) -> None:
        self.receipts += [orjson.loads(receipt.value) for receipt in receipts]
        self.messages.extend(messages)
        if messages:
            self.batches.append(len(messages))

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [orjson.loads(message.value) for message in self.messages]


class RefusingPublisher:
    """Raises the same Problem for every call."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    async def publish(self, messages: Sequence[Keyed], receipts: Sequence[Keyed] = ()) -> None:
        raise self.problem


class WaitingPublisher(RecordingPublisher):
    """Tells when a call has come in (`entered`), and confirms it when `release` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = asyncio.Event()
        self.release = asyncio.Event()

    async def publish(self, messages: Sequence[Keyed], receipts: Sequence[Keyed] = ()) -> None:
        self.entered.set()
        await self.release.wait()
        await super().publish(messages, receipts)
