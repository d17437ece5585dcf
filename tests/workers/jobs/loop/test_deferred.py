"""Jobs that learn, while many tasks come in."""

from __future__ import annotations

from phospho_store.store import Store
from phospho_workers.jobs.loop.deferred import DeferredJob
from store.facts import insert, task


class Counted:
    """Counts its steps, which never leave work."""

    name = "counted"
    pause_s = 1.0
    max_pause_s = 1.0
    tables = ("task_rows",)

    def __init__(self) -> None:
        self.steps = 0

    def step(self) -> bool:
        self.steps += 1
        return False


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def now(self) -> float:
        return self.now_s

    def sleep(self, duration_s: float) -> None:
        self.now_s += duration_s


def test_deferred_job_steps_at_once_without_many_tasks(store: Store) -> None:
    insert(store, "task_rows", *(task("deferred", f"t{number}") for number in range(20)))
    job = Counted()
    assert DeferredJob(job, store).step() is False
    assert job.steps == 1


def test_deferred_job_waits_for_an_import_but_not_for_ever(store: Store) -> None:
    job, time = Counted(), Time()
    deferred = DeferredJob(job, store, clock=time.now, sleep=time.sleep)
    for revision in range(1, 200):
        # The window is of the server's own time: the import goes on.
        insert(store, "task_rows", *(task("deferred", f"t{number}", revision) for number in range(600)))
        if not deferred.step():
            break
    assert job.steps == 1
    assert time.now_s == 1060.0
    assert deferred.step() is True, "the next step is delayed again"
