"""`phospho retention`: delete what has expired, once, as from a cron job."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from phospho_store.errors import StoreError
from phospho_store.registry.registry import Registry
from phospho_store.retention import enforce
from phospho_store.store import remote


@click.command()
@click.option(
    "--clickhouse",
    envvar="PHOSPHO_CLICKHOUSE",
    default="http://127.0.0.1:8123",
    show_default=True,
    help="http://user:password@host:port/database",
)
def retention(clickhouse: str) -> None:
    """
    Delete the rows that are older than their project's retention. Once; run it from cron, as often as hourly.

    Safe to run again and beside itself. A large backlog goes in steps, one a run.
    """
    store = remote(clickhouse, size=1)
    try:
        for deleted in enforce(store, Registry(store), datetime.now(UTC)):
            click.echo(f"{deleted.project_id}: deleted {deleted.identities} of {deleted.table}")
    except StoreError as error:
        raise click.ClickException(f"ClickHouse could not delete what has expired: {error}") from error
    finally:
        store.close()
