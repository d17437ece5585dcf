"""Jobs that can't be run are reported and tried again, and a setting that can't be used stops the process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from fixtures.clickhouse_server import ClickHouseServer
from fixtures.waiting import wait_until
from phospho_schemas.settings import BadSetting
from phospho_store.clickhouse import ClickHouseSettings, remote
from phospho_store.jobs.leases import LeaseRepository
from phospho_store.migrations import migrate
from phospho_store.store import Store
from phospho_workers.jobs.app import open_jobs
from phospho_workers.jobs.loop import shared_jobs
from phospho_workers.jobs.loop.job import JobThread
from phospho_workers.jobs.loop.leases import Holds, JobLeases
from phospho_workers.jobs.loop.shared_jobs import SharedJobs
from phospho_workers.jobs.settings import JobSettings
from phospho_workers.judging.settings import EncoderSettings, JudgeSettings


class _NativePanic(BaseException):
    """A panic of native code, which is no Exception."""


def test_jobs_that_fail_to_start_are_unhealthy_until_they_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_jobs, "_RETRY_S", 0.01)
    failures: list[BaseException] = [OSError("the disk is full"), _NativePanic("no memory")]
    may_run, runs = [False], []

    @contextmanager
    def run_jobs(worker: str, holds: Holds) -> Iterator[Sequence[JobThread]]:
        if not may_run[0]:
            raise failures[len(runs) % 2]
        runs.append(worker)
        yield []

    jobs = SharedJobs(JobLeases(LeaseRepository(store), ["failing"]), ["failing"], run_jobs)
    with jobs.running():
        wait_until(lambda: jobs.check() == ["failing does not run: OSError: the disk is full"])
        runs.append("the next failure is a panic")
        wait_until(lambda: jobs.check() == ["failing does not run: _NativePanic: no memory"])
        may_run[0] = True
        wait_until(lambda: "failing" in runs)
        wait_until(lambda: jobs.check() == [])


def test_setting_that_cannot_be_used_stops_a_jobs_process_without_a_lease(tmp_path: Path) -> None:
    settings = JobSettings(judging=JudgeSettings(encoder=EncoderSettings(tmp_path / "no model")))
    with ClickHouseServer(tmp_path / "clickhouse") as server:
        store = remote(server.url)
        list(migrate(store))
        with pytest.raises(BadSetting), open_jobs("judge", ClickHouseSettings(server.url), settings):
            pass
        assert store.rows("SELECT count() AS n FROM job_member_rows")[0]["n"] == 0
        store.close()
