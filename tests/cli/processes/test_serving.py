"""A background task doesn't end silently."""

from __future__ import annotations

import asyncio
import logging

import pytest

from phospho_cli.processes import serving
from phospho_cli.processes.serving import keep_running
from phospho_workers.runtime.metrics import REGISTRY


def failures() -> float:
    return REGISTRY.get_sample_value("phospho_background_failures_total", {"name": "scripted"}) or 0.0


async def test_a_task_that_fails_or_returns_is_logged_and_restarts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(serving, "_FIRST_BACKOFF_S", 0.001)
    starts, goes_on = [], asyncio.Event()
    before = failures()

    async def task() -> None:
        starts.append(len(starts))
        if len(starts) == 1:
            raise ValueError("a fault of ours")
        if len(starts) == 3:
            goes_on.set()
            await asyncio.Event().wait()

    with caplog.at_level(logging.ERROR, logger="phospho_cli"):
        running = asyncio.create_task(keep_running("scripted", task))
        await asyncio.wait_for(goes_on.wait(), 10)

    assert failures() == before + 2
    logged = [record.getMessage().split(",")[0] for record in caplog.records]
    assert logged == ["scripted failed", "scripted ended"]
    assert "a fault of ours" in caplog.text

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(starts) == 3
