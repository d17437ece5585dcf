"""Leases of projects on ClickHouse: members share them, a death frees them, and a zombie holds nothing."""

from __future__ import annotations

import threading

import pytest

from fixtures.waiting import wait_until
from phospho_store.jobs.leases import LeaseRepository
from phospho_store.store import Store
from phospho_workers.jobs.loop.leases import JobLeases, owner_of

_PROJECTS = [f"project-{number}" for number in range(60)]


class _Clock:
    """A process' own clock, which a test moves on."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def worker(request: pytest.FixtureRequest) -> str:
    """Return the name of a worker that no other test has."""
    return f"worker of {request.node.name}"


@pytest.fixture
def repository(store: Store) -> LeaseRepository:
    return LeaseRepository(store)


def _held(leases: JobLeases, worker: str) -> set[str]:
    return {project for project in _PROJECTS if leases.holds(worker, project)}


def _refreshed(*members: JobLeases) -> None:
    """Refresh twice: a member learns of the others, then of what they agreed on."""
    for _ in range(2):
        for leases in members:
            leases.refresh()


def test_single_member_holds_all_projects_at_once(repository: LeaseRepository, worker: str) -> None:
    leases = JobLeases(repository, [worker], _Clock())
    leases.refresh()
    assert _held(leases, worker) == set(_PROJECTS)


def test_joining_member_shares_after_the_others_have_seen_it(repository: LeaseRepository, worker: str) -> None:
    first, second = (JobLeases(repository, [worker], _Clock()) for _ in range(2))
    first.refresh()
    second.refresh()
    # The first has not seen the second yet, and goes on with all projects; the second waits for it.
    assert (_held(first, worker), _held(second, worker)) == (set(_PROJECTS), set())
    first.refresh()
    assert not _held(first, worker)
    assert not _held(second, worker)

    def shares() -> bool:
        _refreshed(first, second)
        return bool(_held(first, worker))

    wait_until(shares, "nobody works")
    held = [_held(leases, worker) for leases in (first, second)]
    assert held[0] | held[1] == set(_PROJECTS)
    assert not held[0] & held[1]
    assert all(held)


def test_member_that_leaves_frees_its_projects_at_once(repository: LeaseRepository, worker: str) -> None:
    first, second = (JobLeases(repository, [worker], _Clock()) for _ in range(2))
    repository.beat([worker], first.member)
    second.refresh()
    second.close()
    first.refresh()
    assert _held(first, worker) == set(_PROJECTS)
    assert not _held(second, worker)


def test_member_without_a_beat_holds_nothing(repository: LeaseRepository, worker: str) -> None:
    clock = _Clock()
    leases = JobLeases(repository, [worker], clock)
    leases.refresh()
    clock.now_s += 4.9
    assert _held(leases, worker)
    clock.now_s += 0.2
    assert not _held(leases, worker)


def test_dead_member_loses_its_projects_to_the_others(repository: LeaseRepository, worker: str) -> None:
    dead, alive = (JobLeases(repository, [worker], _Clock()) for _ in range(2))
    dead.refresh()

    def has_taken_over() -> bool:
        alive.refresh()
        return _held(alive, worker) == set(_PROJECTS)

    wait_until(has_taken_over, "the dead member's projects are not taken over")


def test_two_proposals_of_a_generation_agree_on_one(repository: LeaseRepository, worker: str) -> None:
    barrier = threading.Barrier(4)

    def propose(member: str) -> None:
        barrier.wait()
        repository.propose(worker, 1, [member], 0)

    threads = [threading.Thread(target=propose, args=[f"member-{number}"]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first = repository.generations([worker])[worker]
    repository.propose(worker, 1, ["late"], 0)
    assert repository.generations([worker])[worker] == first
    assert first.members[0].startswith("member-")


def test_leaving_member_moves_no_project_of_others() -> None:
    members = ["a", "b", "c"]
    before = {project: owner_of(project, members) for project in _PROJECTS}
    after = {project: owner_of(project, ["a", "b"]) for project in _PROJECTS}
    assert all(after[project] == owner for project, owner in before.items() if owner != "c")
    assert {before[project] for project in _PROJECTS} == set(members)
