"""`phospho doctor` says what is wrong with each dependency, and what to do. Kafka's topics: tests/e2e."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer

from fixtures.clickhouse_server import ClickHouseServer
from phospho_cli import main
from phospho_cli.commands.doctor.clickhouse import check_clickhouse, rights_finding
from phospho_cli.commands.doctor.findings import RIGHTS
from phospho_cli.commands.doctor.kafka import _broker_finding
from phospho_cli.commands.doctor.machine import check_machine, memory_finding
from phospho_schemas.topics import RAW_LOGS
from phospho_store.clickhouse import ClickHouseSettings, remote
from phospho_store.migrations import migrate, migrations
from phospho_store.store import Store

_NOWHERE = "127.0.0.1:9"


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    with ClickHouseServer(tmp_path_factory.mktemp("doctor") / "clickhouse") as server:
        yield server


def doctor(kafka: str, clickhouse: str, *options: str) -> Result:
    return CliRunner().invoke(main, ["doctor", "--kafka", kafka, "--clickhouse", clickhouse, *options])


def test_doctor_says_that_servers_are_away() -> None:
    result = doctor(_NOWHERE, f"http://me:hush@{_NOWHERE}")
    assert result.exit_code == 1
    assert f"wrong Kafka at {_NOWHERE}: no answer" in result.output
    assert f"wrong ClickHouse at http://{_NOWHERE}/phospho: " in result.output
    assert "hush" not in result.output

    findings = json.loads(doctor(_NOWHERE, f"http://me:hush@{_NOWHERE}", "--json").output)
    wrong = {finding["subject"] for finding in findings if not finding["is_ok"]}
    assert {f"Kafka at {_NOWHERE}", f"ClickHouse at http://{_NOWHERE}/phospho"} <= wrong
    assert all(finding["advice"] for finding in findings if not finding["is_ok"])


def test_doctor_misses_topics_and_tables_and_then_finds_the_tables(clickhouse: ClickHouseServer) -> None:
    owner = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 0})
    broker = next(iter(owner.list_topics(timeout=15).brokers.values()))
    kafka = f"{broker.host}:{broker.port}"

    without_tables = doctor(kafka, clickhouse.url)
    store = remote(clickhouse.url, size=1)
    list(migrate(store))
    with_tables = doctor(kafka, clickhouse.url)
    store.command(f"DELETE FROM schema_migrations WHERE version = {migrations()[-1].version}")
    behind = "\n".join(finding.line for finding in check_clickhouse(ClickHouseSettings(clickhouse.url)))
    list(migrate(store))
    store.insert("schema_migrations", b'{"version":9999,"name":"future"}')
    ahead = "\n".join(finding.line for finding in check_clickhouse(ClickHouseSettings(clickhouse.url)))
    store.close()

    assert f"wrong topic {RAW_LOGS.name}: missing. Run `phospho topics create`" in without_tables.output
    assert "Database phospho does not exist" in without_tables.output
    assert "run `phospho migrate`" in without_tables.output
    assert "ok    tables of ClickHouse: all" in with_tables.output
    for subject in ("clock", "rights in ClickHouse for all", "mutations", "disk", "memory"):
        line = subject if subject.startswith("rights") else f"{subject} of ClickHouse"
        assert f"ok    {line}: " in with_tables.output
    assert "migration(s) are missing. Run `phospho migrate`" in behind
    assert "wrong tables of ClickHouse: migration 9999 is newer than this version. Upgrade this process" in ahead


def test_doctor_names_a_refused_sign_in_and_missing_grants(clickhouse: ClickHouseServer) -> None:
    wrong_password = clickhouse.url.replace(clickhouse.password, "guess")
    [finding] = check_clickhouse(ClickHouseSettings(wrong_password))
    assert finding.advice == "Correct the user and the password in PHOSPHO_CLICKHOUSE"

    *_, profile, missing = check_clickhouse(ClickHouseSettings(clickhouse.url, cluster="missing"))
    assert profile.line.startswith("wrong profile of ClickHouse: distributed_product_mode is deny on this server. Set")
    assert missing.line.startswith("wrong cluster missing of ClickHouse: not in system.clusters. Correct PHOSPHO_")
    [denied] = check_clickhouse(ClickHouseSettings(clickhouse.reader_url), "sink")
    assert denied.advice == "GRANT this user what docs/deployment.md lists"


def test_doctor_lists_missing_grants() -> None:
    """chDB has one user, who may do everything: the answers of CHECK GRANT are those of a server with users."""

    class _Granting(Store):
        def raw(self, sql: str, *_: object) -> bytes:  # type: ignore[override]
            return b"0\n" if "INSERT" in sql else b"1\n"

    rights = rights_finding(_Granting(lambda _: None), "sink")  # type: ignore[arg-type,return-value]
    assert rights.line == (
        "wrong rights in ClickHouse for sink: missing: INSERT ON `phospho`.*. GRANT them to this user"
    )


def test_doctor_checks_memory_ports_and_brokers(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _NotReady) as server, socket.socket() as silent:
        Thread(target=server.serve_forever, daemon=True).start()
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        silent_port = silent.getsockname()[1]
        ports = {"gateway": (server.server_port, "--port"), "OTLP/gRPC": (silent_port, "--grpc-port")}
        lines = [finding.line for finding in check_machine(ports)]
        server.shutdown()
    assert (
        f"wrong port {server.server_port} of gateway: not ready: ClickHouse is away. Follow the other lines"
        in (lines[-2])
    )
    assert lines[-1] == f"ok    port {silent_port} of OTLP/gRPC: in use"

    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n")
    assert memory_finding(meminfo, tmp_path).state == "8,192 MB free"
    for name, text in {"max": "512000000", "current": "500000000", "stat": "anon 1\ninactive_file 100000000"}.items():
        (tmp_path / f"memory.{name}").write_text(text)
    limited = memory_finding(meminfo, tmp_path)
    assert (limited.state, limited.advice) == ("112 MB free", "A worker needs 300 MB: raise the limit")

    assert "advertised.listeners" in _broker_finding(1, "127.0.0.1", 9).advice


class _NotReady(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503)
        self.end_headers()
        self.wfile.write(b"ClickHouse is away")

    def log_message(self, *_: object) -> None:
        pass


def test_rights_are_those_of_the_documented_grants() -> None:
    document = (Path(__file__).resolve().parents[3] / "docs" / "deployment.md").read_text("utf-8")
    users = {"migrate": "phospho_migrate", "sink": "phospho_ingest", "detection": "phospho_ingest"}
    for process, rights in RIGHTS.items():
        user = users.get(process, "phospho_app")
        if rights.grants:
            assert f"GRANT {', '.join(rights.grants)} ON analytics.* TO {user};" in document
        for table in rights.system_tables:
            assert f"GRANT SELECT ON system.{table} TO {user};" in document
