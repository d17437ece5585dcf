"""Numbered migrations, which make the tables; the views are applied after them, every time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

from phospho_store.errors import IncompatibleStore
from phospho_store.store import Store
from phospho_store.views import apply_views

_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations
(version UInt32, name String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'))
ENGINE = ReplacingMergeTree ORDER BY version
"""


@dataclass(frozen=True)
class Migration:
    """One numbered file. Each of its statements may run again, also beside itself, and change nothing more."""

    version: int
    name: str
    statements: tuple[str, ...]


def migrations() -> list[Migration]:
    """Return every migration of this package, in order."""
    files = sorted(f.name for f in resources.files(__package__).iterdir() if f.name.endswith(".sql"))
    return [_read(name) for name in files]


def applied_names(store: Store) -> dict[int, str]:
    """Return the names of the migrations that this database has behind it, by number."""
    store.command(_LEDGER)
    return {row["version"]: row["name"] for row in store.rows("SELECT version, name FROM schema_migrations FINAL")}


def migrate(store: Store) -> Iterator[Migration]:
    """
    Create a missing database, apply the missing migrations in order, yielding each, and replace the views at the end.

    Safe when many processes run it at once: there is no lock, since every statement is idempotent (IF NOT EXISTS,
    OR REPLACE) and a migration that two processes recorded counts once. Raises IncompatibleStore where the database
    has another migration of the same number behind it.
    """
    store.create_database()
    applied = applied_names(store)
    for migration in migrations():
        if applied.get(migration.version, migration.name) != migration.name:
            raise IncompatibleStore(
                f"the tables were made by an earlier, unreleased version, whose migration {migration.version} was"
                f" {applied[migration.version]!r} and not {migration.name!r}"
            )
    for migration in migrations():
        if migration.version in applied:
            continue
        for statement in migration.statements:
            store.command(statement)
        store.insert("schema_migrations", b'{"version":%d,"name":"%s"}' % (migration.version, migration.name.encode()))
        yield migration
    apply_views(store)


def _read(file_name: str) -> Migration:
    number, _, name = file_name.removesuffix(".sql").partition("_")
    text = resources.files(__package__).joinpath(file_name).read_text("utf-8")
    return Migration(int(number), name, tuple(_statements(text)))


def _statements(text: str) -> Iterator[str]:
    """Yield the statements of a file; a `;` at the end of a line ends one."""
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    for statement in code.split(";\n"):
        if statement.strip().rstrip(";"):
            yield statement.strip().rstrip(";")
