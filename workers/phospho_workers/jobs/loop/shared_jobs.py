"""Jobs that processes share: those of a worker run on the leased projects, and begin anew in each generation."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from phospho_store.jobs.leases import Generation
from phospho_workers.jobs.loop.job import JobThread
from phospho_workers.jobs.loop.leases import Holds, JobLeases

logger = logging.getLogger(__name__)

_POLL_S = 0.25
_RETRY_S = 5.0

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
        self._failures: dict[str, str] = {}
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
        threads = [thread for threads in self._running.copy().values() for thread in threads]
        reasons = [reason for thread in threads if (reason := thread.check()) is not None]
        return [*self._failures.copy().values(), *reasons]

    def _run(self, worker: str) -> None:
        """Run the jobs of a worker, one generation after the other. Jobs that can't be run are tried again."""
        while not self._closing.is_set():
            if (generation := self._leases.generation(worker)) is None:
                self._closing.wait(_POLL_S)
                continue
            logger.info("%s: shared by %d processes", worker, len(generation.members))
            try:
                self._run_generation(worker, generation)
            except BaseException as error:
                # The edge of this thread, as in JobThread. Without it, the process would hold leases and do nothing.
                self._failures[worker] = f"{worker} does not run: {type(error).__name__}: {error}"
                logger.exception("%s tries again to run its jobs", worker)
                self._closing.wait(_RETRY_S)

    def _run_generation(self, worker: str, generation: Generation) -> None:
        with self._run_jobs(worker, partial(self._holds, worker, generation)) as threads:
            self._failures.pop(worker, None)
            self._running[worker] = threads
            try:
                while not self._closing.is_set() and self._is_in(worker, generation):
                    self._closing.wait(_POLL_S)
            finally:
                del self._running[worker]

    def _holds(self, worker: str, generation: Generation, project_id: str) -> bool:
        return self._is_in(worker, generation) and self._leases.holds(worker, project_id)

    def _is_in(self, worker: str, generation: Generation) -> bool:
        return self._leases.generation(worker) == generation
