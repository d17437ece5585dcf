"""`phospho doctor` says what is wrong with each dependency, and what to do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer

from fixtures.clickhouse_server import ClickHouseServer
from phospho_cli import main
from phospho_schemas.topics import RAW_LOGS
from phospho_store.clickhouse import remote
from phospho_store.migrations import migrate

_NOWHERE = "127.0.0.1:9"


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    with ClickHouseServer(tmp_path_factory.mktemp("doctor") / "clickhouse") as server:
        yield server


def doctor(kafka: str, clickhouse: str) -> Result:
    return CliRunner().invoke(main, ["doctor", "--kafka", kafka, "--clickhouse", clickhouse])


def test_doctor_says_that_servers_are_away() -> None:
    result = doctor(_NOWHERE, f"http://me:hush@{_NOWHERE}")
    assert result.exit_code == 1
    assert f"wrong Kafka at {_NOWHERE}: no answer" in result.output
    assert f"wrong ClickHouse at http://{_NOWHERE}/phospho: " in result.output
    assert "hush" not in result.output


def test_doctor_misses_topics_and_tables_and_then_finds_the_tables(clickhouse: ClickHouseServer) -> None:
    owner = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 0})
    broker = next(iter(owner.list_topics(timeout=15).brokers.values()))
    kafka = f"{broker.host}:{broker.port}"

    without_tables = doctor(kafka, clickhouse.url)
    store = remote(clickhouse.url, size=1)
    list(migrate(store))
    store.close()
    with_tables = doctor(kafka, clickhouse.url)

    assert f"wrong topic {RAW_LOGS.name}: missing. Run `phospho topics create`" in without_tables.output
    assert "Database phospho does not exist" in without_tables.output
    assert "run `phospho migrate`" in without_tables.output
    assert "ok    tables of ClickHouse: all" in with_tables.output
    assert "ok    clock of ClickHouse: " in with_tables.output
