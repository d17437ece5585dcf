"""One project that fails, hangs or has much to do does not keep a job from the others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from phospho_schemas.messages import ProjectSettings
from phospho_store.errors import StatementRefused
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.jobs.loop.round_robin import RoundRobin
from phospho_workers.jobs.sessions.arrivals import Arrivals, ArrivalTimes
from phospho_workers.jobs.sessions.ended_sessions_job import EndedSessionsJob
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from store.facts import view
from workers.detection.tasks import keywords
from workers.jobs.logged_sessions import say


class Turns:
    """Work that takes so many seconds of a clock, and fails for projects that a test names."""

    def __init__(self, *failing: str, takes_s: float = 0.0) -> None:
        self.failing = set(failing)
        self.takes_s = takes_s
        self.now_s = 0.0
        self.worked: list[str] = []
        self.round_robin = RoundRobin(lambda: self.now_s)

    def work(self, project_id: str) -> bool:
        self.now_s += self.takes_s
        self.worked.append(project_id)
        if project_id in self.failing:
            raise ArithmeticError(project_id)
        return False

    def step(self, *project_ids: str) -> bool:
        return self.round_robin.step(project_ids, self.work)


def test_round_robin_does_quick_projects_in_one_step() -> None:
    turns = Turns()
    assert (turns.step("a", "b", "c"), turns.worked) == (False, ["a", "b", "c"])


def test_round_robin_continues_after_a_slow_project() -> None:
    turns = Turns(takes_s=30.0)
    assert [turns.step("a", "b", "c") for _ in range(3)] == [True, True, False]
    assert turns.worked == ["a", "b", "c"]


def test_round_robin_backs_off_a_failing_project_only() -> None:
    turns = Turns("a")
    with pytest.raises(ArithmeticError):
        turns.step("a", "b")
    assert turns.step("a", "b") is False
    for _ in range(100):
        turns.now_s += 1.0
        with contextlib.suppress(ArithmeticError):
            turns.step("a", "b")
        turns.step("a", "b")
    assert turns.worked.count("b") >= 100
    # At 0, 1, 3, 7, 15, 31 and 63 s.
    assert turns.worked.count("a") == 7
    assert turns.round_robin.has_failed

    turns.failing.clear()
    turns.now_s += 300.0
    turns.step("a", "b")
    assert not turns.round_robin.has_failed


def test_round_robin_gives_other_projects_their_turn_first() -> None:
    worked: list[str] = []

    def work(project_id: str) -> bool:
        worked.append(project_id)
        return project_id == "a" and worked.count("a") < 3

    round_robin = RoundRobin()
    while round_robin.step(["a", "b"], work):
        pass
    assert worked == ["a", "b"] * 3


class FailingArrivals(Arrivals):
    """Arrivals that can't be read for one project, as where a query takes too much memory."""

    def __init__(self, store: Store, failing: str) -> None:
        super().__init__(store)
        self._failing = failing

    def times(self, project_id: str, since_ms: int) -> ArrivalTimes:
        if project_id == self._failing:
            raise StatementRefused("memory limit", 241)
        return super().times(project_id, since_ms)


def test_session_job_continues_after_a_project_that_fails(
    store: Store, registry: Registry, until_done: Callable[[object], int]
) -> None:
    for project_id in ("first", "second"):
        registry.save_project(project_id, settings=ProjectSettings(session_idle_minutes=10))
        registry.save_definition(keywords("refund", "refund", project_id=project_id, scope="session"))
        say(store, project_id, "a", "refund", minutes_ago=60)
        say(store, project_id, "b", "hello", minutes_ago=20)
    facts = SessionFacts(store)
    facts.arrivals = FailingArrivals(store, "first")
    job = EndedSessionsJob(facts, DefinitionCache(DefinitionRepository(store), 0.0).current)
    with pytest.raises(StatementRefused):
        until_done(job)
    until_done(job)
    assert [len(view(store, "events", name)) for name in ("first", "second")] == [0, 1]
