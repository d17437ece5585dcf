"""`phospho retention`: delete expired rows once, as from a cron job."""

from __future__ import annotations

import click

from phospho_cli.options import settings_options
from phospho_cli.processes.settings import RetentionSettings
from phospho_schemas.times import utc_now
from phospho_store.clickhouse import remote
from phospho_store.errors import StoreError
from phospho_store.registry.registry import Registry
from phospho_store.retention import enforce


@click.command()
@settings_options(RetentionSettings)
def retention(settings: RetentionSettings) -> None:
    """
    Delete the rows that are older than their project's retention, once. Run it from cron, at most hourly.

    Safe to run again, also at the same time. Each run deletes one part of a large backlog.
    """
    store = remote(settings.clickhouse, size=1)
    try:
        for deleted in enforce(store, Registry(store), utc_now()):
            click.echo(f"{deleted.project_id}: deleted {deleted.identities} of {deleted.table}")
    except StoreError as error:
        raise click.ClickException(f"ClickHouse could not delete expired rows: {error}") from error
    finally:
        store.close()
