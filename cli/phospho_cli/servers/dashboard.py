"""`phospho dashboard`: the pages and the API."""

from __future__ import annotations

import logging

import click

from phospho_cli.options import settings_options, variables_help
from phospho_cli.processes.dashboard import open_dashboard
from phospho_cli.processes.preparation import prepare_process
from phospho_cli.processes.settings import DashboardProcessSettings
from phospho_cli.servers.running import port_errors, run


@click.command(epilog=variables_help(DashboardProcessSettings))
@settings_options(DashboardProcessSettings)
def dashboard(settings: DashboardProcessSettings) -> None:
    """Serve the pages and the API. People sign in; the first one uses a code that is printed here."""
    prepare_process(logging.WARNING)
    with port_errors(), open_dashboard(settings) as process:
        if process.setup_code:
            click.echo(f"Nobody can sign in yet: open {process.setup_url} with the code {process.setup_code}")
        run(process)
