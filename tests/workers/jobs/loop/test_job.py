"""A job's thread, and the changes of tables that wake it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from fixtures.waiting import STALLED_AFTER_S, wait_until
from phospho_store.errors import StoreUnavailable
from phospho_store.store import Store
from phospho_workers.jobs.loop import job as job_module
from phospho_workers.jobs.loop.job import JobThread, TableChanges
from store.facts import insert, task

TABLES = ("task_rows", "label_rows")


class Scripted:
    """Does what it is told, step by step, and then nothing."""

    name = "scripted"
    pause_s = 0.001
    tables = ("task_rows",)

    def __init__(self, *steps: bool | BaseException, max_pause_s: float = 0.0) -> None:
        self.max_pause_s = max_pause_s
        self._steps = list(steps)
        self.done = 0
        self.is_idle = threading.Event()

    def step(self) -> bool:
        if not self._steps:
            self.is_idle.set()
            return False
        step = self._steps.pop(0)
        if isinstance(step, BaseException):
            raise step
        self.done += 1
        return step


class Inserts:
    """The state of every table is the number of inserts; `asked` counts the questions."""

    def __init__(self) -> None:
        self.number = 0
        self.asked = 0

    def states(self, tables: Sequence[str]) -> tuple[int, ...]:
        self.asked += 1
        return (self.number,) * len(tables)


class Panic(BaseException):
    """An error of native code, which is no Exception."""


@pytest.fixture
def inserts() -> Inserts:
    return Inserts()


@pytest.fixture
def following(monkeypatch: pytest.MonkeyPatch, inserts: Inserts) -> Callable[[Scripted], JobThread]:
    monkeypatch.setattr(job_module, "_FIRST_BACKOFF_S", 0.001)
    monkeypatch.setattr(job_module, "_POLL_INTERVAL_S", 0.001)
    return lambda job: JobThread(job, inserts)


@pytest.mark.parametrize("error", [StoreUnavailable("away"), ValueError("a fault of ours"), Panic()])
def test_job_thread_continues_after_a_failed_step(
    following: Callable[[Scripted], JobThread], error: BaseException
) -> None:
    job = Scripted(True, error, False)
    thread = following(job)
    thread.start()

    assert job.is_idle.wait(STALLED_AFTER_S)
    assert (job.done, thread.check()) == (2, None)
    thread.close()
    assert thread.check() == "scripted does not run"


def test_job_thread_is_unhealthy_when_no_step_succeeds(
    following: Callable[[Scripted], JobThread], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_module, "_STALE_AFTER_S", 0.01)
    thread = following(Scripted(*[StoreUnavailable("nobody listens")] * 1000))
    thread.start()

    wait_until(lambda: "nobody listens" in (thread.check() or ""))
    thread.close()


def test_job_thread_does_no_step_while_nothing_changes(
    following: Callable[[Scripted], JobThread], inserts: Inserts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_module, "_STALE_AFTER_S", 5.0)
    job = Scripted(False, False, False, max_pause_s=600)
    thread = following(job)
    thread.start()
    wait_until(lambda: inserts.asked > 20)
    assert (job.done, thread.check()) == (1, None)

    inserts.number += 1
    wait_until(lambda: job.done == 2)
    asked = inserts.asked
    wait_until(lambda: inserts.asked > asked + 20)
    assert job.done == 2
    thread.close()


def test_job_thread_does_a_step_after_its_longest_pause(
    following: Callable[[Scripted], JobThread],
) -> None:
    job = Scripted(False, False, False, max_pause_s=0.01)
    thread = following(job)
    thread.start()
    wait_until(lambda: job.done == 3)
    thread.close()


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_table_changes_differ_after_an_insert_into_that_table_only(store: Store, project_id: str) -> None:
    before = TableChanges(store).states(TABLES)
    insert(store, "task_rows", task(project_id, "one"))
    after = TableChanges(store).states(TABLES)
    assert (after[0] != before[0], after[1] == before[1]) == (True, True)

    # The very same row again, and another revision of it: whoever reads may want to look.
    insert(store, "task_rows", task(project_id, "one", 2))
    assert TableChanges(store).states(TABLES) != after


def test_table_changes_query_the_store_once_a_second(store: Store, project_id: str) -> None:
    clock = Clock()
    changes = TableChanges(store, clock)
    before = changes.states(TABLES)
    insert(store, "task_rows", task(project_id, "two"))
    assert changes.states(TABLES) == before
    clock.now_s = 1.0
    assert changes.states(TABLES) != before


def test_table_changes_ask_an_exclusive_store_only_after_a_write(
    store: Store, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions: list[str] = []
    rows = Store.rows
    monkeypatch.setattr(Store, "rows", lambda self, sql, *rest: questions.append(sql) or rows(self, sql, *rest))
    clock = Clock()
    changes = TableChanges(store, clock)
    before = changes.states(TABLES)
    clock.now_s = 10.0
    assert (changes.states(TABLES), len(questions)) == (before, 1)

    insert(store.sibling(1), "task_rows", task(project_id, "of a request"))
    assert changes.states(TABLES) != before
    assert len(questions) == 2

    # Another process may write into a store that is shared.
    monkeypatch.setattr(store, "is_exclusive", False)
    clock.now_s = 20.0
    changes.states(TABLES)
    assert len(questions) == 3
