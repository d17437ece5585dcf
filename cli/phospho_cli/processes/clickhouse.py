"""`phospho clickhouse`: an embedded ClickHouse over HTTP."""

from __future__ import annotations

import click

from phospho_cli.data_folder import DataFolder
from phospho_cli.options import settings_options, variables_help
from phospho_cli.processes.settings import ClickHouseProcessSettings
from phospho_store.embedded.http import ClickHouseHttpSettings, serve


@click.command(epilog=variables_help(ClickHouseProcessSettings))
@settings_options(ClickHouseProcessSettings)
def clickhouse(settings: ClickHouseProcessSettings) -> None:
    """
    Serve an embedded ClickHouse over HTTP, for a machine without a ClickHouse server.

    The user `phospho` writes. Without PHOSPHO_CLICKHOUSE_PASSWORD its password is made at the first start, kept in the
    folder for its owner only, and printed here.
    """
    folder = DataFolder(settings.data_dir)
    folder.create()
    password = settings.password
    if not password:
        password = folder.secret("password", size_bytes=24)
        click.echo(f"export PHOSPHO_CLICKHOUSE=http://phospho:{password}@{settings.host}:{settings.port}/phospho")
    http_settings = ClickHouseHttpSettings(settings.host, settings.port, password)
    serve(str(settings.data_dir / "engine"), http_settings)
