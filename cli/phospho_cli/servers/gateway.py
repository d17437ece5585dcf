"""`phospho gateway`: the ingest API in front of Kafka."""

from __future__ import annotations

import logging

import click

from phospho_cli.options import settings_options, variables_help
from phospho_cli.processes.gateway import open_gateway
from phospho_cli.processes.preparation import prepare_process
from phospho_cli.processes.settings import GatewayProcessSettings
from phospho_cli.servers.running import port_errors, run


@click.command(epilog=variables_help(GatewayProcessSettings))
@settings_options(GatewayProcessSettings)
def gateway(settings: GatewayProcessSettings) -> None:
    """Take logs by HTTP and write them to Kafka, and serve the API."""
    prepare_process(logging.WARNING)
    with port_errors(), open_gateway(settings) as process:
        run(process)
