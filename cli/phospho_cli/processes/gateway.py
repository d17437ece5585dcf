"""`phospho gateway`: logs by HTTP to Kafka, and the API."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import click

from phospho_cli.options import settings_options, variables_help
from phospho_cli.processes.backend import open_backend
from phospho_cli.processes.otlp_grpc import grpc_address, grpc_background
from phospho_cli.processes.serving import ListeningApp, Process, listen, port_errors, prepare_process, run
from phospho_cli.processes.settings import GatewayProcessSettings
from phospho_cli.processes.traces import TraceSettings, open_traces, traced
from phospho_cli.processes.web import open_web
from phospho_dashboard.settings import DashboardSettings
from phospho_schemas.settings import load


@click.command(epilog=variables_help(GatewayProcessSettings))
@settings_options(GatewayProcessSettings)
def gateway(settings: GatewayProcessSettings) -> None:
    """Take logs by HTTP and write them to Kafka, and serve the API."""
    prepare_process(logging.WARNING)
    with port_errors(), open_gateway(settings) as process:
        run(process)


@contextmanager
def open_gateway(settings: GatewayProcessSettings) -> Iterator[Process]:
    """Yield the gateway's process, and close its connections at the end. Raises PortUnavailable."""
    traces = load(TraceSettings)
    with ExitStack() as stack:
        listener = stack.enter_context(listen(settings.host, settings.port))
        backend = stack.enter_context(
            open_backend(settings.clickhouse, settings.publisher, admin_key=settings.admin_key)
        )
        stack.enter_context(open_traces(traces, "gateway"))
        base_url = settings.base_url or f"http://{settings.host}:{settings.port}"
        app = stack.enter_context(
            open_web(
                backend,
                dashboard=DashboardSettings(base_url),
                gateway=settings.gateway,
                jobs=settings.jobs,
                has_pages=False,
            )
        )
        address = grpc_address(settings.host, settings.grpc_port)
        grpc = grpc_background(app, address, settings.gateway.max_body_bytes)
        yield Process([ListeningApp(traced(app, traces), listener)], {**backend.background_tasks(), **grpc})
