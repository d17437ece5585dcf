"""`phospho backup` and `phospho restore`: the embedded store of `phospho up` as a folder, and back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from phospho_cli.client.address import Address
from phospho_cli.client.http import Client
from phospho_cli.data_folder import DataFolder, FolderInUse
from phospho_cli.options import settings_options
from phospho_cli.processes.settings import BackupSettings
from phospho_store.embedded.backups import BackupDamaged, Manifest, back_up, restore
from phospho_store.errors import StoreError
from phospho_store.migrations import migrate
from phospho_store.store import Store, embedded

_SECRET_KEY = "secret-key"  # noqa: S105 (a file's name)
# A terabyte at the speed of a slow disk takes hours.
_TIMEOUT_S = 24 * 3600.0


@click.command("backup")
@click.argument("path", type=click.Path(path_type=Path))
@settings_options(BackupSettings)
def backup(path: Path, settings: BackupSettings) -> None:
    """
    Write a backup of the data folder to the new folder PATH, while `phospho up` runs or not.

    It holds all rows and the secret key. Of a deployment on Kafka and ClickHouse, back up the ClickHouse server.
    """
    if path.exists():
        raise click.ClickException(f"{path} already exists. Name a new folder.")
    folder = DataFolder(settings.data_dir)
    if not Path(folder.engine_path).is_dir():
        raise click.ClickException(f"{folder.path} is not a data folder of `phospho up`. Name it with --data.")
    try:
        manifest = _back_up(folder, path)
    except (StoreError, OSError) as error:
        raise click.ClickException(f"The backup failed: {error}") from error
    if (folder.path / _SECRET_KEY).exists():
        shutil.copy(folder.path / _SECRET_KEY, path / _SECRET_KEY)
    click.echo(f"{path}: {sum(manifest.rows.values())} rows of {len(manifest.rows)} tables")


@click.command("restore")
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path))
@settings_options(BackupSettings)
def restore_command(path: Path, settings: BackupSettings) -> None:
    """
    Restore the backup in PATH into a new data folder, check it, and bring its tables up to date.

    A backup of an older version can be restored, one of a newer version can't.
    """
    folder = DataFolder(settings.data_dir)
    if folder.path.exists() and any(folder.path.iterdir()):
        raise click.ClickException(f"{folder.path} is not empty. Name a new folder with --data.")
    folder.create()
    try:
        with _open_store(folder, path) as store:
            manifest = restore(store, path)
            migrations = list(migrate(store))
    except (BackupDamaged, StoreError) as error:
        raise click.ClickException(f"The backup was not restored, don't use {folder.path}: {error}") from error
    if (path / _SECRET_KEY).exists():
        shutil.copy(path / _SECRET_KEY, folder.path / _SECRET_KEY)
    click.echo(f"{folder.path}: {sum(manifest.rows.values())} rows, {len(migrations)} migrations applied")


def _back_up(folder: DataFolder, path: Path) -> Manifest:
    """Have the server that runs in the folder write the backup, or write it here."""
    try:
        with _open_store(folder, path.parent) as store:
            return back_up(store, path.absolute())
    except FolderInUse:
        token, server = folder.admin_token(), folder.running_server()
        if not token or not server:
            raise click.ClickException(
                f"Another process uses {folder.path} and does not answer. Start the server again."
            ) from None
    address = Address(str(server["base_url"]), token)
    with Client(address, read_timeout_s=_TIMEOUT_S) as client:
        answer = client.post("/api/v1/backups", {"name": path.name}, is_repeatable=False)
    shutil.move(answer["folder"], path)
    return Manifest(**answer["manifest"])


@contextmanager
def _open_store(folder: DataFolder, backups: Path) -> Iterator[Store]:
    """Yield the store of a folder that no server uses. Raises FolderInUse."""
    with folder.locked():
        store = embedded(folder.engine_path, backups.absolute())
        try:
            yield store
        finally:
            store.close()
