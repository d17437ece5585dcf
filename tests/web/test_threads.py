"""The threads of the store: bounded, and what does not fit is told to come again."""

from __future__ import annotations

import asyncio
import threading

import pytest

from phospho_store.errors import ChangeRefused, Conflict, LimitReached
from phospho_web.problems import Problem
from phospho_web.threads import FairThreads, StoreThreads


async def test_a_call_beyond_every_place_is_told_when_to_come_again() -> None:
    threads, release = StoreThreads(threads=1, max_waiting=1), threading.Event()
    running = [asyncio.ensure_future(threads.run(release.wait, 10.0)) for _ in range(2)]
    await asyncio.sleep(0)

    with pytest.raises(Problem) as refused:
        await threads.run(release.wait, 10.0)
    release.set()

    assert (refused.value.status, refused.value.retry_after_s) == (503, 1)
    assert await asyncio.gather(*running) == [True, True]
    assert await threads.run(len, "abc") == 3
    threads.close()


async def test_a_call_whose_request_is_gone_keeps_its_place_until_its_end() -> None:
    threads, started, release = StoreThreads(threads=1, max_waiting=0), threading.Event(), threading.Event()

    def call() -> None:
        started.set()
        release.wait(10.0)

    request = asyncio.ensure_future(threads.run(call))
    await asyncio.to_thread(started.wait, 10.0)
    request.cancel()

    with pytest.raises(Problem):
        await threads.run(len, "abc")
    release.set()
    await asyncio.to_thread(threads.close)


async def test_what_a_call_raises_comes_to_its_caller() -> None:
    threads = StoreThreads(threads=1, max_waiting=0)

    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)
    threads.close()


@pytest.mark.parametrize(("refusal", "status"), [(Conflict, 409), (LimitReached, 422)])
async def test_a_change_that_the_store_refuses_is_a_problem(refusal: type[ChangeRefused], status: int) -> None:
    def call() -> None:
        raise refusal("code", "what happened", "what to do")

    threads = StoreThreads(threads=1, max_waiting=0)
    with pytest.raises(Problem) as refused:
        await threads.run(call)
    assert (refused.value.status, refused.value.code) == (status, "code")
    assert (refused.value.message, refused.value.hint) == ("what happened", "what to do")
    threads.close()


async def test_fair_threads_run_another_projects_call_beside_heavy_ones() -> None:
    threads, may_end, started = FairThreads(2, max_waiting=40), threading.Event(), []

    def heavy(name: str) -> str:
        started.append(name)
        may_end.wait()
        return name

    calls = [asyncio.create_task(threads.run("heavy", heavy, f"heavy-{number}")) for number in range(20)]
    await asyncio.sleep(0)

    assert await threads.run("light", lambda: "light") == "light"
    assert started == ["heavy-0"]
    calls.append(asyncio.create_task(threads.run("heavy", heavy, "heavy-20")))
    await asyncio.sleep(0)
    with pytest.raises(Problem, match="too many queries wait"):
        await threads.run("heavy", heavy, "heavy-21")
    for call in calls[:10]:
        call.cancel()
    assert await threads.run("light", lambda: "light") == "light"
    may_end.set()
    assert await asyncio.gather(*calls[10:]) == [f"heavy-{number}" for number in range(10, 21)]
    threads.close()
