"""Backups of the embedded store, by ClickHouse's own BACKUP and RESTORE, with a manifest that restoring checks."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Set
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from phospho_schemas.times import utc_now, utc_text
from phospho_store.migrations import migrations
from phospho_store.store import DATABASE, Store

_MANIFEST = "manifest.json"
_DATA = "data"
_TABLES = """
SELECT name FROM system.tables WHERE database = {database:String} AND endsWith(engine, 'MergeTree') ORDER BY name
"""
_EXPIRING_TABLES = "SELECT name FROM system.tables WHERE database = {database:String} AND engine_full LIKE '% TTL %'"
# The deletions of rows among others.
_MUTATIONS = "SELECT table, mutation_id, is_done FROM system.mutations WHERE database = {database:String}"
_VERSION = "SELECT max(version) AS version FROM schema_migrations"


class BackupDamaged(Exception):
    """A backup can't be restored, or not whole. The message says why."""


@dataclass(frozen=True)
class Manifest:
    """
    The rows of each table when a backup began, and the version of the schema.

    The backup may have fewer rows of a table in `shrinking_tables`: they expire, or some were deleted meanwhile.
    """

    created_at: str
    schema_version: int
    clickhouse_version: str
    rows: Mapping[str, int]
    shrinking_tables: Collection[str] = ()


def back_up(store: Store, folder: Path) -> Manifest:
    """
    Write a backup to the new folder, while the store is in use.

    A table is backed up as it is at one moment; rows that are inserted meanwhile may be in it or not. Raises what the
    store raises, and FileExistsError.
    """
    folder.mkdir(mode=0o700, parents=True)
    earlier_mutations = _finished_mutations(store)
    manifest = _manifest(store)
    store.command(f"BACKUP DATABASE {DATABASE} TO {_file(folder)}")
    manifest = replace(manifest, shrinking_tables=_shrinking_tables(store, earlier_mutations))
    (folder / _MANIFEST).write_text(json.dumps(asdict(manifest), indent=2) + "\n")
    return manifest


def restore(store: Store, folder: Path) -> Manifest:
    """
    Restore a backup into an empty store, and check it. Raises BackupDamaged, and what the store raises.

    ClickHouse checks the files against their checksums, then the parts of each table. There must be as many rows as the
    manifest says, or more where the store was in use; fewer only in a shrinking table.
    """
    manifest = read_manifest(folder)
    if manifest.schema_version > (newest := migrations()[-1].version):
        raise BackupDamaged(
            f"its tables are of version {manifest.schema_version}, and this phospho knows them up to {newest}."
            " Restore it with the version that made it, or a later one."
        )
    store.command(f"DROP DATABASE IF EXISTS {DATABASE} SYNC")
    store.command(f"RESTORE DATABASE {DATABASE} FROM {_file(folder)}")
    restored = _manifest(store)
    missing = manifest.rows.keys() - restored.rows.keys()
    if missing or restored.schema_version != manifest.schema_version:
        raise BackupDamaged(f"the backup has no {', '.join(sorted(missing)) or 'whole list of migrations'}")
    for table, rows in manifest.rows.items():
        if restored.rows[table] < rows and table not in manifest.shrinking_tables:
            raise BackupDamaged(f"{table} has {restored.rows[table]} rows, and had {rows}")
        if any(not int(row["is_passed"]) for row in store.rows(f"CHECK TABLE {table}")):
            raise BackupDamaged(f"{table} has damaged parts")
    return restored


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a backup. Raises BackupDamaged for a folder that is none, or was not finished."""
    try:
        return Manifest(**json.loads((folder / _MANIFEST).read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise BackupDamaged(f"{folder} is no finished backup: {error}") from error


def _manifest(store: Store) -> Manifest:
    tables = [row["name"] for row in store.rows(_TABLES, {"database": DATABASE})]
    rows = {table: int(store.rows(f"SELECT count() AS n FROM {table} FINAL")[0]["n"]) for table in tables}
    return Manifest(
        created_at=utc_text(utc_now()),
        schema_version=int(store.rows(_VERSION)[0]["version"]),
        clickhouse_version=str(store.rows("SELECT version() AS version")[0]["version"]),
        rows=rows,
    )


def _finished_mutations(store: Store) -> set[tuple[str, str]]:
    rows = store.rows(_MUTATIONS, {"database": DATABASE})
    return {(row["table"], row["mutation_id"]) for row in rows if int(row["is_done"])}


def _shrinking_tables(store: Store, earlier_mutations: Set[tuple[str, str]]) -> list[str]:
    """Return the tables whose rows expire, and those with mutations that are not among the earlier ones."""
    expiring = {row["name"] for row in store.rows(_EXPIRING_TABLES, {"database": DATABASE})}
    mutations_now = store.rows(_MUTATIONS, {"database": DATABASE})
    mutated = {row["table"] for row in mutations_now if (row["table"], row["mutation_id"]) not in earlier_mutations}
    return sorted(expiring | mutated)


def _file(folder: Path) -> str:
    path = str((folder / _DATA).absolute()).replace("\\", "\\\\").replace("'", "\\'")
    return f"File('{path}')"
