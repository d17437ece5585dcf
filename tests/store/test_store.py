"""Inserts and queries: all or nothing, once a token, and errors that say whose fault it is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from fixtures.clickhouse_server import ClickHouseServer
from phospho_store.clickhouse import remote
from phospho_store.errors import StatementRefused, StoreUnavailable
from phospho_store.migrations import migrate
from phospho_store.store import Store
from phospho_workers.sink.insert import insert_lines
from store.facts import MOMENT, insert, task, view


def ids(store: Store, project_id: str) -> list[str]:
    """Return the task of every row that is stored, superseded rows too."""
    query = "SELECT task_id FROM task_rows WHERE project_id = {p:String} ORDER BY task_id"
    return [row["task_id"] for row in store.rows(query, {"p": project_id})]


def test_an_insert_is_seen_when_it_has_returned(store: Store, project_id: str) -> None:
    insert(store, "task_rows", task(project_id, "a"), task(project_id, "b"))
    assert ids(store, project_id) == ["a", "b"]


def test_the_same_token_again_stores_nothing(store: Store, project_id: str) -> None:
    for _ in range(3):
        insert(store, "task_rows", task(project_id, "a"), token=f"{project_id}:0-0")
    assert ids(store, project_id) == ["a"]


def test_another_token_stores_again(store: Store, project_id: str) -> None:
    for token in ("1", "2"):
        insert(store, "task_rows", task(project_id, "a"), token=project_id + token)
    assert ids(store, project_id) == ["a", "a"]


def test_a_token_is_known_after_a_merge(store: Store, project_id: str) -> None:
    insert(store, "task_rows", task(project_id, "a"), token=f"{project_id}:0-0")
    store.command("OPTIMIZE TABLE task_rows FINAL")
    insert(store, "task_rows", task(project_id, "a"), token=f"{project_id}:0-0")
    assert ids(store, project_id) == ["a"]


def test_one_bad_row_keeps_its_whole_insert_out(store: Store, project_id: str) -> None:
    with pytest.raises(StatementRefused):
        insert(store, "task_rows", task(project_id, "a"), task(project_id, "b", revision="no number"))
    assert ids(store, project_id) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"schema_version": 2},
        {"project_id": ""},
        {"task_id": ""},
        {"session_id": ""},
        {"revision": -1},
        {"tokens_in": "many"},
        {"created_at": "yesterday"},
        {"metadata": [1]},
    ],
)
def test_a_row_that_is_not_as_declared_is_refused(store: Store, project_id: str, fields: dict[str, object]) -> None:
    with pytest.raises(StatementRefused) as refused:
        insert(store, "task_rows", task(project_id, "a") | fields)
    assert refused.value.code


def test_a_field_that_no_column_has_is_no_error(store: Store, project_id: str) -> None:
    insert(store, "task_rows", task(project_id, "a", of_a_newer_writer={"any": ["thing"]}))
    assert ids(store, project_id) == ["a"]


def test_bytes_that_are_not_utf8_are_read_as_replacements(store: Store, project_id: str) -> None:
    line = orjson.dumps(task(project_id, "a", user_id="USER")).replace(b"USER", b"u\xff")
    store.insert("task_rows", line)
    [found] = view(store, "tasks", project_id)
    assert found["user_id"] == "u\ufffd"


def test_metadata_that_is_not_utf8_is_refused_as_that_row(store: Store, project_id: str) -> None:
    """Not taken for a store that is away: that would be tried again for ever."""
    bad = orjson.dumps(task(project_id, "bad", metadata={"key": "VALUE"})).replace(b"VALUE", b"\xff")
    lines = [orjson.dumps(task(project_id, "a")), bad, orjson.dumps(task(project_id, "b"))]
    assert [refused.index for refused in insert_lines(store, "task_rows", lines, project_id)] == [1]
    assert ids(store, project_id) == ["a", "b"]


def test_refused_bytes_that_are_not_utf8_open_no_second_engine(store: Store, project_id: str) -> None:
    """Each engine of chDB that is opened again leaks its background threads."""
    threads = "SELECT value FROM system.metrics WHERE metric = 'MergeTreeBackgroundExecutorThreads'"
    before = store.rows(threads)
    line = orjson.dumps(task(project_id, "bad", metadata={"key": "VALUE"})).replace(b"VALUE", b"\xff")
    for _ in range(3):
        with pytest.raises(StatementRefused):
            store.insert("task_rows", line)
    assert store.rows(threads) == before != []


A, B = (orjson.dumps(task("PROJECT", name, input="QUESTION")) for name in ("a", "b"))


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        A + b"\n",
        A + b";",
        A + b";\n" + B,
        A + b"\r\n" + B,
        A + b",\n" + B,
        b"[" + A + b"," + B + b"]",
        A + b"\n\0\n" + B,
        A + b"\n" + B[:-5],
        A + b"\nSELECT 1",
        A + b"\nSETTINGS max_threads = 2",
        b"-- comment\n" + A,
        b"\xef\xbb\xbf" + A,
        A.replace(b"QUESTION", b"$$ {a:String} %(x)s ' ` /* -- FORMAT CSV"),
        A.replace(b"QUESTION", b"a\0b") + b"\n" + B,
        A.replace(b"QUESTION", b"\xff") + b"\n" + B,
    ],
)
def test_insert_in_a_statement_does_what_one_from_a_file_does(
    store: Store, project_id: str, lines: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = []
    for inline_bytes in (0, 65_536):
        monkeypatch.setattr(store, "_inline_bytes", inline_bytes)
        of_project = f"{project_id}-{inline_bytes}"
        code = 0
        try:
            store.insert("task_rows", lines.replace(b"PROJECT", of_project.encode()))
        except StatementRefused as refused:
            code = refused.code
        query = "SELECT task_id, input FROM task_rows WHERE project_id = {p:String} ORDER BY task_id"
        outcomes.append((code, store.rows(query, {"p": of_project})))
    assert outcomes[0] == outcomes[1]


def test_engine_corrects_its_count_of_memory(store: Store) -> None:
    """Otherwise each insert leaves some in it, until weeks later every statement is refused."""
    [row] = store.rows("SELECT value FROM system.server_settings WHERE name = 'memory_worker_correct_memory_tracker'")
    assert row["value"] == "1"


def test_big_integers_come_back_as_integers(store: Store, project_id: str) -> None:
    insert(store, "task_rows", task(project_id, "a", revision=2**64 - 1))
    query = "SELECT revision FROM task_rows WHERE project_id = {p:String}"
    assert store.rows(query, {"p": project_id}) == [{"revision": 2**64 - 1}]


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT * FROM no_such_table", "SELECT no_such_column FROM tasks"])
def test_a_statement_at_fault_is_refused_with_its_code(store: Store, sql: str) -> None:
    with pytest.raises(StatementRefused) as refused:
        store.rows(sql)
    assert refused.value.code > 0


def test_a_refusal_leaves_the_connection_in_use(store: Store) -> None:
    for _ in range(20):
        with pytest.raises(StatementRefused):
            store.rows("SELECT nothing")
    assert store.rows("SELECT 1 AS one") == [{"one": 1}]


def test_more_threads_than_connections_wait_their_turn(store: Store, project_id: str) -> None:
    with ThreadPoolExecutor(24) as pool:
        rows = [task(project_id, f"{number:02}") for number in range(24)]
        list(pool.map(lambda row: insert(store, "task_rows", row), rows))
    assert ids(store, project_id) == [row["task_id"] for row in rows]


def test_server_that_goes_away_is_unavailable_until_it_is_back(tmp_path: Path) -> None:
    with ClickHouseServer(tmp_path / "clickhouse") as server:
        store = remote(server.url, size=2)
        list(migrate(store))
        insert(store, "task_rows", task("shop", "a"), token="0-0")
        server.kill()
        with pytest.raises(StoreUnavailable):
            insert(store, "task_rows", task("shop", "b"))
        with pytest.raises(StoreUnavailable):
            store.rows("SELECT 1")
        server.start()
        insert(store, "task_rows", task("shop", "a"), token="0-0")
        insert(store, "task_rows", task("shop", "b"))
        assert ids(store, "shop") == ["a", "b"]
        assert view(store, "tasks", "shop", "created_at")[0]["created_at"] == MOMENT[:-1].replace("T", " ")
        store.close()


def test_a_result_comes_in_chunks_and_its_connection_goes_back(clickhouse: ClickHouseServer) -> None:
    query = "SELECT number, repeat('x', 100) AS text FROM numbers(20000)"
    with closing(remote(f"{clickhouse.url}/default", size=1)) as store:
        chunks = list(store.stream(query, "JSONEachRow"))
        left = store.stream(query, "JSONEachRow")
        first = next(left)
        left.close()

        lines = b"".join(chunks).splitlines()
        assert (len(chunks) > 1, len(lines), orjson.loads(lines[-1])["number"]) == (True, 20_000, 19_999)
        assert first == chunks[0]
        assert store.rows("SELECT 1 AS one") == [{"one": 1}]
        with pytest.raises(StatementRefused):
            next(store.stream("SELECT nothing", "CSV"))


def test_the_embedded_engine_streams_too_and_takes_parameters(store: Store) -> None:
    chunks = list(store.stream("SELECT number FROM numbers({n:UInt32})", "CSV", {"n": 50_000}))

    assert b"".join(chunks).count(b"\n") == 50_000
    assert len(chunks) > 1
