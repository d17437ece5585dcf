"""
The tables of a cluster, as far as one engine can show.

chDB has neither Keeper nor a native port: replication, ON CLUSTER and a query's way to another server are not run here.
The DDL is parsed and, without those two, executed; each view is planned over Distributed tables up to the connection;
and shards are databases, read together by Merge tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from phospho_schemas.settings import BadSetting, load
from phospho_store.clickhouse import ClickHouseSettings, remote
from phospho_store.cluster import CLUSTER_SETTINGS, LOCAL_ENDING, Cluster
from phospho_store.migrations import migrate, migrations
from phospho_store.registry.registry import Registry
from phospho_store.retention import enforce
from phospho_store.store import Store
from phospho_store.views import apply_views, views
from store.facts import analysis, dead_letter, event, feedback, insert, judgement, label, note, task, view

_CLUSTER = Cluster("two")
_REPLICATED = re.compile(r"ReplicatedReplacingMergeTree\('[^']*', '\{replica\}'(?:, )?(\w*)\)")
_REPLICATED_WINDOW = re.compile(
    r"\breplicated_(deduplication_window = \d+), replicated_deduplication_window_seconds = \d+"
)
_NETWORK_ERROR = 279
_DOUBLE_DISTRIBUTED = 288
# Port 9 refuses connections.
_CONFIG = """
<clickhouse><remote_servers><two>
<shard><replica><host>127.0.0.1</host><port>9</port></replica></shard>
<shard><replica><host>127.0.0.1</host><port>9</port></replica></shard>
</two></remote_servers></clickhouse>
"""


class Engine:
    """An engine that knows a cluster of two shards, and stores of its databases."""

    def __init__(self, folder: Path) -> None:
        config = folder / "config.xml"
        config.write_text(_CONFIG)
        self._url = f"{folder / 'engine'}?config-file={config}"

    @contextmanager
    def store(self, database: str, settings: Mapping[str, str] | None = None) -> Iterator[Store]:
        def connect(_: str | None) -> Client:
            options: Any = {"settings": dict(settings)} if settings else {}
            client = clickhouse_connect.get_client(interface="chdb", path=self._url, database="default", **options)
            client.command(f"CREATE DATABASE IF NOT EXISTS {database}")
            client.database = database
            return client

        store = Store(connect, 1, database)
        yield store
        store.close()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, own_engine: None) -> Engine:
    return Engine(tmp_path_factory.mktemp("cluster"))


@pytest.fixture(scope="module")
def whole(engine: Engine) -> Iterator[Store]:
    """The tables of one server."""
    with engine.store("whole") as store:
        list(migrate(store))
        yield store


def cluster_statements() -> list[tuple[str, tuple[str, ...]]]:
    """Return each statement of the migrations, and its form on a cluster."""
    statements = [statement for migration in migrations() for statement in migration.statements]
    return [(statement, _CLUSTER.statements(statement)) for statement in statements]


def without_keeper(statement: str) -> str:
    """Return a statement of a cluster without ON CLUSTER and replicas, which need Keeper."""
    statement = _REPLICATED.sub(lambda match: f"ReplacingMergeTree({match[1]})", statement)
    statement = _REPLICATED_WINDOW.sub(r"non_replicated_\1", statement)
    return statement.replace(" ON CLUSTER 'two'", "")


def test_tables_of_shards_are_those_of_one_server() -> None:
    for statement, on_cluster in cluster_statements():
        assert all(" ON CLUSTER 'two'" in each for each in on_cluster)
        [local] = [each for each in on_cluster if re.search(rf"TABLE (IF NOT EXISTS )?\w+{LOCAL_ENDING}", each)]
        one_server = without_keeper(local).replace(LOCAL_ENDING, "", 1)
        assert one_server.replace("MergeTree()", "MergeTree") == statement


def test_shard_of_a_row_is_decided_by_its_identity() -> None:
    """A row's revisions would otherwise be on two shards, and both be read."""
    creations = [forms for statement, forms in cluster_statements() if statement.startswith("CREATE TABLE")]
    for local, distributed in creations:
        sort_key = re.search(r"ORDER BY \(?([\w, ]+)", local)
        shard = re.search(r"sipHash64\(([\w, ]+)\)\)\Z", distributed)
        assert sort_key is not None
        assert shard is not None
        assert sort_key[1].split(", ")[:2] == shard[1].split(", ")
    with pytest.raises(ValueError, match="no form on a cluster"):
        _CLUSTER.statements("CREATE TABLE IF NOT EXISTS log (a Int8) ENGINE = MergeTree ORDER BY tuple()")


def test_tables_and_views_of_a_cluster_are_made_and_planned(engine: Engine, whole: Store) -> None:
    with engine.store("distributed") as store:
        for _, statements in cluster_statements():
            for statement in statements:
                store.raw(f"EXPLAIN AST {statement}", None)
                store.command(without_keeper(statement))
        for name, query in views().items():
            [statement] = _CLUSTER.statements(f"CREATE OR REPLACE VIEW {name} AS {query}")
            store.raw(f"EXPLAIN AST {statement}", None)
            store.command(without_keeper(statement))
        assert _columns(store, "distributed") == _columns(whole, "whole")
        assert _error_code(store, "events") == _DOUBLE_DISTRIBUTED
    with engine.store("distributed", CLUSTER_SETTINGS) as store:
        assert {_error_code(store, name) for name in views()} == {_NETWORK_ERROR}


def _columns(store: Store, database: str) -> set[tuple[str, str, str]]:
    query = (
        "SELECT table, name, type FROM system.columns WHERE database = {database:String}"
        " AND table != 'schema_migrations' AND NOT endsWith(table, '_local')"
    )
    return {(row["table"], row["name"], row["type"]) for row in store.rows(query, {"database": database})}


def _error_code(store: Store, view: str) -> int:
    with pytest.raises(Exception) as refusal:
        store.rows(f"SELECT * FROM {view}")
    return int(refusal.value.code)  # type: ignore[attr-defined]


def test_views_of_two_shards_are_those_of_one_server(engine: Engine, whole: Store) -> None:
    with (
        engine.store("shard_0") as first,
        engine.store("shard_1") as second,
        engine.store("both_shards") as both,
    ):
        _fill(whole)
        for table, shard in _shards().items():
            for number, store in enumerate((first, second)):
                store.command(f"CREATE TABLE {table} AS whole.{table}")
                rows = f"SELECT * FROM whole.{table} WHERE {shard} % 2 = {number}"
                whole.command(f"INSERT INTO shard_{number}.{table} SETTINGS optimize_on_insert = 0 {rows}")
            both.command(f"CREATE TABLE {table} AS whole.{table} ENGINE = Merge(REGEXP('^shard_'), '^{table}$')")
        counts = [store.rows("SELECT count() AS n FROM task_rows")[0]["n"] for store in (whole, first, second)]
        assert counts[0] == counts[1] + counts[2]
        assert min(counts) > 0
        apply_views(both)
        for name in views():
            assert _rows(both, name) == _rows(whole, name), name
        for name in ("tasks", "events", "sessions", "labels", "notes", "dead_letters"):
            assert _rows(whole, name), name


def _shards() -> dict[str, str]:
    """Return the expression of a row's shard, by table."""
    pattern = re.compile(r"IF NOT EXISTS (\w+) ON CLUSTER .*, (sipHash64\([\w, ]+\))\)\Z")
    matches = [pattern.search(statements[-1]) for _, statements in cluster_statements()]
    return {match[1]: match[2] for match in matches if match}


def _rows(store: Store, view: str) -> list[str]:
    return sorted(str(row) for row in store.rows(f"SELECT * FROM {view}"))


def _fill(store: Store) -> None:
    """Store tasks that were logged again, in another session too, with events, feedback, labels and judgements."""
    store.command("SYSTEM STOP MERGES")
    for revision in (1, 2):
        for number in range(40):
            name, session = f"t{number}", f"s{(number * revision) % 7}"
            insert(store, "task_rows", task("p", name, revision, session_id=session, tokens_in=number, model="m"))
            events = [event(f"{name}-refund", "refund")] if (number + revision) % 3 else []
            insert(store, "analysis_rows", analysis("p", name, revision, session_id=session, events=events))
    for number in range(0, 40, 3):
        insert(store, "feedback_rows", feedback("p", f"t{number}", "f", 3, "failure"))
        insert(store, "note_rows", note("p", f"t{number}"))
        insert(store, "label_rows", label("p", f"t{number}", label="rejected" if number % 2 else "confirmed"))
        insert(store, "judgement_rows", judgement("p", f"t{number}", f"c{number}"))
        insert(store, "dead_letter_rows", dead_letter("p", f"d{number}"))


class _Recording:
    """A connection that records the statements of a store."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def command(self, statement: str, **_: Any) -> None:
        self.statements.append(statement)


def test_store_of_a_cluster_sends_statements_to_every_server() -> None:
    client = _Recording()
    store = Store(lambda _: cast(Client, client), 1, "phospho", _CLUSTER)
    store.command("DELETE FROM task_rows WHERE task_id = 'a'")
    store.command("ALTER TABLE task_rows ADD COLUMN IF NOT EXISTS a Int8")
    store.command("INSERT INTO a SELECT 1")
    assert client.statements == [
        "DELETE FROM task_rows_local ON CLUSTER 'two' WHERE task_id = 'a'",
        "ALTER TABLE task_rows_local ON CLUSTER 'two' ADD COLUMN IF NOT EXISTS a Int8",
        "ALTER TABLE task_rows ON CLUSTER 'two' ADD COLUMN IF NOT EXISTS a Int8",
        "INSERT INTO a SELECT 1",
    ]
    assert "clusterAllReplicas('two', system.parts)" in store.sibling(1).parts


def test_retention_of_a_cluster_reads_the_ids_first(engine: Engine, whole: Store) -> None:
    """One server runs the statements, without the ending of the shards' tables."""
    # A stop of merges is one of mutations too.
    whole.command("SYSTEM START MERGES")
    assert whole.cluster is None
    with engine.store("whole") as store:
        store.cluster = _OneServer("two")
        Registry(store).save_project("expiring", retention_days=1)
        for name, created_at in (("old's", "2026-01-01T00:00:00Z"), ("new", "2026-01-09T00:00:00Z")):
            insert(store, "task_rows", task("expiring", name, created_at=created_at))
            insert(store, "feedback_rows", feedback("expiring", name, "f", created_at=created_at))
        deleted = list(enforce(store, Registry(store), datetime(2026, 1, 9, 12, tzinfo=UTC)))
        assert {each.table: each.identities for each in deleted} == {"feedback_rows": 1, "task_rows": 1}
        for name in ("tasks", "feedback"):
            assert view(store, name, "expiring", "task_id") == [{"task_id": "new"}]


class _OneServer(Cluster):
    """A cluster whose statements a single server can run."""

    def statements(self, sql: str) -> tuple[str, ...]:
        return tuple(without_keeper(each).replace(LOCAL_ENDING, "") for each in super().statements(sql))


def test_settings_name_the_cluster() -> None:
    settings = load(ClickHouseSettings, {"PHOSPHO_CLICKHOUSE_CLUSTER": "two"})
    assert remote(settings).cluster == _CLUSTER
    assert settings.options()["settings"] == CLUSTER_SETTINGS
    assert "settings" not in load(ClickHouseSettings, {}).options()
    with pytest.raises(BadSetting, match="PHOSPHO_CLICKHOUSE_CLUSTER"):
        load(ClickHouseSettings, {"PHOSPHO_CLICKHOUSE_CLUSTER": "two'; DROP"})
