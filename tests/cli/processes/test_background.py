"""A job beside what a process serves does not end silently."""

from __future__ import annotations

import asyncio
import logging

import pytest

from phospho_cli.processes import background
from phospho_cli.processes.background import kept_running
from phospho_workers.runtime.metrics import REGISTRY


def failures() -> float:
    return REGISTRY.get_sample_value("phospho_background_failures_total", {"name": "scripted"}) or 0.0


async def test_one_that_fails_or_returns_is_told_of_and_begins_anew(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "_FIRST_BACKOFF_S", 0.001)
    begun, runs_on = [], asyncio.Event()
    before = failures()

    async def job() -> None:
        begun.append(len(begun))
        if len(begun) == 1:
            raise ValueError("a fault of ours")
        if len(begun) == 3:
            runs_on.set()
            await asyncio.Event().wait()

    with caplog.at_level(logging.ERROR, logger="phospho_cli"):
        running = asyncio.create_task(kept_running("scripted", job))
        await asyncio.wait_for(runs_on.wait(), 10)

    assert failures() == before + 2
    told = [record.getMessage().split(",")[0] for record in caplog.records]
    assert told == ["scripted failed", "scripted ended"]
    assert "a fault of ours" in caplog.text

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(begun) == 3
