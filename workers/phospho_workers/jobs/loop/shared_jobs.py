"""Jobs that processes share: those of a worker run on the leased projects, and begin anew in each generation."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial

from phospho_store.jobs.leases import Generation
from phospho_workers.jobs.loop.job import JobThread
from phospho_workers.jobs.loop.leases import Holds, JobLeases

logger = logging.getLogger(__name__)

_POLL_S = 0.25

# Runs the jobs of a worker, on the projects that it holds.
RunJobs = Callable[[str, Holds], AbstractContextManager[Sequence[JobThread]]]


class SharedJobs:
    """
    Runs the jobs of some workers while this process has leases.

    A job remembers what it has read of its projects. Where other projects come to this process, its jobs begin anew,
    as after a restart: they find in the store what is left to do.
    """

    def __init__(self, leases: JobLeases, workers: Sequence[str], run_jobs: RunJobs) -> None:
        self._leases = leases
        self._run_jobs = run_jobs
        self._running: dict[str, Sequence[JobThread]] = {}
        self._closing = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=[worker], daemon=True) for worker in workers]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the jobs; at the end let their steps end, and give the leases back."""
        self._leases.start()
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._closing.set()
            for thread in self._threads:
                thread.join()
            self._leases.close()

    def check(self) -> list[str]:
        """Return why jobs are unhealthy. A process that waits for its leases is healthy."""
        threads = [thread for threads in list(self._running.values()) for thread in threads]
        return [reason for thread in threads if (reason := thread.check()) is not None]

    def _run(self, worker: str) -> None:
        """Run the jobs of a worker, one generation after the other."""
        while not self._closing.is_set():
            if (generation := self._leases.generation(worker)) is None:
                self._closing.wait(_POLL_S)
                continue
            logger.info("%s: shared by %d processes", worker, len(generation.members))
            with ExitStack() as stack:
                self._running[worker] = stack.enter_context(
                    self._run_jobs(worker, partial(self._holds, worker, generation))
                )
                while not self._closing.is_set() and self._is_in(worker, generation):
                    self._closing.wait(_POLL_S)
            self._running.pop(worker)

    def _holds(self, worker: str, generation: Generation, project_id: str) -> bool:
        return self._is_in(worker, generation) and self._leases.holds(worker, project_id)

    def _is_in(self, worker: str, generation: Generation) -> bool:
        return self._leases.generation(worker) == generation
