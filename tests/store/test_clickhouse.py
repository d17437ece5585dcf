"""ClickHouse as others run it: another database, TLS with a client certificate, a proxy, and nothing made unasked."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from fixtures.clickhouse_server import ClickHouseServer
from phospho_schemas.settings import BadSetting, load
from phospho_store.clickhouse import ClickHouseSettings, remote
from phospho_store.errors import StatementRefused, StoreUnavailable
from phospho_store.migrations import migrate
from phospho_store.store import Store

_DOCUMENT = Path(__file__).resolve().parents[2] / "docs/deployment.md"


def databases(clickhouse: ClickHouseServer) -> set[str]:
    with clickhouse.client() as client:
        return {row[0] for row in client.query("SELECT name FROM system.databases").result_rows}


def test_database_of_the_url_is_used_and_only_migrate_creates_it(clickhouse: ClickHouseServer) -> None:
    store = remote(f"{clickhouse.url}/analytics", size=1)
    assert "phospho" not in databases(clickhouse)
    with pytest.raises(StatementRefused) as missing:
        store.rows("SELECT 1 AS one")
    assert missing.value.code == 81
    assert "analytics" not in databases(clickhouse)

    list(migrate(store))

    assert store.rows("SELECT currentDatabase() AS name, count() AS rows FROM tasks") == [
        {"name": "analytics", "rows": 0}
    ]
    assert "phospho" not in databases(clickhouse)
    store.close()


def test_user_who_may_not_create_the_database_is_told_what_to_run() -> None:
    class Refusing:
        def raw_query(self, *_: object, **__: object) -> bytes:
            raise _database_error(81)

        def command(self, *_: object, **__: object) -> None:
            raise _database_error(497)

        def close(self) -> None:
            """Do nothing."""

    store = Store(lambda _: Refusing(), 1, "odd-name")  # type: ignore[arg-type, return-value]
    with pytest.raises(StatementRefused, match="run `CREATE DATABASE IF NOT EXISTS `odd-name``"):
        store.create_database()


def _database_error(code: int) -> DatabaseError:
    error = DatabaseError(f"Code: {code}")
    error.code = code
    return error


def test_certificates_of_both_sides_are_checked(clickhouse: ClickHouseServer, tmp_path: Path) -> None:
    authority, certificate, key = _certificates(tmp_path)
    with TlsRelay(clickhouse.port, authority, certificate, key) as port:
        url = clickhouse.url.replace("http://", "https://").replace(f":{clickhouse.port}", f":{port}") + "/default"
        trusting = ClickHouseSettings(url, ca_cert=authority, client_cert=certificate, client_cert_key=key)
        with closing(remote(trusting, size=1)) as store:
            assert store.rows("SELECT 1 AS one") == [{"one": 1}]
        with pytest.raises(StoreUnavailable, match="certificate verify failed"):
            remote(ClickHouseSettings(url), size=1).rows("SELECT 1")
        with pytest.raises(StoreUnavailable):
            remote(ClickHouseSettings(url, ca_cert=authority), size=1).rows("SELECT 1")


def test_proxy_is_asked_for_the_server(clickhouse: ClickHouseServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        settings = ClickHouseSettings("http://clickhouse.invalid:8123", proxy=address)
        asked = threading.Thread(target=_expect_failure, args=(settings,))
        asked.start()
        connection, _ = proxy.accept()
        request_line = connection.recv(4096).split(b"\r\n")[0]
        connection.close()
        proxy.close()
        asked.join()
    assert b" http://clickhouse.invalid:8123/?" in request_line


def _expect_failure(settings: ClickHouseSettings) -> None:
    with suppress(StoreUnavailable):
        remote(settings, size=1).rows("SELECT 1")


def test_certificate_that_is_missing_is_one_sentence() -> None:
    with pytest.raises(BadSetting, match="PHOSPHO_CLICKHOUSE_CA_CERT='/missing' can't be used: Path does not point to"):
        load(ClickHouseSettings, {"PHOSPHO_CLICKHOUSE_CA_CERT": "/missing"})


def test_address_has_no_password() -> None:
    assert ClickHouseSettings("http://me:hush@host:8123/db").address == "http://host:8123/db"


def test_documented_grants_are_sql(clickhouse: ClickHouseServer) -> None:
    block = re.search(r"```sql\n(CREATE DATABASE.*?)```", _DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert block is not None
    statements = [statement for statement in block[1].split(";\n") if statement.strip()]
    with clickhouse.client() as client:
        for statement in statements:
            client.query("SELECT formatQuery({sql:String})", parameters={"sql": statement})
    assert len(statements) == 7


def _certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Return an authority's certificate, and a certificate for 127.0.0.1 that both sides use, with its key."""
    certificate, key = folder / "both.pem", folder / "both.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=127.0.0.1"]
    subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return certificate, certificate, key


class TlsRelay:
    """Relay TLS connections with a client certificate to a port of loopback."""

    def __init__(self, port: int, authority: Path, certificate: Path, key: Path) -> None:
        self._port = port
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority))
        self._context.load_cert_chain(certificate, key)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._listener = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> int:
        threading.Thread(target=self._accept, daemon=True).start()
        port: int = self._listener.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._relay, args=(connection,), daemon=True).start()

    def _relay(self, connection: socket.socket) -> None:
        with (
            suppress(OSError),
            self._context.wrap_socket(connection, server_side=True) as client,
            socket.create_connection(("127.0.0.1", self._port)) as server,
        ):
            back = threading.Thread(target=_copy, args=(server, client), daemon=True)
            back.start()
            _copy(client, server)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(65_536):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
