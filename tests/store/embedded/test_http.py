"""ClickHouse's clients, unmodified, against the embedded ClickHouse's HTTP interface."""

from __future__ import annotations

import gzip
import itertools
import json
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime
from threading import Thread
from typing import Any

import httpx
import lz4.frame
import pandas as pd  # type: ignore[import-untyped]
import pytest
import zstandard
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from fixtures.clickhouse_server import ClickHouseServer
from fixtures.http_client import HTTP

_numbers = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    with ClickHouseServer(tmp_path_factory.mktemp("clickhouse") / "data") as running:
        yield running


@pytest.fixture
def client(server: ClickHouseServer) -> Iterator[Client]:
    with server.client() as connected:
        yield connected


@pytest.fixture
def table(client: Client) -> str:
    """A new table of id and text that deduplicates blocks by token, and rows by id."""
    name = f"t{next(_numbers)}"
    client.command(
        f"CREATE TABLE {name} (id UInt64, text String) ENGINE = ReplacingMergeTree ORDER BY id"
        " SETTINGS non_replicated_deduplication_window = 100"
    )
    return name


def lines(*ids: int) -> bytes:
    return b"".join(json.dumps({"id": i, "text": f"text; {i} 'é'"}).encode() + b"\n" for i in ids)


class TestClickHouseConnect:
    def test_query_returns_typed_columns(self, client: Client) -> None:
        result = client.query(
            "SELECT 1 AS one, 'a' AS a, toDateTime64('2026-01-02 03:04:05.678', 3, 'UTC') AS t, [1] AS r"
        )
        assert result.column_names == ("one", "a", "t", "r")
        assert result.result_rows == [(1, "a", datetime(2026, 1, 2, 3, 4, 5, 678000), [1])]

    def test_insert_of_python_rows(self, client: Client, table: str) -> None:
        summary = client.insert(table, [[1, "a"], [2, "b"]], column_names=["id", "text"])
        assert summary.written_rows == 2
        assert client.query(f"SELECT * FROM {table} ORDER BY id").result_rows == [(1, "a"), (2, "b")]

    def test_insert_and_query_of_data_frames(self, client: Client, table: str) -> None:
        client.insert_df(table, pd.DataFrame({"id": [1, 2], "text": ["a", "b"]}))
        frame = client.query_df(f"SELECT * FROM {table} ORDER BY id")
        assert frame["id"].tolist() == [1, 2]
        assert frame["text"].tolist() == ["a", "b"]

    @pytest.mark.parametrize(
        ("fmt", "block"),
        [
            ("JSONEachRow", b'{"id": 1, "text": "a"}\n{"id": 2, "text": "b"}'),
            ("TSV", b"1\ta\n2\tb\n"),
            ("CSVWithNames", b"id,text\n1,a\n2,b\n"),
            ("Values", b"(1, 'a'), (2, 'b')"),
        ],
    )
    @pytest.mark.parametrize("compression", [None, "lz4", "zstd", "gzip"])
    def test_raw_insert(self, client: Client, table: str, fmt: str, block: bytes, compression: str | None) -> None:
        if compression:
            block = {"lz4": lz4.frame.compress, "zstd": zstandard.compress, "gzip": gzip.compress}[compression](block)
        summary = client.raw_insert(table, ["id", "text"], block, fmt=fmt, compression=compression)
        assert summary.written_rows == 2
        assert client.query(f"SELECT * FROM {table} ORDER BY id").result_rows == [(1, "a"), (2, "b")]

    @pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
    def test_compressed_results(self, server: ClickHouseServer, compress: str | bool) -> None:
        with server.client(compress=compress) as client:
            rows = client.query("SELECT number, repeat('x', 50) FROM numbers(5000)").result_rows
        assert len(rows) == 5000
        assert rows[-1] == (4999, "x" * 50)

    def test_parameters_are_bound(self, client: Client) -> None:
        sql = "SELECT {n:UInt64} + 1, {s:String}, {a:Array(String)}, {d:Date}"
        text = "it's \\ a\ttab\nand 'more' é"
        values = {"n": 41, "s": text, "a": ["x", "y'z"], "d": datetime(2026, 1, 2).date()}
        row = client.query(sql, parameters=values).result_rows[0]
        assert row == (42, text, ["x", "y'z"], values["d"])

    def test_parameters_too_long_for_a_url_come_by_form(self, client: Client) -> None:
        assert client.query("SELECT length({s:String})", parameters={"s": "ab" * 100_000}).result_rows == [(200_000,)]

    def test_command_returns_a_value_a_row_or_a_summary(self, client: Client, table: str) -> None:
        assert client.command("SELECT 42") == 42
        assert client.command("SELECT 'a', 'b'") == ["a", "b"]
        assert client.command(f"SELECT id FROM {table}") == ""
        assert client.command(f"INSERT INTO {table} VALUES", data="(7, 'x')").written_rows == 1  # type: ignore[union-attr]
        assert client.command(f"TRUNCATE TABLE {table}").written_rows == 0  # type: ignore[union-attr]

    def test_columns_of_an_empty_result(self, client: Client, table: str) -> None:
        assert client.query(f"SELECT * FROM {table} LIMIT 0").column_names == ("id", "text")
        assert client.query(f"SELECT * FROM {table}").result_rows == []

    def test_streams_of_rows(self, client: Client) -> None:
        with client.query_rows_stream("SELECT number FROM numbers(200000)") as stream:
            assert sum(row[0] for row in stream) == 199_999 * 100_000

    def test_insert_select_and_values_in_the_text(self, client: Client, table: str) -> None:
        client.command(f"INSERT INTO {table} SELECT number, 'FORMAT CSV' FROM numbers(3)")
        client.command(f"INSERT INTO {table} VALUES (10, 'a;b'), (11, '-- c')")
        assert client.command(f"SELECT count() FROM {table}") == 5

    def test_errors_have_the_engines_code_and_text(self, client: Client, table: str) -> None:
        with pytest.raises(DatabaseError, match="UNKNOWN_TABLE") as raised:
            client.query("SELECT * FROM no_such_table")
        assert raised.value.code == 60
        with pytest.raises(DatabaseError, match="CANNOT_PARSE_INPUT") as raised:
            client.raw_insert(table, ["id", "text"], b'{"id": "no number"}\n', fmt="JSONEachRow")
        assert raised.value.code == 27
        assert client.command(f"SELECT count() FROM {table}") == 0

    @pytest.mark.parametrize("settings", ["", " SETTINGS max_threads = 1"])
    def test_rows_that_violate_a_constraint_are_an_error_and_not_stored(self, client: Client, settings: str) -> None:
        """The engine's own streamed insert drops this error and says that the rows were written."""
        name = f"t{next(_numbers)}"
        client.command(
            f"CREATE TABLE {name} (id UInt64, CONSTRAINT small CHECK id < 10) ENGINE = MergeTree ORDER BY id"
        )

        with pytest.raises(DatabaseError, match="small") as caught:
            client.raw_query(f'INSERT INTO {name}{settings} FORMAT JSONEachRow\n{{"id": 1}}\n{{"id": 99}}')

        assert caught.value.code == 469
        assert client.command(f"SELECT count() FROM {name}") == 0

    def test_the_database_of_a_client(self, server: ClickHouseServer, client: Client) -> None:
        client.command("CREATE DATABASE IF NOT EXISTS `odd ``name`")
        with server.client("odd `name") as other:
            other.command("CREATE TABLE IF NOT EXISTS here (a Int8) ENGINE = Memory")
            other.insert("here", [[1]], column_names=["a"])
            assert other.command("SELECT currentDatabase()") == "odd `name"
            assert other.command("SELECT count() FROM here") == 1
        assert client.command("SELECT currentDatabase()") == "default"

    def test_a_reader_is_told_that_settings_are_read_only(self, server: ClickHouseServer) -> None:
        with server.reader() as reader:
            assert reader.query("SELECT count() > 100 FROM system.settings").result_rows == [(1,)]
            assert reader.server_settings["max_threads"].readonly
            assert reader.server_settings["async_insert"].readonly
            with pytest.raises(DatabaseError, match="needs the password"):
                reader.command("CREATE TABLE x (a Int8) ENGINE = Memory")


class TestSettings:
    def test_a_token_drops_a_repeated_insert_and_only_that(self, client: Client, table: str) -> None:
        def insert(*ids: int, token: str) -> None:
            settings = {"insert_deduplication_token": token, "async_insert": 0, "insert_deduplicate": 1}
            client.raw_insert(table, ["id", "text"], lines(*ids), fmt="JSONEachRow", settings=settings)

        insert(1, 2, token="tasks:0:0-1")
        insert(1, 2, token="tasks:0:0-1")
        assert client.command(f"SELECT count() FROM {table}") == 2
        insert(3, token="tasks:0:0-1")  # the token decides, not the rows
        assert client.command(f"SELECT count() FROM {table}") == 2
        insert(3, token="tasks:0:2-2")
        client.raw_insert(table, ["id", "text"], lines(4), fmt="JSONEachRow")
        assert client.command(f"SELECT count() FROM {table}") == 4

    def test_a_token_holds_for_python_rows_too(self, client: Client, table: str) -> None:
        for _ in range(2):
            client.insert(table, [[1, "a"]], column_names=["id", "text"], settings={"insert_deduplication_token": "k"})
        assert client.command(f"SELECT count() FROM {table}") == 1

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("insert_deduplication_token", "leaked"),
            ("async_insert", "0"),
            ("max_execution_time", "7"),
            ("max_threads", "1"),
            ("additional_table_filters", "{'system.one':'dummy = 1'}"),
            ("format_csv_delimiter", "'"),
        ],
    )
    def test_a_requests_setting_ends_with_the_request(self, server: ClickHouseServer, name: str, value: str) -> None:
        ask = f"SELECT value, changed FROM system.settings WHERE name = '{name}'"
        before = HTTP.post(server.url, content=ask).text
        asked = HTTP.post(server.url, content=ask, params={name: value})
        assert asked.text == "\t".join([value.replace("'", "\\'"), "1\n"])
        for session in ({}, {"session_id": "s1"}):
            assert HTTP.post(server.url, content=ask, params=session).text == before

    def test_a_filter_narrows_one_request_only(self, client: Client, table: str) -> None:
        client.raw_insert(table, ["id", "text"], lines(1, 2, 3), fmt="JSONEachRow")
        settings = {"additional_table_filters": f"{{'{table}': 'id > 1'}}"}
        assert client.query(f"SELECT count() FROM {table}", settings=settings).result_rows == [(2,)]
        assert client.query(f"SELECT count() FROM {table}").result_rows == [(3,)]

    def test_a_failed_requests_settings_end_with_it(self, server: ClickHouseServer) -> None:
        failed = HTTP.post(server.url, content="SELECT nothing", params={"max_threads": "1"})
        assert failed.status_code == 404
        ask = "SELECT changed FROM system.settings WHERE name = 'max_threads'"
        assert HTTP.post(server.url, content=ask).text == "0\n"

    def test_an_unknown_setting_is_an_error(self, server: ClickHouseServer) -> None:
        answer = HTTP.post(server.url, content="SELECT 1", params={"no_such_setting": "1"})
        assert answer.status_code == 404
        assert answer.headers["x-clickhouse-exception-code"] == "115"


class TestSessions:
    def test_a_session_keeps_what_it_sets_and_others_do_not_see_it(self, server: ClickHouseServer) -> None:
        with server.client() as mine, server.client() as other:
            mine.command("SET max_threads = 3")
            mine.command("CREATE TEMPORARY TABLE scratch (a Int8)")
            mine.insert("scratch", [[5]], column_names=["a"])
            assert mine.command("SELECT a, getSetting('max_threads') FROM scratch") == ["5", "3"]
            with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
                other.query("SELECT * FROM scratch")
            assert other.command("SELECT changed FROM system.settings WHERE name = 'max_threads'") == 0

    def test_a_requests_settings_end_with_it_inside_a_session(self, server: ClickHouseServer) -> None:
        def ask(sql: str, **params: str) -> str:
            answer = HTTP.post(server.url, content=sql, params={"session_id": "inner", **params})
            assert answer.status_code == 200, answer.text
            return answer.text

        ask("SET max_threads = 3")
        ask("USE system", database="default")
        assert ask("SELECT getSetting('max_threads')", max_threads="2", max_execution_time="9") == "2\n"
        values = ask("SELECT getSetting('max_threads'), getSetting('max_execution_time'), currentDatabase()")
        assert values == "3\t0\tsystem\n"
        assert ask("SELECT currentDatabase()", database="default") == "default\n"
        assert ask("SELECT currentDatabase()") == "system\n"


class TestRawHttp:
    """Send a request as curl does."""

    @pytest.mark.parametrize("path", ["/", "/ping"])
    def test_it_says_that_it_is_there(self, server: ClickHouseServer, path: str) -> None:
        assert HTTP.get(server.reader_url + path).text == "Ok.\n"

    def test_a_query_by_url_by_body_or_by_both(self, server: ClickHouseServer) -> None:
        assert HTTP.get(server.url, params={"query": "SELECT 1"}).text == "1\n"
        assert HTTP.post(server.url, content="SELECT 1").text == "1\n"
        assert HTTP.post(server.url, params={"query": "SELECT 1 +"}, content="1").text == "2\n"
        assert HTTP.post(server.url, content=iter([b"SEL", b"ECT 1"])).text == "1\n"

    def test_formats(self, server: ClickHouseServer) -> None:
        def ask(sql: str, **params: str) -> httpx.Response:
            return HTTP.post(server.url, content=sql, params=params, headers={"X-ClickHouse-Format": "CSV"})

        assert ask("SELECT 'a'").text == '"a"\n'
        assert ask("SELECT 'a' AS a", default_format="JSONEachRow").text == '{"a":"a"}\n'
        asked = ask("SELECT 'FORMAT CSV' AS a FORMAT JSON")
        assert asked.json()["data"] == [{"a": "FORMAT CSV"}]
        assert asked.headers["x-clickhouse-format"] == "JSON"
        assert asked.headers["content-type"] == "application/json; charset=UTF-8"
        assert ask("SELECT 1", default_format="DataFrame").headers["x-clickhouse-exception-code"] == "73"
        assert "x-clickhouse-format" not in ask("CREATE DATABASE IF NOT EXISTS d").headers

    def test_headers_of_an_answer(self, server: ClickHouseServer) -> None:
        answer = HTTP.post(server.url, content="SELECT number FROM numbers(10)", params={"query_id": "my-id"})
        summary = json.loads(answer.headers["x-clickhouse-summary"])
        assert summary["read_rows"] == "10"
        assert summary["result_rows"] == "10"
        assert int(summary["elapsed_ns"]) > 0
        assert answer.headers["x-clickhouse-query-id"] == "my-id"
        assert answer.headers["x-clickhouse-timezone"]

    @pytest.mark.parametrize(
        ("sql", "status"),
        [("SELECT", 400), ("SELECT * FROM nowhere", 404), ("SELECT throwIf(1)", 500), ("SELECT nosuch(1)", 404)],
    )
    def test_status_of_an_error(self, server: ClickHouseServer, sql: str, status: int) -> None:
        answer = HTTP.post(server.url, content=sql)
        assert answer.status_code == status
        assert answer.text.startswith(f"Code: {answer.headers['x-clickhouse-exception-code']}. DB::Exception: ")

    @pytest.mark.parametrize(
        "send",
        [
            lambda url, head, rows: HTTP.post(url, params={"query": head}, content=rows),
            lambda url, head, rows: HTTP.post(url, content=head.encode() + b"\n" + rows),
            lambda url, head, rows: HTTP.post(url, content=head.encode() + b" " + rows),
            lambda url, head, rows: HTTP.post(
                url, content=iter([head.encode()[:-3], head.encode()[-3:] + b"\n", rows])
            ),
            lambda url, head, rows: HTTP.post(url, content=f"/* FORMAT CSV */ {head}\r\n".encode() + rows),
        ],
    )
    def test_rows_after_or_beside_the_statement(
        self, server: ClickHouseServer, client: Client, table: str, send: Callable[..., httpx.Response]
    ) -> None:
        answer = send(server.url, f"INSERT INTO {table} (id, text) FORMAT JSONEachRow", lines(*range(3000)))
        assert answer.status_code == 200, answer.text
        assert json.loads(answer.headers["x-clickhouse-summary"])["written_rows"] == "3000"
        assert client.command(f"SELECT count(), sum(id), any(text LIKE 'text; %') FROM {table}") == [
            "3000",
            "4498500",
            "1",
        ]

    @pytest.mark.parametrize(
        ("encoding", "encode"),
        [
            ("gzip", gzip.compress),
            ("deflate", zlib.compress),
            ("zstd", zstandard.compress),
            ("lz4", lz4.frame.compress),
        ],
    )
    def test_content_encodings(self, server: ClickHouseServer, encoding: str, encode: Any) -> None:
        ask = {"Content-Encoding": encoding, "Accept-Encoding": encoding}
        body = encode(b"SELECT number FROM numbers(1000)")
        with httpx.stream(
            "POST", server.url, content=body, headers=ask, params={"enable_http_compression": "1"}
        ) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-encoding"] == encoding
            raw = b"".join(answer.iter_raw())
        decode = {"gzip": gzip.decompress, "deflate": zlib.decompress, "lz4": lz4.frame.decompress}
        decode |= {"zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)}
        assert decode[encoding](raw).count(b"\n") == 1000
        parts = encode(b"SELECT ") + encode(b"'two streams in a row'")
        joined = HTTP.post(server.url, content=parts, headers={"Content-Encoding": encoding})
        assert joined.text == "two streams in a row\n"
        plain = HTTP.post(server.url, content="SELECT 1", headers={"Accept-Encoding": encoding})
        assert "content-encoding" not in plain.headers

    def test_bytes_that_are_not_utf8(self, server: ClickHouseServer) -> None:
        assert HTTP.post(server.url, content=b"SELECT hex('\xff')").text == "FF\n"
        for answer in (
            HTTP.post(server.reader_url, content=b"SELECT hex('\xff')"),
            HTTP.post(server.url + "?param_s=%ff", content=b"SELECT {s:String}"),
        ):
            assert answer.status_code == 400
            assert "not valid UTF-8" in answer.text

    def test_what_is_not_supported_says_so(self, server: ClickHouseServer) -> None:
        for params in ({"compress": "1"}, {"decompress": "1"}):
            answer = HTTP.post(server.url, content="SELECT 1", params=params)
            assert answer.status_code == 501
            assert "Content-Encoding" in answer.text
        answer = HTTP.post(server.url, params={"query": "SELECT * FROM x"}, files={"x": b"1\n"})
        assert answer.status_code == 501
        assert "External tables" in answer.text


def test_queries_run_while_inserts_do(server: ClickHouseServer, client: Client, table: str) -> None:
    """Each query sees whole inserts only, and counts never fall."""
    failures: list[BaseException] = []

    def insert_all(first: int) -> None:
        try:
            with server.client() as own:
                for batch in range(10):
                    start = first + batch * 100
                    own.raw_insert(table, ["id", "text"], lines(*range(start, start + 100)), fmt="JSONEachRow")
        except BaseException as failure:
            failures.append(failure)

    writers = [Thread(target=insert_all, args=(n * 1000,)) for n in range(4)]
    for writer in writers:
        writer.start()
    counts = [0]
    while any(writer.is_alive() for writer in writers):
        counts.append(int(client.query(f"SELECT count() FROM {table}").result_rows[0][0]))
    for writer in writers:
        writer.join()
    assert not failures
    assert counts == sorted(counts)
    assert all(count % 100 == 0 for count in counts)
    assert client.command(f"SELECT uniqExact(id) FROM {table}") == 4000
