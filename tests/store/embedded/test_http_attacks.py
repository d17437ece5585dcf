"""Attacks of an outsider on the embedded ClickHouse, tried over HTTP without the password."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fixtures.clickhouse_server import ClickHouseServer
from fixtures.http_client import HTTP

SECRET = "the-hashed-key"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    folder = tmp_path_factory.mktemp("attacks")
    (folder / "secret.csv").write_text(f"secret\n{SECRET}\n")
    with ClickHouseServer(folder / "data", hidden_tables=["shop.keys"]) as running:
        with running.client() as client:
            client.command("CREATE DATABASE shop")
            client.command("CREATE TABLE shop.tasks (id UInt64, text String) ENGINE = MergeTree ORDER BY id")
            client.command("CREATE TABLE shop.keys (hash String) ENGINE = MergeTree ORDER BY hash")
            client.insert("shop.tasks", [[1, "hello"]], column_names=["id", "text"])
            client.insert("shop.keys", [[SECRET]], column_names=["hash"])
        yield running


def ask(server: ClickHouseServer, sql: str, **options: object) -> httpx.Response:
    headers = options.pop("headers", {})
    assert isinstance(headers, dict)
    return HTTP.post(server.reader_url, content=sql, params=options, headers=headers)  # type: ignore[arg-type]


READS_FILES = [
    "SELECT file('{secret}')",
    "SELECT FILE('{secret}')",
    "SELECT `file`('{secret}')",
    "SELECT arrayMap(file, ['{secret}'])",
    "SELECT arrayMap(x -> file(x), ['{secret}'])",
    "SELECT * APPLY(file) FROM (SELECT '{secret}' AS path)",
    "SELECT * APPLY(x -> file(x)) FROM (SELECT '{secret}' AS path)",
    "SELECT * REPLACE(file(path) AS path) FROM (SELECT '{secret}' AS path)",
    "WITH file AS f SELECT f('{secret}')",
    "WITH (x -> file(x)) AS f SELECT f('{secret}')",
    "WITH x AS (SELECT file('{secret}')) SELECT * FROM x",
    "EXPLAIN PLAN SELECT file('{secret}')",
    "EXPLAIN SELECT 1 WHERE file('{secret}') != ''",
    "SELECT 1 ORDER BY file('{secret}')",
    "SELECT sum(length(file('{secret}'))) OVER () FROM numbers(1)",
    "SELECT * FROM numbers(length(file('{secret}')))",
    "SELECT * FROM view(SELECT file('{secret}'))",
    "SELECT 1 UNION ALL SELECT length(file('{secret}'))",
    "SELECT 1 INTERSECT SELECT length(file('{secret}'))",
    "SELECT * FROM file('{secret}')",
    "SELECT * FROM file('{secret}', 'CSV', 'a String')",
    "SELECT * FROM `{secret}`",
    "SELECT * FROM '{secret}'",
    'SELECT * FROM "{secret}"',
    "SELECT * FROM default.`{secret}`",
    "SELECT * FROM `default`.'{secret}'",
    "SELECT 'secret' IN `{secret}`",
    "SELECT 'secret' IN default.`{secret}`",
    "SELECT * FROM shop.tasks AS t JOIN default.`{secret}` AS f ON 1",
    "DESCRIBE TABLE default.`{secret}`",
    "SHOW CREATE TABLE default.`{secret}`",
    "EXPLAIN TABLE OVERRIDE default.`{secret}` COLUMNS (a String)",
    "DESCRIBE TABLE file('{secret}')",
    "DESCRIBE file('{secret}')",
    "DESCRIBE (SELECT file('{secret}'))",
    "DESCRIBE TABLE `{secret}`",
    "EXPLAIN SYNTAX SELECT * FROM file('{secret}')",
    "EXPLAIN QUERY TREE SELECT * FROM file('{secret}')",
    r"SELECT b FROM values('a UInt8, b String ALIAS file(\'{secret}\')', 1)",
    r"SELECT b FROM VALUES('a UInt8, b String DEFAULT file(\'{secret}\')', 1)",
    r"SELECT b FROM SQLStandardValues('a UInt8, b String ALIAS file(\'{secret}\')', 1)",
    r"SELECT * FROM format('JSONEachRow', 'b String DEFAULT file(\'{secret}\')', '{}')",
    r"SELECT b FROM generateRandom('a UInt8, b String ALIAS file(\'{secret}\')') LIMIT 1",
    r"SELECT b FROM null('a UInt8, b String ALIAS file(\'{secret}\')')",
    r"DESCRIBE values('a UInt8, b String ALIAS file(\'{secret}\')', 1)",
    r"SELECT * FROM view(SELECT b FROM values('a UInt8, b String ALIAS file(\'{secret}\')', 1))",
    "SELECT * FROM filesystem('{folder}')",
    "SELECT * FROM fileCluster('default', '{secret}')",
    "SELECT * FROM sqlite('{folder}/x.db', 't')",
    "SELECT * FROM icebergLocal('{folder}')",
    "SELECT * FROM eval('SELECT file(''{secret}'')')",
    "SELECT filesystemAvailable()",
    "SELECT /* ' */ file('{secret}') -- '",
    "SELECT structureToProtobufSchema('a String')",
    "SELECT 1 AS a SETTINGS select = 'file(''{secret}'')'",
    "SELECT 1 AS a SETTINGS `select` = 'file(''{secret}'')'",
    "SELECT 1 AS a SETTINGS/**/filter = 'file(''{secret}'') != 1'",
    "SELECT 1 AS a SETTINGS final, select = 'file(''{secret}'')'",
    "SELECT 1 AS a SETTINGS limit = 1, \"order\" = 'file(''{secret}'')'",
    "SELECT * FROM (SELECT 1 AS a SETTINGS select = 'file(''{secret}'')')",
    "SELECT 1 AS a FORMAT CSV SETTINGS select = 'file(''{secret}'')'",
    "EXPLAIN SELECT 1 AS a SETTINGS select = 'file(''{secret}'')'",
    "SELECT 1. SETTINGS select = 'file(''{secret}'')'",
    ", throwIf(1, file('{secret}')) FROM (SELECT 1 AS EXPLAIN)",
    ", file('{secret}') FROM (SELECT 1 AS EXPLAIN)",
    "file('{secret}')",
    "graph = 1 SELECT file('{secret}')",
    "; SELECT file('{secret}')",
    "-- x\nSELECT file('{secret}')",
    "#!x\nSELECT file('{secret}')",
    "SELECT $tag$ ' $tag$, file('{secret}'), $tag$ ' $tag$",
    "SELECT '\\\\', file('{secret}'), '\\''",
]
REACHES_OUT = [
    "SELECT * FROM url('http://127.0.0.1:{port}/ping', 'LineAsString', 'a String')",
    "DESCRIBE url('http://127.0.0.1:{port}/ping')",
    "SELECT * FROM s3('http://127.0.0.1:{port}/bucket/key', 'CSV', 'a String')",
    "DESCRIBE s3('http://127.0.0.1:{port}/bucket/key')",
    "SELECT * FROM remote('127.0.0.1:{port}', 'shop', 'tasks')",
    "SELECT * FROM mysql('127.0.0.1:{port}', 'd', 't', 'u', 'p')",
    "SELECT * FROM postgresql('127.0.0.1:{port}', 'd', 't', 'u', 'p')",
    "SELECT * FROM redis('127.0.0.1:{port}', 'k', 'k String')",
    "SELECT * FROM cluster('default', shop.tasks)",
    "SELECT * FROM executable('id', 'TSV', 'a String')",
    "SELECT * FROM Python(df)",
    "SELECT * FROM python('df')",
    "SELECT AIGenerate('hello')",
    "SELECT aiEmbed('hello')",
    "SELECT FQDN()",
]
READS_HIDDEN_TABLES = [
    "SELECT * FROM shop.keys",
    "SELECT * FROM shop.`keys`",
    "SELECT * FROM `shop`.keys AS t",
    "SELECT 1 WHERE '{secret_value}' IN (SELECT hash FROM shop.keys)",
    "SELECT '{secret_value}' IN shop.keys",
    "SELECT * FROM shop.tasks, shop.keys",
    "SELECT * FROM merge('shop', '.*')",
    "SELECT * FROM merge('keys')",
    "SELECT * FROM mergeTreeIndex('shop', 'keys')",
    "SELECT * FROM mergeTreeProjection('shop', 'keys', 'p')",
    "SELECT * FROM loop(shop.keys) LIMIT 1",
    "SELECT * FROM viewExplain('EXPLAIN', '', (SELECT * FROM shop.keys))",
    "SELECT * FROM dictionary('d')",
    "SELECT dictGet('d', 'a', 1)",
    "SELECT dictGetOrDefault('d', 'a', 1, 2)",
    "SELECT joinGet('shop.keys', 'hash', 1)",
    "SELECT * FROM system.processes",
    "SELECT * FROM system.user_query_log",
    "SELECT * FROM system.query_cache",
    "SELECT * FROM system.stack_trace",
    "SELECT * FROM system.server_settings",
    "SELECT 1 IN system.processes",
    "SHOW PROCESSLIST",
    "SHOW GRANTS",
    "SHOW CREATE USER default",
]
WRITES = [
    "INSERT INTO shop.tasks VALUES (2, 'x')",
    'INSERT INTO shop.tasks FORMAT JSONEachRow {"id": 2}',
    "INSERT INTO shop.tasks SELECT 2, 'x'",
    "INSERT INTO shop.tasks FROM INFILE '{secret}' FORMAT CSV",
    "INSERT INTO FUNCTION file('{folder}/out.csv') SELECT 1",
    "SELECT 1 INTO OUTFILE '{folder}/out.csv'",
    "SELECT 1 INTO OUTFILE '{folder}/out.csv' TRUNCATE FORMAT CSV",
    "SELECT 1 FORMAT CSV INTO OUTFILE '{folder}/out.csv'",
    "(SELECT 1) INTO/**/OUTFILE '{folder}/out.csv'",
    "EXPLAIN SELECT 1 INTO OUTFILE '{folder}/out.csv'",
    "SHOW TABLES INTO OUTFILE '{folder}/out.csv'",
    "CREATE TABLE shop.more (a Int8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE more (a Int8)",
    "CREATE FUNCTION f AS x -> x",
    "CREATE USER eve",
    "DROP TABLE shop.tasks",
    "TRUNCATE TABLE shop.tasks",
    "ALTER TABLE shop.tasks DELETE WHERE 1",
    "DELETE FROM shop.tasks WHERE 1",
    "OPTIMIZE TABLE shop.tasks",
    "RENAME TABLE shop.tasks TO shop.other",
    "ATTACH TABLE shop.more",
    "DETACH TABLE shop.tasks",
    "BACKUP DATABASE shop TO File('{folder}/backup')",
    "RESTORE DATABASE shop FROM File('{folder}/backup')",
    "SYSTEM FLUSH LOGS",
    "SYSTEM STOP MERGES",
    "SYSTEM SHUTDOWN",
    "KILL QUERY WHERE 1",
    "GRANT ALL ON *.* TO default",
    "SET readonly = 0",
    "SET max_execution_time = 0",
    "USE shop",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT 1 SETTINGS max_execution_time = 0",
    "SELECT 1; DROP TABLE shop.tasks",
    "SELECT 1; SELECT file('{secret}')",
    "SELECT 1 FORMAT CSV; DROP TABLE shop.tasks",
    "SELECT 1 PARALLEL WITH SELECT 2",
    "EXECUTE AS default SELECT 1",
    "CHECK TABLE shop.tasks",
    "SELECT logTrace('x')",
]


@pytest.mark.parametrize("sql", [sql for sql in READS_FILES if "{folder}" not in sql])
def test_no_database_named_by_an_outsider_holds_local_files(server: ClickHouseServer, sql: str) -> None:
    secret = server.data_dir.parent / "secret.csv"
    for database in ("default", "shop", "system"):
        answer = ask(server, sql.replace("{secret}", str(secret)), database=database)
        assert answer.status_code >= 400, answer.text
        assert SECRET not in answer.text


@pytest.mark.parametrize("sql", [*READS_FILES, *REACHES_OUT, *READS_HIDDEN_TABLES, *WRITES])
def test_an_outsiders_statement_that_reaches_past_the_tables_is_refused(server: ClickHouseServer, sql: str) -> None:
    folder = server.data_dir.parent
    secret = folder / "secret.csv"
    places = {"{secret}": secret, "{folder}": folder, "{port}": server.port, "{secret_value}": SECRET}
    for name, value in places.items():
        sql = sql.replace(name, str(value))
    answer = ask(server, sql)
    assert answer.status_code >= 400, answer.text
    assert "DB::Exception" in answer.text
    assert answer.headers["x-clickhouse-exception-code"]
    assert SECRET not in answer.text.replace(sql, "")
    assert not (folder / "out.csv").exists()
    assert ask(server, "SELECT id, text FROM shop.tasks").text == "1\thello\n"


def test_a_refusal_says_what_is_refused_and_why(server: ClickHouseServer) -> None:
    answer = ask(server, "SELECT file('x')")
    assert answer.status_code == 403
    assert answer.headers["x-clickhouse-exception-code"] == "497"
    assert "The function 'file' reaches files of this machine" in answer.text
    assert "INSERT needs the password" in ask(server, "INSERT INTO shop.tasks VALUES (2, 'x')").text
    assert "'shop.keys' is not open" in ask(server, "SELECT * FROM keys", database="shop").text


@pytest.mark.parametrize(
    "params",
    [
        {"database": "shop", "query": "SELECT * FROM keys"},
        {"query": "SELECT * FROM {t:Identifier}", "param_t": "shop.keys"},
        {"query": "SELECT * FROM {d:Identifier}.{t:Identifier}", "param_d": "shop", "param_t": "keys"},
        {"database": "system", "query": "SELECT * FROM processes"},
        {"query": "SELECT 1", "readonly": "0", "database": "`; DROP TABLE shop.tasks; --"},
        {"query": "INSERT INTO shop.tasks VALUES (2, 'x')", "readonly": "0"},
        {"query": "SELECT file({f:String})", "param_f": "/etc/hostname"},
        {"query": "SELECT count() FROM numbers(1e12)", "max_execution_time": "0", "database": "nowhere"},
    ],
)
def test_an_outsiders_parameters_open_nothing(server: ClickHouseServer, params: dict[str, str]) -> None:
    for answer in (HTTP.get(server.reader_url, params=params), HTTP.post(server.reader_url, params=params)):
        assert answer.status_code >= 400, answer.text
        assert SECRET not in answer.text


def test_an_outsider_runs_no_longer_and_gets_no_more_than_the_bounds(server: ClickHouseServer) -> None:
    asked = {"max_execution_time": "1", "max_result_rows": "0"}
    slow = ask(server, "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))", **asked)
    assert slow.headers["x-clickhouse-exception-code"] == "159"
    assert slow.status_code == 408
    many = ask(server, "SELECT number FROM numbers(10000000)", **asked)
    assert many.headers["x-clickhouse-exception-code"] == "396"
    big = ask(server, "SELECT groupArray(number) FROM numbers(1000000000)", max_memory_usage="0")
    assert big.headers["x-clickhouse-exception-code"] in ("241", "159")
    bounds = "name IN ('readonly', 'max_execution_time', 'max_memory_usage', 'max_result_rows', 'max_result_bytes')"
    values = ask(server, f"SELECT value FROM system.settings WHERE {bounds} ORDER BY name", max_execution_time="999")
    assert values.text == "30\n1073741824\n268435456\n1000000\n1\n"


@pytest.mark.parametrize("name", ["select", "filter", "order", "sort", "implicit_table_at_top_level", "format"])
def test_an_outsiders_settings_that_are_sql_are_ignored(server: ClickHouseServer, name: str) -> None:
    asked = {name: f"file('{server.data_dir.parent / 'secret.csv'}')"}
    assert ask(server, "SELECT 1 AS a", **asked).text == "1\n"


def test_an_outsiders_filters_are_ignored(server: ClickHouseServer) -> None:
    """They are SQL too: one that throws what it reads would tell it."""
    reads = f"throwIf(1, file('{server.data_dir.parent / 'secret.csv'}'))"
    asked = {"additional_result_filter": reads, "additional_table_filters": f"{{'shop.tasks': '{reads!r}'}}"}
    assert ask(server, "SELECT id FROM shop.tasks", **asked).text == "1\n"


@pytest.mark.parametrize(
    ("user", "password"),
    [("phospho", ""), ("phospho", "wrong"), ("default", "wrong"), ("eve", ""), ("", "wrong"), ("phospho", "é")],
)
def test_wrong_credentials_are_refused_and_do_not_fall_back_to_reading(
    server: ClickHouseServer, user: str, password: str
) -> None:
    by_header = ask(server, "SELECT 1", headers={"X-ClickHouse-User": user, "X-ClickHouse-Key": password.encode()})
    by_params = ask(server, "SELECT 1", user=user, password=password)
    by_basic = HTTP.post(server.reader_url, content="SELECT 1", auth=(user, password))
    for answer in (by_header, by_params, by_basic):
        assert answer.status_code == 403
        assert answer.headers["x-clickhouse-exception-code"] == "516"
        assert server.password not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8123"},
        {"Host": "evil.example@127.0.0.1"},
        {"Host": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_in_a_browser_of_this_machine_is_refused(server: ClickHouseServer, headers: dict[str, str]) -> None:
    """DNS rebinding and cross-site requests, even with the right password."""
    for path in ("/", "/ping"):
        answer = HTTP.get(server.url + path, params={"query": "SELECT 1"}, headers=headers)
        assert answer.status_code in (400, 403), answer.text
    assert HTTP.post(server.url, content="SELECT 1", headers=headers).status_code in (400, 403)


def test_what_a_writer_does_by_get_is_refused(server: ClickHouseServer) -> None:
    """A link must not write, whoever follows it."""
    for query in (
        "INSERT INTO shop.tasks VALUES (3, 'x')",
        "DROP TABLE shop.tasks",
        "INSERT INTO shop.tasks FORMAT TSV 3\tx",
    ):
        answer = HTTP.get(server.url, params={"query": query})
        assert answer.headers["x-clickhouse-exception-code"] == "164", answer.text
    assert ask(server, "SELECT count() FROM shop.tasks").text == "1\n"
    session = {"session_id": "by-get"}
    assert HTTP.post(server.url, content="SET max_threads = 1", params=session).status_code == 200
    for query in ("INSERT INTO shop.tasks VALUES (3, 'x')", "DROP TABLE shop.tasks"):
        answer = HTTP.get(server.url, params=session | {"query": query})
        assert answer.headers["x-clickhouse-exception-code"] == "164", answer.text
    assert ask(server, "SELECT count() FROM shop.tasks").text == "1\n"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id, count() FROM shop.tasks GROUP BY id ORDER BY id LIMIT 5",
        "WITH t AS (SELECT * FROM shop.tasks) SELECT t.text FROM t JOIN numbers(3) AS n ON n.number = t.id",
        "SELECT name FROM system.tables WHERE database = 'shop'",
        "SELECT * FROM view(SELECT 1 AS a)",
        "SHOW TABLES FROM shop",
        "SHOW SETTINGS LIKE 'max_threads'",
        "SELECT name FROM system.settings LIMIT 1",
        "SHOW CREATE TABLE shop.tasks",
        "DESCRIBE TABLE shop.tasks",
        "EXISTS TABLE shop.tasks",
        "EXPLAIN SELECT * FROM shop.tasks",
        "SELECT 'INTO OUTFILE', 'DROP TABLE x; SELECT 1' -- file('x')",
        "SELECT text AS format FROM shop.tasks ORDER BY format ASC;",
        "SELECT arrayMap(x -> x + 1, [1, 2]), toStartOfInterval(now(), INTERVAL 1 MINUTE)",
        "SELECT quantiles(0.5, 0.9)(id), argMax(text, id) FROM shop.tasks FORMAT JSON",
        "SELECT lagInFrame(id) OVER (ORDER BY id) FROM shop.tasks",
    ],
)
def test_an_outsider_reads_tables(server: ClickHouseServer, sql: str) -> None:
    answer = ask(server, sql)
    assert answer.status_code == 200, answer.text
    assert answer.text


def test_nobody_writes_without_a_password_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from phospho_store.embedded.http import ClickHouseHttpSettings

    with pytest.raises(ValueError, match="must not be empty"):
        ClickHouseHttpSettings(write_password="")
    assert ClickHouseHttpSettings().write_password is None
    assert "secret" not in repr(ClickHouseHttpSettings(write_password="secret"))
