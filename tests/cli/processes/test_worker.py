"""`phospho worker`: its names are those of the stages and jobs."""

from __future__ import annotations

from phospho_cli.processes.worker import JOBS
from phospho_workers.jobs.registry import ALL_JOBS, JOB_BUILDERS


def test_worker_offers_every_job() -> None:
    assert (ALL_JOBS, *JOB_BUILDERS) == JOBS
