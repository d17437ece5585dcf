"""The process of a jobs worker: the threads of its jobs, with health and metrics over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

from prometheus_client import make_asgi_app
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from phospho_schemas.ids import HybridClock
from phospho_store.clickhouse import ClickHouseSettings, remote
from phospho_store.jobs.leases import LeaseRepository
from phospho_store.revisions import observe_stored
from phospho_workers.jobs.loop.job import JobThread
from phospho_workers.jobs.loop.leases import Holds, JobLeases
from phospho_workers.jobs.loop.shared_jobs import SharedJobs
from phospho_workers.jobs.registry import CONNECTIONS, build_jobs, running_jobs, worker_names
from phospho_workers.jobs.settings import JobSettings
from phospho_workers.runtime import metrics


@contextmanager
def open_jobs(worker: str, clickhouse: ClickHouseSettings, settings: JobSettings) -> Iterator[ASGIApp]:
    """
    Run the jobs of a worker on a ClickHouse server, and yield its health and metrics as an application.

    Raises BadSetting, before it takes a lease, where a job can't be built.
    """
    with ExitStack() as stack:
        store = remote(clickhouse, size=CONNECTIONS)
        stack.callback(store.close)
        clock = HybridClock()
        observe_stored(clock, store)
        build_jobs(worker, store, clock, settings)
        workers = worker_names(worker)
        leases = JobLeases(LeaseRepository(store.sibling(1)), workers)

        def run_jobs(name: str, holds: Holds) -> AbstractContextManager[Sequence[JobThread]]:
            return running_jobs(name, store, clock, settings, holds=holds)

        jobs = SharedJobs(leases, workers, run_jobs)
        stack.enter_context(jobs.running())
        yield _health_app(jobs)


def _health_app(jobs: SharedJobs) -> ASGIApp:
    def health(_: Request) -> PlainTextResponse:
        reasons = jobs.check()
        return PlainTextResponse("; ".join(reasons) or "ok", 503 if reasons else 200)

    return Starlette(
        routes=[
            Route("/healthz", health),
            Route("/readyz", health),
            Mount("/metrics", make_asgi_app(metrics.REGISTRY)),
        ]
    )
