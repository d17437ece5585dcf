"""`phospho migrate`: bring ClickHouse's tables up to date, and make the first project."""

from __future__ import annotations

import os

import click

from phospho_store.errors import StoreError
from phospho_store.migrations import migrate as run_migrations
from phospho_store.registry.bootstrap import first_project
from phospho_store.registry.registry import Registry
from phospho_store.store import Store, remote


@click.command()
@click.option(
    "--clickhouse",
    envvar="PHOSPHO_CLICKHOUSE",
    default="http://127.0.0.1:8123",
    show_default=True,
    help="http://user:password@host:port/database",
)
@click.option(
    "--first-project/--no-first-project",
    "wants_project",
    default=True,
    show_default=True,
    help="Make a project where there is none.",
)
def migrate(clickhouse: str, wants_project: bool) -> None:
    """
    Apply the migrations that are missing, and make the first project where there is none.

    Safe to run again, and from many replicas at once. PHOSPHO_PROJECT_ID and PHOSPHO_API_KEY give the first project's
    id and its key; a key that is made up is shown this once.
    """
    try:
        store = remote(clickhouse, size=1)
        _migrate(store)
        if wants_project:
            _make_first_project(Registry(store))
    except StoreError as error:
        raise click.ClickException(f"ClickHouse could not be migrated: {error}") from error


def _migrate(store: Store) -> None:
    applied = 0
    for migration in run_migrations(store):
        applied += 1
        click.echo(f"applied {migration.version:04d} {migration.name}")
    click.echo("up to date" if applied else "up to date: nothing to apply")


def _make_first_project(registry: Registry) -> None:
    project_id, secret = os.environ.get("PHOSPHO_PROJECT_ID", ""), os.environ.get("PHOSPHO_API_KEY", "")
    project, key = first_project(registry, project_id, secret)
    if key is not None:
        shown = "the key that was given" if secret else f"key {key.secret} (shown this once)"
        click.echo(f"made project {project.project_id} with {shown}")
