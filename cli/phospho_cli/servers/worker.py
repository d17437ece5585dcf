"""`phospho worker NAME`: one worker of the pipeline on Kafka, or one job of what is in ClickHouse."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import socket
from contextlib import AbstractContextManager

import click

from phospho_cli.processes.preparation import prepare_process
from phospho_cli.processes.serving import PortTaken, Served, listen, listen_near, serve
from phospho_workers.runtime.settings import WorkerSettings, from_environment

logger = logging.getLogger(__name__)

_METRICS_PORT = 9100
_STAGES = ("extraction", "detection", "sink")
# Those of jobs.family, which is imported when one is run.
_JOBS = ("jobs", "learning", "sessions", "backfills", "webhooks", "judge")


@click.command()
@click.argument("name", type=click.Choice([*_STAGES, *_JOBS]))
@click.option("--kafka", help="Bootstrap servers, host:port,host:port. [PHOSPHO_KAFKA]")
@click.option("--clickhouse", help="http://user:password@host:port/database. [PHOSPHO_CLICKHOUSE]")
@click.option("--metrics-host", help="Where /healthz, /readyz and /metrics listen; 127.0.0.1 unless given.")
@click.option("--metrics-port", type=int, help="9100, or a free one where that is taken, unless given.")
def worker(
    name: str, kafka: str | None, clickhouse: str | None, metrics_host: str | None, metrics_port: int | None
) -> None:
    """
    Run one worker.

    Of a stage any number of replicas, up to the partitions of its topic:

    \b
      phospho worker extraction    phospho.raw-logs → phospho.tasks, phospho.feedback
      phospho worker detection     phospho.tasks → phospho.analyses, phospho.events
      phospho worker sink          tasks, analyses, feedback, dead letters → ClickHouse

    Beside them, on ClickHouse alone, one process each; a second one does the same work again, and no harm:

    \b
      phospho worker jobs     all of these in one process, which is enough for most
      phospho worker learning      labels → classifiers, which detection uses within a second
      phospho worker webhooks      events → those who asked to be told
      phospho worker backfills     definitions over the tasks of the past
      phospho worker sessions      what is looked for in sessions that are over, and in turns with their context
      phospho worker judge         judgements of an LLM or a local encoder; run one, the budget is counted in it

    PHOSPHO_LLM_BASE_URL, PHOSPHO_LLM_MODEL and PHOSPHO_LLM_API_KEY, or PHOSPHO_ENCODER_DIR, say whom it asks.

    A stage stops with exit code 1 where a batch fails in a way that it can't explain: start it again, nothing was lost.
    """
    prepare_process(logging.INFO)
    logging.getLogger("faststream").setLevel(logging.WARNING)
    settings = from_environment(
        os.environ, kafka=kafka, clickhouse=clickhouse, metrics_host=metrics_host, metrics_port=metrics_port
    )
    try:
        with _door(settings) as door:
            logger.info("%s: health and metrics at %s:%d", name, *door.getsockname()[:2])
            (_run_stage if name in _STAGES else _run_job)(name, settings, door)
    except PortTaken as error:
        raise click.ClickException(f"{error}. Give --metrics-port.") from error


def _run_stage(name: str, settings: WorkerSettings, door: socket.socket) -> None:
    app = importlib.import_module(f"phospho_workers.{name}.app").build(settings)
    asyncio.run(serve([Served(app.asgi, door)], stop_when=app.progress.when_failed))
    if app.progress.failure:
        raise click.ClickException(f"{name} stopped: {app.progress.failure}")


def _run_job(name: str, settings: WorkerSettings, door: socket.socket) -> None:
    from phospho_cli.servers.commands import job_settings
    from phospho_workers.jobs.app import open_jobs
    from phospho_workers.judging.settings import BadJudgeSettings

    try:
        with open_jobs(name, settings.clickhouse, job_settings()) as app:
            asyncio.run(serve([Served(app, door)]))
    except BadJudgeSettings as error:
        raise click.ClickException(str(error)) from error


def _door(settings: WorkerSettings) -> AbstractContextManager[socket.socket]:
    if settings.metrics_port is None:
        return listen_near(settings.metrics_host, _METRICS_PORT)
    return listen(settings.metrics_host, settings.metrics_port)
