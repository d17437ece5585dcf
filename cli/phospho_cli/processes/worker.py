"""The process of a stage on Kafka, or of background jobs on ClickHouse, with health and metrics over HTTP."""

from __future__ import annotations

import asyncio
import importlib
import logging
import socket
from contextlib import AbstractContextManager

from phospho_cli.processes.serving import ListeningApp, Process, listen, listen_near, serve
from phospho_workers.jobs.settings import JobSettings
from phospho_workers.runtime.settings import WorkerSettings

STAGES = ("extraction", "detection", "sink")
# The names of phospho_workers.jobs.registry, which is imported when one runs.
JOBS = ("jobs", "learning", "sessions", "backfills", "webhooks", "judge")

_METRICS_PORT = 9100


class StageFailure(Exception):
    """A stage stopped by itself."""


def metrics_listener(settings: WorkerSettings) -> AbstractContextManager[socket.socket]:
    """Return the socket of health and metrics. Raises PortUnavailable for a port of the settings."""
    if settings.metrics_port is None:
        return listen_near(settings.metrics_host, _METRICS_PORT)
    return listen(settings.metrics_host, settings.metrics_port)


def run_stage(name: str, settings: WorkerSettings, listener: socket.socket) -> None:
    """Run a stage until it is asked to stop. Blocks. Raises StageFailure if it stops by itself."""
    # FastStream sets the level of its own logger when it is made.
    logging.getLogger("faststream").setLevel(logging.WARNING)
    stage = importlib.import_module(f"phospho_workers.{name}.app").build(settings)
    asyncio.run(serve(Process([ListeningApp(stage.asgi, listener)]), stop_when=stage.progress.failure_event))
    if stage.progress.failure:
        raise StageFailure(stage.progress.failure)


def run_jobs(name: str, clickhouse: str, settings: JobSettings, listener: socket.socket) -> None:
    """Run the jobs of one name, or all, until the process is asked to stop. Blocks. Raises BadSetting."""
    from phospho_workers.jobs.app import open_jobs

    with open_jobs(name, clickhouse, settings) as app:
        asyncio.run(serve(Process([ListeningApp(app, listener)])))
