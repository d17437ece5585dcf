"""`phospho worker NAME`: one stage on Kafka, or background jobs on ClickHouse, with health and metrics over HTTP."""

from __future__ import annotations

import importlib
import logging
import socket
from contextlib import AbstractContextManager
from dataclasses import replace

import click

from phospho_cli.kafka import check_properties
from phospho_cli.options import settings_options, variables_help
from phospho_cli.processes.serving import (
    ListeningApp,
    Process,
    listen,
    listen_near,
    port_errors,
    port_of,
    prepare_process,
    run,
)
from phospho_cli.processes.traces import TraceSettings, open_traces
from phospho_dashboard.settings import DashboardSettings
from phospho_schemas.settings import load
from phospho_store.clickhouse import ClickHouseSettings
from phospho_workers.jobs.settings import JobSettings
from phospho_workers.runtime.settings import WorkerSettings

logger = logging.getLogger(__name__)

STAGES = ("extraction", "detection", "sink")
# The names of phospho_workers.jobs.registry, which is imported when one runs.
JOBS = ("jobs", "learning", "sessions", "rollups", "backfills", "webhooks", "judge", "ledger", "themes", "alerts")

_METRICS_PORT = 9100


@click.command(epilog=variables_help(WorkerSettings, JobSettings))
@click.argument("name", type=click.Choice([*STAGES, *JOBS]))
@settings_options(WorkerSettings)
def worker(name: str, settings: WorkerSettings) -> None:
    """
    Run one worker.

    A stage runs in any number of replicas, up to the partitions of its topic:

    \b
      phospho worker extraction    phospho.raw-logs → phospho.tasks, phospho.feedback, phospho.steps, phospho.parts
      phospho worker detection     phospho.tasks → phospho.analyses, phospho.events
      phospho worker sink          tasks, analyses, feedback, steps, parts, receipts, dead letters → ClickHouse

    Jobs need ClickHouse only. Copies share the projects, and one that dies is replaced within 10 s:

    \b
      phospho worker jobs          all of these in one process, which is enough for most
      phospho worker learning      labels → classifiers, which detection uses within a second
      phospho worker webhooks      events → webhooks
      phospho worker backfills     definitions over the tasks of the past
      phospho worker rollups       hours that changed → what the dashboard counts
      phospho worker sessions      definitions over ended sessions, and over tasks with their context
      phospho worker judge         judgements of an LLM or a local encoder
      phospho worker ledger        the balance of each project and hour, from receipts and what is stored
      phospho worker themes        groups of similar tasks, found without a definition
      phospho worker alerts        metrics → alerts that fire and are resolved; `webhooks` sends them

    A stage stops with exit code 1 if a batch fails for an unknown reason. Start it again: nothing was lost.
    """
    prepare_process(logging.INFO)
    with port_errors("--metrics-port"), metrics_listener(settings) as listener:
        logger.info("%s: health and metrics at %s:%d", name, settings.metrics_host, port_of(listener))
        if name in JOBS:
            prices = load(DashboardSettings).prices.parameters
            run_jobs(name, settings.clickhouse, replace(load(JobSettings), price_parameters=prices), listener)
            return
        try:
            run_stage(name, settings, listener)
        except StageFailure as error:
            raise click.ClickException(f"{name} stopped: {error}. Start it again: nothing was lost.") from error


class StageFailure(Exception):
    """A stage stopped by itself."""


def metrics_listener(settings: WorkerSettings) -> AbstractContextManager[socket.socket]:
    """Return the socket of health and metrics. Raises PortUnavailable for a port of the settings."""
    if settings.metrics_port is None:
        return listen_near(settings.metrics_host, _METRICS_PORT)
    return listen(settings.metrics_host, settings.metrics_port)


def run_stage(name: str, settings: WorkerSettings, listener: socket.socket) -> None:
    """Run a stage until it is asked to stop. Blocks. Raises BadSetting, and StageFailure if it stops by itself."""
    check_properties(settings.kafka)
    # FastStream sets the level of its own logger when it is made.
    logging.getLogger("faststream").setLevel(logging.WARNING)
    stage = importlib.import_module(f"phospho_workers.{name}.app").build(settings)
    with open_traces(load(TraceSettings), name):
        run(Process([ListeningApp(stage.asgi, listener)]), stop_when=stage.progress.failure_event)
    if stage.progress.failure:
        raise StageFailure(stage.progress.failure)


def run_jobs(name: str, clickhouse: ClickHouseSettings, settings: JobSettings, listener: socket.socket) -> None:
    """Run the jobs of one name, or all, until the process is asked to stop. Blocks. Raises BadSetting."""
    from phospho_workers.jobs.app import open_jobs

    with open_jobs(name, clickhouse, settings) as app:
        run(Process([ListeningApp(app, listener)]))
