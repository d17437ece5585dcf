"""
Leases of projects: which projects a process works on, beside others that run the same worker.

Every process beats in ClickHouse and reads who else does. The first to see a change of the members proposes the next
generation, of which ClickHouse stores one. The members of a generation share the projects by a hash of both, so no row
is needed for a project.

The fence is time. A process that has not beaten for `_VALID_S` holds nothing, by its own clock; others take it for dead
later than that, by ClickHouse's. A generation with members of the last one that may still be at work begins when they
must have seen it, or lost their leases.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from phospho_store.errors import StoreError
from phospho_store.jobs.leases import Generation, LeaseRepository
from phospho_workers.detection.definitions import Snapshot

logger = logging.getLogger(__name__)

Holds = Callable[[str], bool]

_BEAT_S = 1.5
_VALID_S = 5.0
_ALIVE_MS = 7_000
# Counts the time in which the machine sleeps as well.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def all_projects(project_id: str) -> bool:
    """Hold every project: what a process does that has no others beside it."""
    return True


def held_definitions(definitions: Callable[[], Snapshot], holds: Holds) -> Callable[[], Snapshot]:
    """Return a function that returns the definitions of the projects that this process holds."""

    def read_held() -> Snapshot:
        snapshot = definitions()
        by_project = {name: compiled for name, compiled in snapshot.by_project.items() if holds(name)}
        return Snapshot(snapshot.revision, by_project)

    return read_held


def owner_of(project_id: str, members: Sequence[str]) -> str:
    """Return the member that works on a project. A member that leaves or joins moves no project of two others."""
    return max(members, key=lambda member: hashlib.blake2b(f"{member}\n{project_id}".encode()).digest())


class JobLeases:
    """
    The leases of a process that runs the jobs of some workers. `holds` is thread-safe.

    `start` beats in a thread until `close`, which gives the leases back at once.
    """

    def __init__(self, repository: LeaseRepository, workers: Sequence[str], now_s: Callable[[], float] | None = None):
        self._repository = repository
        self._workers = workers
        self._now_s = now_s or (lambda: time.clock_gettime(_CLOCK))
        self.member = f"{socket.gethostname()}-{secrets.token_hex(6)}"
        self._generations: Mapping[str, Generation] = {}
        self._valid_until_s = float("-inf")
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="phospho-leases", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and let others have the projects without a wait."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(_VALID_S)
        self._valid_until_s = float("-inf")
        try:
            self._repository.beat(self._workers, self.member, is_gone=True)
        except StoreError as error:
            logger.warning("the leases of jobs end by themselves: %s", error)

    def generation(self, worker: str) -> Generation | None:
        """Return the generation in which this process works on projects of a worker, None while in none."""
        generation = self._generations.get(worker)
        is_in = generation is not None and generation.is_begun and self.member in generation.members
        return generation if is_in and self._now_s() < self._valid_until_s else None

    def holds(self, worker: str, project_id: str) -> bool:
        """Tell whether this process works on a project now: ask right before each effect that others see."""
        generation = self.generation(worker)
        return generation is not None and owner_of(project_id, generation.members) == self.member

    def refresh(self) -> None:
        """Beat, read the generations, and propose the next ones where members have changed. Blocking."""
        begun_s = self._now_s()
        self._repository.beat(self._workers, self.member)
        members = self._repository.members(self._workers, _ALIVE_MS)
        generations = self._repository.generations(self._workers)
        outdated = [w for w in self._workers if members[w] != set(generations.get(w, Generation()).members)]
        for worker in outdated:
            last = generations.get(worker, Generation())
            at_work = members[worker] & set(last.members)
            is_shared = bool(members[worker] - at_work) or not last.is_begun
            wait_ms = _ALIVE_MS if at_work and is_shared else 0
            self._repository.propose(worker, last.number + 1, members[worker], wait_ms)
        self._generations = self._repository.generations(self._workers) if outdated else generations
        self._valid_until_s = begun_s + _VALID_S

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self.refresh()
            except StoreError as error:
                logger.warning("the leases of jobs can't be renewed: %s", error)
            self._closing.wait(_BEAT_S)
