"""A follower's thread goes on, whatever a step does, and says how it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from phospho_store.errors import StoreUnavailable
from phospho_workers.followers import loop
from phospho_workers.followers.loop import FollowerThread


class Scripted:
    """Does what it is told, step by step, and then nothing."""

    name = "scripted"
    interval_s = 0.001

    def __init__(self, *steps: bool | Exception) -> None:
        self._steps = list(steps)
        self.done = 0
        self.is_idle = threading.Event()

    def step(self) -> bool:
        if not self._steps:
            self.is_idle.set()
            return False
        step = self._steps.pop(0)
        if isinstance(step, Exception):
            raise step
        self.done += 1
        return step


@pytest.fixture
def following(monkeypatch: pytest.MonkeyPatch) -> Callable[[Scripted], FollowerThread]:
    monkeypatch.setattr(loop, "_FIRST_BACKOFF_S", 0.001)
    return FollowerThread


@pytest.mark.parametrize("error", [StoreUnavailable("away"), ValueError("a fault of ours")])
def test_after_a_step_that_failed_the_next_one_is_done(
    following: Callable[[Scripted], FollowerThread], error: Exception
) -> None:
    follower = Scripted(True, error, False)
    thread = following(follower)
    thread.start()

    assert follower.is_idle.wait(10)
    assert (follower.done, thread.check()) == (2, None)
    thread.close()
    assert thread.check() == "scripted does not run"


def test_one_that_never_succeeds_is_unwell_in_the_end(
    following: Callable[[Scripted], FollowerThread], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_STALE_AFTER_S", 0.01)
    thread = following(Scripted(*[StoreUnavailable("nobody listens")] * 1000))
    thread.start()

    deadline_s = time.monotonic() + 10
    while "nobody listens" not in (thread.check() or ""):
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
    thread.close()
