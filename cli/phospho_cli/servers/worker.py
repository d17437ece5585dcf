"""`phospho worker NAME`: one stage on Kafka, or background jobs on ClickHouse."""

from __future__ import annotations

import logging

import click

from phospho_cli.options import settings_options, variables_help
from phospho_cli.processes.preparation import prepare_process
from phospho_cli.processes.serving import port_of
from phospho_cli.processes.worker import JOBS, STAGES, StageFailure, metrics_listener, run_jobs, run_stage
from phospho_cli.servers.running import port_errors
from phospho_schemas.settings import load
from phospho_workers.jobs.settings import JobSettings
from phospho_workers.runtime.settings import WorkerSettings

logger = logging.getLogger(__name__)


@click.command(epilog=variables_help(WorkerSettings, JobSettings))
@click.argument("name", type=click.Choice([*STAGES, *JOBS]))
@settings_options(WorkerSettings)
def worker(name: str, settings: WorkerSettings) -> None:
    """
    Run one worker.

    A stage runs in any number of replicas, up to the partitions of its topic:

    \b
      phospho worker extraction    phospho.raw-logs → phospho.tasks, phospho.feedback
      phospho worker detection     phospho.tasks → phospho.analyses, phospho.events
      phospho worker sink          tasks, analyses, feedback, dead letters → ClickHouse

    Jobs need ClickHouse only, and one process each; a second one repeats the work and does no harm:

    \b
      phospho worker jobs          all of these in one process, which is enough for most
      phospho worker learning      labels → classifiers, which detection uses within a second
      phospho worker webhooks      events → webhooks
      phospho worker backfills     definitions over the tasks of the past
      phospho worker sessions      definitions over ended sessions, and over tasks with their context
      phospho worker judge         judgements of an LLM or a local encoder; run one, it counts the budget

    A stage stops with exit code 1 if a batch fails for an unknown reason. Start it again: nothing was lost.
    """
    prepare_process(logging.INFO)
    with port_errors("--metrics-port"), metrics_listener(settings) as listener:
        logger.info("%s: health and metrics at %s:%d", name, settings.metrics_host, port_of(listener))
        if name in JOBS:
            run_jobs(name, settings.clickhouse, load(JobSettings), listener)
            return
        try:
            run_stage(name, settings, listener)
        except StageFailure as error:
            raise click.ClickException(f"{name} stopped: {error}. Start it again: nothing was lost.") from error
