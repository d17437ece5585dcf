"""`phospho worker extraction|detection|sink`: one worker of the pipeline, on Kafka."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import socket
from contextlib import AbstractContextManager

import click

from phospho_workers.runtime.process import prepare_process
from phospho_workers.runtime.serving import PortTaken, Served, listen, listen_near, serve
from phospho_workers.runtime.settings import WorkerSettings, from_environment

_METRICS_PORT = 9100


@click.command()
@click.argument("name", type=click.Choice(["extraction", "detection", "sink"]))
@click.option("--kafka", help="Bootstrap servers, host:port,host:port. [PHOSPHO_KAFKA]")
@click.option("--clickhouse", help="http://user:password@host:port/database. [PHOSPHO_CLICKHOUSE]")
@click.option("--metrics-host", help="Where /healthz, /readyz and /metrics listen; 127.0.0.1 unless given.")
@click.option("--metrics-port", type=int, help="9100, or a free one where that is taken, unless given.")
def worker(
    name: str, kafka: str | None, clickhouse: str | None, metrics_host: str | None, metrics_port: int | None
) -> None:
    """
    Run one worker; any number of replicas, up to the partitions of its topic.

    \b
      phospho worker extraction    phospho.raw-logs → phospho.tasks, phospho.feedback
      phospho worker detection     phospho.tasks → phospho.analyses, phospho.events
      phospho worker sink          tasks, analyses, feedback, dead letters → ClickHouse

    It stops with exit code 1 where a batch fails in a way that it can't explain: start it again, nothing was lost.
    """
    prepare_process(logging.INFO)
    logging.getLogger("faststream").setLevel(logging.WARNING)
    settings = from_environment(
        os.environ, kafka=kafka, clickhouse=clickhouse, metrics_host=metrics_host, metrics_port=metrics_port
    )
    app = importlib.import_module(f"phospho_workers.{name}.app").build(settings)
    try:
        with _door(settings) as door:
            logging.getLogger("phospho.worker").info("%s: health and metrics at %s:%d", name, *door.getsockname()[:2])
            asyncio.run(serve([Served(app.asgi, door)], stop_when=app.progress.when_failed))
    except PortTaken as error:
        raise click.ClickException(f"{error}. Give --metrics-port.") from error
    if app.progress.failure:
        raise click.ClickException(f"{name} stopped: {app.progress.failure}")


def _door(settings: WorkerSettings) -> AbstractContextManager[socket.socket]:
    if settings.metrics_port is None:
        return listen_near(settings.metrics_host, _METRICS_PORT)
    return listen(settings.metrics_host, settings.metrics_port)
