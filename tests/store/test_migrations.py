"""Migrations: from empty to exactly the declared tables, once, also from many processes at once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from fixtures.clickhouse_server import ClickHouseServer
from phospho_cli import main
from phospho_store.clickhouse import remote
from phospho_store.errors import IncompatibleStore
from phospho_store.migrations import applied_names, migrate, migrations
from phospho_store.registry.authentication import SECRET_TABLES
from phospho_store.registry.registry import Registry, first_project, key_hash
from phospho_store.store import DATABASE, INSERT_SETTINGS, Store
from phospho_store.views import views
from store.facts import analysis, feedback, insert, task

_REPLICAS = 3

DECLARED = json.loads(Path(__file__).with_name("columns.json").read_text())
FACTS = {
    "task_rows": "project_id, task_id",
    "analysis_rows": "project_id, task_id",
    "feedback_rows": "project_id, task_id, feedback_id",
    "step_rows": "project_id, trace_id, span_id",
    "log_part_rows": "project_id, task_id, whole_log_id, part",
    "receipt_rows": "project_id, receipt_id",
    "deletion_rows": "project_id, item_key",
    "dead_letter_action_rows": "project_id, dead_letter_id",
    "ledger_rows": "project_id, hour",
    "dead_letter_rows": "project_id, dead_letter_id",
}
REGISTRY = {
    "project_rows": "project_id",
    "api_key_rows": "key_hash",
    "definition_rows": "project_id, name, version",
    "label_rows": "project_id, event_name, task_id",
    "note_rows": "project_id, task_id, note_id",
    "classifier_rows": "project_id, name, version",
    "student_rows": "project_id",
    "person_rows": "name",
    "sign_in_rows": "token_hash",
    "job_member_rows": "worker, member",
    "job_generation_rows": "worker",
    "audit_rows": "project_id, audit_id",
    "tombstone_rows": "project_id, kind, digest",
    "session_close_rows": "project_id, session_id",
    "backfill_rows": "project_id, backfill_id",
    "alert_rows": "project_id, alert_id",
    "saved_query_rows": "project_id, query_id",
    "saved_view_rows": "project_id, view_id",
    "review_rows": "project_id, event_name, task_id, created_by",
    "alert_evaluation_rows": "project_id, alert_id, theme, evaluated_at",
    "webhook_rows": "project_id, webhook_id",
    "webhook_delivery_rows": "project_id, webhook_id, event_id",
    "session_analysis_rows": "project_id, session_id, turn, state",
    "session_task_rows": "project_id, task_id, session_id",
    "judgement_rows": "project_id, name, definition_version, content",
    "llm_call_rows": "project_id, call_id",
    "rollup_rows": "project_id, dimension, hour, value, version",
    "rollup_hour_rows": "project_id, hour",
    "rollup_watermark_rows": "name",
    "board_rows": "project_id, board_id",
    "theme_model_rows": "project_id",
    "theme_rows": "project_id, theme_id",
    "theme_fact_rows": "project_id, version, theme_id, kind",
    "theme_edit_rows": "project_id, theme_id",
    "theme_refresh_rows": "project_id",
    "theme_run_rows": "project_id",
}


@pytest.fixture
def registry_of_server(clickhouse: ClickHouseServer) -> Iterator[Registry]:
    with closing(remote(clickhouse.url, size=1)) as store:
        yield Registry(store)


def columns(store: Store) -> dict[str, dict[str, str]]:
    tables: dict[str, dict[str, str]] = {}
    query = "SELECT table, name, type FROM system.columns WHERE database = {name:String} ORDER BY table, position"
    for row in store.rows(query, {"name": DATABASE}):
        tables.setdefault(row["table"], {})[row["name"]] = row["type"]
    return tables


def test_from_empty_gives_exactly_the_declared_columns_in_order(store: Store) -> None:
    found = columns(store)
    assert {name: list(types.items()) for name, types in found.items()} == {
        name: list(types.items()) for name, types in DECLARED.items()
    }


def test_migrating_again_applies_nothing(store: Store) -> None:
    assert list(migrate(store)) == []


def test_migrate_replaces_views_but_refuses_other_tables(clickhouse: ClickHouseServer) -> None:
    """An earlier version rewrote migration 4 under its number: its tables are not ours."""
    with closing(remote(clickhouse.url, size=1)) as store:
        list(migrate(store))
        store.command("CREATE OR REPLACE VIEW events AS SELECT 1 AS of_another_version")
        store.command("DROP VIEW sessions")
        list(migrate(store))
        assert columns(store) == DECLARED

        store.insert("schema_migrations", b'{"version":4,"name":"followers"}')
        store.command("DROP VIEW sessions")
        with pytest.raises(IncompatibleStore, match="migration 4 was 'followers' and not 'jobs'"):
            list(migrate(store))
        assert "sessions" not in columns(store)
    refused = CliRunner().invoke(main, ["migrate", "--clickhouse", clickhouse.url])
    assert refused.exit_code == 1
    assert "drop the database 'phospho', and migrate again." in refused.output


def test_no_two_migrations_have_one_number() -> None:
    versions = [migration.version for migration in migrations()]
    assert versions == sorted(set(versions))


def test_migrate_of_a_current_store_runs_a_statement_a_view(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    statements: list[str] = []
    command = Store.command
    monkeypatch.setattr(Store, "command", lambda self, sql: (statements.append(sql), command(self, sql)))
    list(migrate(store))
    assert len(statements) == len(views()) + 1


def test_each_view_comes_after_those_that_it_reads() -> None:
    names = list(views())
    for place, query in enumerate(views().values()):
        assert not any(re.search(rf"\b(FROM|(?<!ARRAY )JOIN) {name}\b", query) for name in names[place:])


@pytest.mark.chaos
def test_four_commands_at_once_all_succeed(clickhouse: ClickHouseServer) -> None:
    """`phospho migrate` as replicas run it: processes that start together."""
    command = [sys.executable, "-m", "phospho_cli", "migrate", "--clickhouse", clickhouse.url]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(4)]
    answers = [process.communicate(timeout=60)[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, answers
    with closing(remote(clickhouse.url, size=1)) as store:
        assert columns(store) == DECLARED


def phospho_migrate(clickhouse: ClickHouseServer, *options: str, **environment: str) -> str:
    arguments = ["migrate", "--clickhouse", clickhouse.url, *options]
    completed = CliRunner().invoke(main, arguments, env=environment)
    assert completed.exit_code == 0, completed.output
    return completed.output


def test_migrate_makes_the_first_project_and_shows_its_key_once(
    clickhouse: ClickHouseServer, registry_of_server: Registry
) -> None:
    """The way in of a deployment to which nobody gave a project and a key."""
    outputs = [phospho_migrate(clickhouse), phospho_migrate(clickhouse)]
    secrets = [re.findall(r"ph_\S+", output) for output in outputs]
    assert (len(secrets[0]), secrets[1]) == (1, [])
    [project] = registry_of_server.projects()
    key = registry_of_server.key_of_secret(secrets[0][0])
    assert key is not None
    assert (key.project_id, key.revoked_at) == (project.project_id, None)


def test_migrate_makes_no_project_or_the_given_one(clickhouse: ClickHouseServer, registry_of_server: Registry) -> None:
    given = {"PHOSPHO_PROJECT_ID": "shop", "PHOSPHO_API_KEY": "ph_given"}
    phospho_migrate(clickhouse, "--no-first-project", **given)
    assert registry_of_server.projects() == []
    assert "ph_given" not in phospho_migrate(clickhouse, **given)
    assert [project.project_id for project in registry_of_server.projects()] == ["shop"]
    assert registry_of_server.key_of_secret("ph_given") is not None


def test_replicas_that_start_together_make_the_tables_and_one_project(
    clickhouse: ClickHouseServer, registry_of_server: Registry
) -> None:
    def first(secret: str) -> str | None:
        with closing(remote(clickhouse.url, size=1)) as replica:
            list(migrate(replica))
            _, key = first_project(Registry(replica), secret=secret)
            return key.secret if key else None

    with closing(remote(clickhouse.url, size=1)) as store, ThreadPoolExecutor(_REPLICAS) as pool:
        made = {secret for secret in pool.map(first, [""] * _REPLICAS) if secret}
        assert columns(store) == DECLARED
        assert list(migrate(store)) == []
        assert _key_hashes(registry_of_server) == {key_hash(secret) for secret in made}
        assert made
        for table in ("project_rows", "api_key_rows"):
            store.command(f"TRUNCATE TABLE {table}")
        assert "ph_given" in pool.map(first, ["ph_given"] * _REPLICAS)
    assert _key_hashes(registry_of_server) == {key_hash("ph_given")}


def _key_hashes(registry: Registry) -> set[str]:
    """Return the hashes of the keys, none of them revoked, of the only project."""
    [project] = registry.projects()
    keys = registry.keys(project.project_id)
    assert all(key.revoked_at is None for key in keys)
    return {key.key_hash for key in keys}


@pytest.mark.parametrize(("table", "key"), (FACTS | REGISTRY).items())
def test_sort_key_is_the_identity_and_there_is_no_partition(store: Store, table: str, key: str) -> None:
    """Invariant 3: a value that can change would keep two rows of one identity apart for ever."""
    query = (
        "SELECT sorting_key, primary_key, partition_key, engine_full FROM system.tables"
        " WHERE database = {d:String} AND name = {t:String}"
    )
    [found] = store.rows(query, {"d": DATABASE, "t": table})
    assert (found["sorting_key"], found["primary_key"], found["partition_key"]) == (key, key, "")
    versions = {
        "analysis_rows": "(precedence)",
        "sign_in_rows": "(precedence)",
        "session_analysis_rows": "(definitions_revision)",
        # A row that is there says all that it can say.
        "session_task_rows": "",
        "job_member_rows": "(seen_at)",
        "job_generation_rows": "(generation)",
        # Of two computations of an hour, the later one holds.
        "rollup_rows": "(computation)",
        "rollup_watermark_rows": "(settled_ms)",
    }
    assert found["engine_full"].startswith(f"ReplacingMergeTree{versions.get(table, '(revision)')} ORDER BY")


def test_every_table_of_rows_is_held_to_its_key(store: Store) -> None:
    assert {name for name in columns(store) if name.endswith("_rows")} == set(FACTS | REGISTRY)


@pytest.mark.parametrize("table", FACTS)
def test_tables_of_facts_remember_the_tokens_of_inserts(store: Store, table: str) -> None:
    query = "SELECT create_table_query AS ddl FROM system.tables WHERE database = {d:String} AND name = {t:String}"
    [found] = store.rows(query, {"d": DATABASE, "t": table})
    window = re.search(r"non_replicated_deduplication_window = (\d+)", found["ddl"])
    assert window is not None
    assert int(window[1]) == 10_000


def test_the_settings_of_inserts_are_known_to_the_engine(store: Store) -> None:
    """All but one, which is the HTTP interface's."""
    settings = set(INSERT_SETTINGS) - {"wait_end_of_query"}
    known = store.rows("SELECT name FROM system.settings WHERE name IN {names:Array(String)}", {"names": [*settings]})
    assert {row["name"] for row in known} == settings


def test_every_table_with_a_hash_of_a_secret_is_closed_to_readers(store: Store) -> None:
    tables = {table for table, names in columns(store).items() if any(name.endswith("_hash") for name in names)}
    assert tables == set(SECRET_TABLES)


@pytest.mark.parametrize("version", [1, *(pytest.param(later, marks=pytest.mark.chaos) for later in (8, 12))])
def test_store_of_an_earlier_schema_upgrades_with_its_rows(clickhouse: ClickHouseServer, version: int) -> None:
    """A store as an earlier commit left it: its migrations are the first of today's, which no commit has changed."""
    store = remote(clickhouse.url, size=1)
    store.create_database()
    applied_names(store)
    for migration in migrations()[:version]:
        for statement in migration.statements:
            store.command(statement)
        store.insert("schema_migrations", b'{"version":%d,"name":"%s"}' % (migration.version, migration.name.encode()))
    insert(store, "task_rows", task("earlier", "t", metadata={"plan": "pro"}))
    insert(store, "analysis_rows", analysis("earlier", "t", 1, ["refund"]))
    insert(store, "feedback_rows", feedback("earlier", "t", "f"))

    assert [migration.version for migration in migrate(store)] == [later.version for later in migrations()[version:]]

    assert columns(store) == DECLARED
    [row] = store.rows("SELECT task_id, flag, metadata.plan AS plan, whole_log_id FROM tasks")
    assert row == {"task_id": "t", "flag": "success", "plan": "pro", "whole_log_id": ""}
    assert [event["name"] for event in store.rows("SELECT name FROM events")] == ["refund"]
    store.close()
