"""`phospho migrate`: ClickHouse's tables up to date, and the first project."""

from __future__ import annotations

from contextlib import closing

import click

from phospho_cli.options import settings_options, variables_help
from phospho_cli.processes.settings import FirstProjectSettings, MigrateSettings
from phospho_store.clickhouse import remote
from phospho_store.errors import IncompatibleStore, StoreError
from phospho_store.migrations import migrate as run_migrations
from phospho_store.registry.registry import Registry, first_project
from phospho_store.store import Store


@click.command(epilog=variables_help(MigrateSettings))
@settings_options(MigrateSettings)
@click.option(
    "--first-project/--no-first-project",
    "wants_project",
    default=True,
    show_default=True,
    help="Create a project if there is none.",
)
def migrate(settings: MigrateSettings, wants_project: bool) -> None:
    """
    Apply the missing migrations, and create the first project if there is none.

    Safe to run again, and from many replicas at once. A random key of the first project is shown only once.
    """
    try:
        with closing(remote(settings.clickhouse, size=1)) as store:
            _migrate(store)
            if wants_project:
                _make_first_project(Registry(store), settings.first_project)
    except IncompatibleStore as error:
        raise click.ClickException(
            f"ClickHouse could not be migrated: {error}; drop the database {settings.clickhouse.database!r},"
            " and migrate again."
        ) from error
    except StoreError as error:
        raise click.ClickException(f"ClickHouse could not be migrated: {error}") from error


def _migrate(store: Store) -> None:
    applied = 0
    for migration in run_migrations(store):
        applied += 1
        click.echo(f"applied {migration.version:04d} {migration.name}")
    click.echo("up to date" if applied else "up to date: nothing to apply")


def _make_first_project(registry: Registry, settings: FirstProjectSettings) -> None:
    project, key = first_project(registry, settings.project_id, settings.api_key)
    if key is not None:
        shown = "the key that was given" if settings.api_key else f"key {key.secret} (shown this once)"
        click.echo(f"created project {project.project_id} with {shown}")
