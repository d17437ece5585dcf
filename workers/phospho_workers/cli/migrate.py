"""`phospho migrate`: bring ClickHouse's tables up to date."""

from __future__ import annotations

import os

import click

from phospho_store.bootstrap import first_project
from phospho_store.errors import StoreError
from phospho_store.migrations import migrate as run_migrations
from phospho_store.registry import Registry
from phospho_store.store import Store, remote


@click.command()
@click.option(
    "--clickhouse",
    envvar="PHOSPHO_CLICKHOUSE",
    default="http://127.0.0.1:8123",
    show_default=True,
    help="http://user:password@host:port/database",
)
def migrate(clickhouse: str) -> None:
    """
    Apply the migrations that are missing. Safe to run again, and from many replicas at once.

    Where PHOSPHO_PROJECT_ID or PHOSPHO_API_KEY is set and there is no project yet, the first project and key are made.
    """
    try:
        _migrate(remote(clickhouse, size=1))
    except StoreError as error:
        raise click.ClickException(f"ClickHouse could not be migrated: {error}") from error


def _migrate(store: Store) -> None:
    applied = 0
    for migration in run_migrations(store):
        applied += 1
        click.echo(f"applied {migration.version:04d} {migration.name}")
    click.echo("up to date" if applied else "up to date: nothing to apply")
    project_id, secret = os.environ.get("PHOSPHO_PROJECT_ID", ""), os.environ.get("PHOSPHO_API_KEY", "")
    if project_id or secret:
        project, key = first_project(Registry(store), project_id, secret)
        if key is not None:
            click.echo(f"project {project.project_id} is there" + ("" if secret else f", its key: {key.secret}"))
