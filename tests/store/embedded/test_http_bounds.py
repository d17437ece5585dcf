"""The embedded ClickHouse under pressure and through its own death: bounds, clean stop, kill and restart."""

from __future__ import annotations

import gzip
import json
import os
import signal
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import lz4.frame
import pytest
import zstandard

from fixtures.clickhouse_server import ClickHouseServer
from fixtures.http_client import HTTP
from fixtures.server_process import ServerProcessError

MAX_BODY_BYTES = 100_000
ENCODE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
    "lz4": lz4.frame.compress,
}
MAKE_TABLE = (
    "CREATE TABLE t (id UInt64, text String) ENGINE = ReplacingMergeTree ORDER BY id"
    " SETTINGS non_replicated_deduplication_window = 100"
)


@pytest.fixture(scope="module")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    folder = tmp_path_factory.mktemp("bounds") / "data"
    with ClickHouseServer(folder, max_body_bytes=MAX_BODY_BYTES, max_queries=2, max_wait_s=0.3) as server:
        yield server


@pytest.fixture
def server(running_server: ClickHouseServer) -> ClickHouseServer:
    """The server of all tests with an empty table. A test that stops it starts it again."""
    running_server.start()
    for statement in ("DROP TABLE IF EXISTS t SYNC", MAKE_TABLE):
        HTTP.post(running_server.url, content=statement).raise_for_status()
    return running_server


def insert(server: ClickHouseServer, first: int, count: int = 100, token: str = "") -> httpx.Response:
    rows = "\n".join(json.dumps({"id": i, "text": "x"}) for i in range(first, first + count))
    params = {"query": "INSERT INTO t FORMAT JSONEachRow"} | ({"insert_deduplication_token": token} if token else {})
    return HTTP.post(server.url, params=params, content=rows)


def count(server: ClickHouseServer) -> int:
    return int(HTTP.post(server.url, content="SELECT count() FROM t").text)


class TestBounds:
    @pytest.mark.parametrize("declared", [True, False])
    def test_a_body_over_the_bound_is_refused(self, server: ClickHouseServer, declared: bool) -> None:
        body = b"x" * (MAX_BODY_BYTES + 1)
        content = body if declared else iter([body[:50_000], body[50_000:]])
        answer = HTTP.post(server.url, params={"query": "INSERT INTO t FORMAT TSV"}, content=content)
        assert answer.status_code == 413
        assert answer.headers["x-clickhouse-exception-code"] == "307"
        assert "larger than 100000 bytes" in answer.text

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "lz4"])
    def test_a_small_body_that_inflates_over_the_bound_is_refused(
        self, server: ClickHouseServer, encoding: str
    ) -> None:
        bomb = ENCODE[encoding](b"0" * (MAX_BODY_BYTES * 100))
        assert len(bomb) < MAX_BODY_BYTES
        answer = HTTP.post(server.reader_url, content=bomb, headers={"Content-Encoding": encoding})
        assert answer.status_code == 413
        assert "inflates to more than" in answer.text
        exact = ENCODE[encoding](b"SELECT 1".ljust(MAX_BODY_BYTES))
        assert HTTP.post(server.reader_url, content=exact, headers={"Content-Encoding": encoding}).text == "1\n"

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "lz4", "br"])
    def test_a_broken_or_unknown_encoding_is_refused(self, server: ClickHouseServer, encoding: str) -> None:
        answer = HTTP.post(server.url, content=b"SELECT 1", headers={"Content-Encoding": encoding})
        assert answer.status_code == (415 if encoding == "br" else 400), answer.text

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "lz4"])
    def test_rows_cut_off_in_their_encoding_are_refused_whole(self, server: ClickHouseServer, encoding: str) -> None:
        rows = "".join(f"{i}\t{i * 7919}\n" for i in range(2000)).encode()
        answer = HTTP.post(
            server.url,
            params={"query": "INSERT INTO t FORMAT TSV"},
            content=ENCODE[encoding](rows)[:-20],
            headers={"Content-Encoding": encoding},
        )
        assert answer.status_code == 400, answer.text
        assert count(server) == 0

    def test_who_waits_too_long_for_a_turn_is_told_to_come_again(self, server: ClickHouseServer) -> None:
        """With two turns, of which readers may hold one: a reader is busy, the writer is not."""
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(HTTP.post, server.reader_url, content="SELECT sleep(2)")
            busy = "SELECT count() FROM system.processes WHERE query LIKE 'SELECT sleep(2)%'"
            while int(HTTP.post(server.url, content=busy).text) == 0:
                assert not running.done(), running.result().text
            refused = HTTP.post(server.reader_url, content="SELECT 1")
            assert insert(server, 0).status_code == 200
            assert running.result().status_code == 200
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["x-clickhouse-exception-code"] == "202"
        assert HTTP.post(server.reader_url, content="SELECT 1").text == "1\n"


class TestDurability:
    def test_what_an_insert_returned_for_survives_a_kill(self, server: ClickHouseServer) -> None:
        for round_ in range(2):
            for batch in range(5):
                insert(server, round_ * 1000 + batch * 100).raise_for_status()
            server.kill()
            server.start()
            assert count(server) == (round_ + 1) * 500

    def test_a_token_is_remembered_through_a_kill(self, server: ClickHouseServer) -> None:
        insert(server, 0, token="tasks:0:0-99").raise_for_status()
        server.kill()
        server.start()
        insert(server, 0, token="tasks:0:0-99").raise_for_status()
        assert count(server) == 100

    def test_a_clean_stop_lets_a_running_insert_finish(self, server: ClickHouseServer) -> None:
        slow = (
            "INSERT INTO t SELECT number, toString(sleepEachRow(0.02)) FROM numbers(100) SETTINGS max_block_size = 10"
        )
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(HTTP.post, server.url, content=slow)
            busy = "SELECT count() FROM system.processes WHERE query LIKE 'INSERT INTO t SELECT%'"
            while int(HTTP.post(server.url, content=busy).text) == 0:
                assert not running.done(), running.result().text
            server.stop()
            assert running.result().status_code == 200, running.result().text
        server.start()
        assert count(server) == 100


class TestTheFixture:
    def test_a_server_that_cannot_start_says_why(self, server: ClickHouseServer) -> None:
        """The engine lets one process have a folder."""
        second = ClickHouseServer(server.data_dir)
        with pytest.raises(ServerProcessError, match="The last lines of") as raised:
            second.start()
        assert second.pid is None
        assert "another process may have it open" in str(raised.value)

    def test_stop_kill_and_start_are_idempotent_and_leave_no_process(self, tmp_path: Path) -> None:
        server = ClickHouseServer(tmp_path / "data")
        server.stop()
        server.start()
        pid = server.pid
        assert pid is not None
        server.start()
        assert server.pid == pid
        server.stop()
        server.kill()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, signal.SIG_DFL)
