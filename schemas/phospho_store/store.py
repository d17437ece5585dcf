"""A pool of ClickHouse connections that serves any thread: embedded (chDB) or over HTTP, with one interface."""

from __future__ import annotations

import queue
import re
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from io import RawIOBase
from pathlib import Path
from typing import Any, TypeVar, cast

import clickhouse_connect
import orjson
from clickhouse_connect.driver.binding import format_str, quote_identifier
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError
from clickhouse_connect.driver.exceptions import StreamFailureError as StreamFailure
from pydantic import BaseModel

from phospho_store.cluster import Cluster
from phospho_store.errors import StatementRefused, StoreUnavailable

DATABASE = "phospho"
DEFAULT_POOL_SIZE = 8
_WAIT_FOR_CONNECTION_S = 30.0
_CHUNK_BYTES = 65_536

# Codes after which the same statement may succeed. The list is that of clickhouse-kafka-connect (util/Utils.java),
# plus 210 (NETWORK_ERROR), 236 (ABORTED, a server that stops) and 394 (QUERY_WAS_CANCELLED).
_RETRIABLE_CODES = frozenset(
    {3, 107, 159, 164, 202, 203, 209, 210, 236, 241, 242, 243, 252, 285, 319, 394, 425, 473, 497, 516, 999}
)
_UNKNOWN_DATABASE = 81
_INCORRECT_DATA = 117
_TOO_MANY_ROWS_OR_BYTES = 396
_ACCESS_DENIED = 497

INSERT_SETTINGS: Mapping[str, str] = {
    # On by default since 26.2; it would make the batches, and so the tokens, the server's.
    "async_insert": "0",
    "wait_end_of_query": "1",
    "insert_deduplicate": "1",
    "deduplicate_blocks_in_dependent_materialized_views": "1",
    "input_format_skip_unknown_fields": "1",
    "input_format_import_nested_json": "0",
    "date_time_input_format": "best_effort",
    # Metadata is anybody's: two keys that are one path ("a.b" beside "a": {"b"}) keep the first value rather than
    # cost the row, and text that looks like a time stays the text that was logged.
    "type_json_skip_duplicated_paths": "1",
    "input_format_try_infer_dates": "0",
    "input_format_try_infer_datetimes": "0",
    # One block an insert: a token covers all of it or nothing.
    "max_insert_block_size": "1048576",
    "input_format_parallel_parsing": "0",
}
# An embedded insert of a row costs 12.8 instead of 19.8 ms of user CPU in three tables where its rows stand in the
# statement, and one thread does all; with a file, that of some MB costs half of what it does in the statement.
_INLINE_BYTES = 65_536
_INLINE_SETTINGS = {
    **{name: value for name, value in INSERT_SETTINGS.items() if name != "wait_end_of_query"},
    "max_threads": "1",
}

# A string column takes any bytes: bytes that aren't UTF-8 are read as U+FFFD.
_AS_JSON_LINES = (
    "FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 0, output_format_json_validate_utf8 = 1"
)

M = TypeVar("M", bound=BaseModel)


class Store:
    """
    Up to `size` connections, made when first needed; each serves one statement at a time.

    Blocking: call it from a thread, never from an event loop. Every method raises StoreUnavailable or
    StatementRefused, and nothing else.
    """

    def __init__(
        self,
        connect: Callable[[str | None], Client],
        size: int = DEFAULT_POOL_SIZE,
        database: str | None = DATABASE,
        cluster: Cluster | None = None,
        *,
        is_exclusive: bool = False,
        inline_bytes: int = 0,
    ) -> None:
        """
        `connect` returns a connection that uses a database; None is the user's own.

        `is_exclusive` says that nothing else writes there than this store and its siblings. Inserts of up to
        `inline_bytes` are statements that hold their rows.
        """
        self.database = database or ""
        self.is_exclusive = is_exclusive
        self._inline_bytes = inline_bytes
        self.cluster = cluster
        self._connect = connect
        self._siblings: list[Store] = []
        self._writes = _Writes()
        self._idle: queue.LifoQueue[Client | None] = queue.LifoQueue()
        for _ in range(size):
            self._idle.put(None)

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return the rows of a query as dictionaries of JSON values; 64-bit integers come as integers."""
        # Settings beside the statement would cost the embedded engine five more statements, to set and reset them.
        lines = self.raw(f"{sql}\n{_AS_JSON_LINES}", None, parameters)
        return [orjson.loads(line) for line in lines.splitlines()]

    def now_ms(self) -> int:
        """Return ClickHouse's clock, which stamps what arrives: milliseconds."""
        return int(self.rows("SELECT toUnixTimestamp64Milli(now64(3, 'UTC')) AS now_ms")[0]["now_ms"])

    def raw(
        self,
        sql: str,
        fmt: str | None,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> bytes:
        """Return the result of a query in one of ClickHouse's formats."""
        with self._connection() as client:
            return client.raw_query(sql, parameters=dict(parameters or {}), settings=dict(settings or {}), fmt=fmt)

    def raw_within(self, max_bytes: int, sql: str, fmt: str, settings: Mapping[str, str]) -> bytes:
        """
        Return the result of a query as `raw` does; StatementRefused, code 396, where it has more than `max_bytes`.

        A server's answer is read up to the bound. The embedded engine makes all of it first, within the statement's
        `max_memory_usage`, which counts its output too.
        """
        content = bytearray()
        with self._connection() as client:
            # So that a statement which fails after its first rows fails as a whole.
            whole = {**settings, "wait_end_of_query": "1"}
            with closing(cast(RawIOBase, client.raw_stream(sql, settings=whole, fmt=fmt))) as source:
                while chunk := source.read(_CHUNK_BYTES):
                    content += chunk
                    if len(content) > max_bytes:
                        raise StatementRefused(f"the result has more than {max_bytes} bytes", _TOO_MANY_ROWS_OR_BYTES)
        return bytes(content)

    def stream(self, sql: str, fmt: str, parameters: Mapping[str, Any] | None = None) -> Generator[bytes, None, None]:
        """
        Yield the result of a query in chunks of about 64 KB, as it comes. Settings stand in the SQL.

        A connection is busy until the last chunk, or until the iterator is closed. The embedded engine streams CSV and
        JSONEachRow; what needs all rows at its end, such as Parquet, it makes as a whole.
        """
        with self._connection() as client:
            source = cast(RawIOBase, client.raw_stream(sql, parameters=dict(parameters or {}), fmt=fmt))
            with closing(source):
                while chunk := source.read(_CHUNK_BYTES):
                    yield chunk

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run one statement that returns nothing, such as DDL. On a cluster, DDL and deletes reach every server."""
        with self._writes.counted(), self._connection() as client:
            for statement in self.cluster.statements(sql) if self.cluster else (sql,):
                client.command(statement, parameters=dict(parameters or {}))

    def insert(self, table: str, lines: bytes, token: str = "") -> None:
        """
        Insert JSON lines into `table`, all or nothing; when it returns, they are stored.

        An insert whose `token` is among the last 10,000 of the table does nothing: the token must be a function of
        the lines.
        """
        token_setting = {"insert_deduplication_token": token} if token else {}
        inline = _inline_insert(table, lines, token_setting) if 0 < len(lines) <= self._inline_bytes else None
        with self._writes.counted(table), self._connection() as client:
            if inline is not None:
                client.raw_query(inline)
            else:
                settings = {**INSERT_SETTINGS, **token_setting}
                client.raw_insert(table, insert_block=lines, fmt="JSONEachRow", settings=settings)

    @property
    def parts(self) -> str:
        """The source of a query for the parts of every table, on every server: `system.parts` or its like."""
        return self.cluster.parts if self.cluster else "system.parts"

    def writes(self, tables: Iterable[str] | None = None) -> int:
        """
        Return a number that has risen once a statement of this store may have changed one of these tables, or any.

        Siblings share it. It knows nothing of other processes.
        """
        return self._writes.of(tables)

    def create_database(self) -> None:
        """Create the store's database where it is missing. Raises StatementRefused where the user may not."""
        try:
            self.rows("SELECT 1 AS answer")
            return
        except StatementRefused as error:
            if error.code != _UNKNOWN_DATABASE:
                raise
        statement = f"CREATE DATABASE IF NOT EXISTS {quote_identifier(self.database)}"
        statement += f" ON CLUSTER '{self.cluster.name}'" if self.cluster else ""
        with closing(Store(self._connect, 1, None)) as without_database:
            try:
                without_database.command(statement)
            except StoreUnavailable as error:
                if error.code != _ACCESS_DENIED:
                    raise
                raise StatementRefused(
                    f"the database {self.database!r} is missing and this user may not create it. Let an administrator"
                    f" run `{statement}`",
                    _ACCESS_DENIED,
                ) from error

    def sibling(self, size: int) -> Store:
        """Return a store of the same server with `size` connections of its own, which closes with this one."""
        sibling = Store(
            self._connect,
            size,
            self.database,
            self.cluster,
            is_exclusive=self.is_exclusive,
            inline_bytes=self._inline_bytes,
        )
        sibling._writes = self._writes
        self._siblings.append(sibling)
        return sibling

    def close(self) -> None:
        """Close the idle connections, those of siblings too."""
        for sibling in self._siblings:
            sibling.close()
        while not self._idle.empty():
            client = self._idle.get_nowait()
            if client is not None:
                client.close()

    @contextmanager
    def _connection(self) -> Iterator[Client]:
        try:
            client = self._idle.get(timeout=_WAIT_FOR_CONNECTION_S)
        except queue.Empty:
            raise StoreUnavailable("every connection to ClickHouse is busy") from None
        try:
            client = client or self._connect(self.database or None)
            yield client
        except ClickHouseError as error:
            client = _discarded(client, error)
            raise _translated(error) from error
        except OSError as error:
            raise StoreUnavailable(f"ClickHouse can't be reached: {error}") from error
        finally:
            self._idle.put(client)


class _Writes:
    """Numbers of inserts by table, and of other statements, each counted once it has ended. Thread-safe."""

    def __init__(self) -> None:
        self._inserts: Counter[str] = Counter()
        self._statements = 0
        self._lock = threading.Lock()

    @contextmanager
    def counted(self, table: str = "") -> Iterator[None]:
        try:
            yield
        finally:
            with self._lock:
                self._inserts[table] += bool(table)
                self._statements += not table

    def of(self, tables: Iterable[str] | None) -> int:
        with self._lock:
            inserts = self._inserts.total() if tables is None else sum(self._inserts[table] for table in tables)
            return self._statements + inserts


# ClickHouse counts its memory, and each insert leaves some 2.4 kB in the count for ever: after weeks the count would
# reach the limit, and every statement be refused. With this setting the count follows what the process really uses.
_ENGINE_SETTINGS = "memory_worker_correct_memory_tracker=1"


def embedded(path: str, backups: Path | None = None) -> Store:
    """
    Return the store inside this process, with its data in the directory `path`; one process at a time.

    It may write backups into the directory `backups`, and restore those in it.
    """
    url = f"{path}?{_ENGINE_SETTINGS}" + ("" if backups is None else f"&backups.allowed_path={backups}")

    def connect(_: str | None) -> Client:
        client = clickhouse_connect.get_client(interface="chdb", path=url, database="default")
        client.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
        client.database = DATABASE
        return client

    return Store(connect, is_exclusive=True, inline_bytes=_INLINE_BYTES)


def _inline_insert(table: str, lines: bytes, settings: Mapping[str, str]) -> str | None:
    """Return an INSERT that holds its rows; None where they aren't UTF-8, which a statement has to be."""
    try:
        rows = lines.decode()
    except UnicodeDecodeError:
        return None
    clause = ", ".join(f"{name} = {format_str(value)}" for name, value in {**_INLINE_SETTINGS, **settings}.items())
    return f"INSERT INTO {table} SETTINGS {clause} FORMAT JSONEachRow\n{rows}"


def _discarded(client: Client | None, error: ClickHouseError) -> Client | None:
    """
    Drop a connection whose state is not known after `error`; keep one that was told no.

    To close the last handle of chDB closes the engine, and each time that it opens again it leaks its five background
    threads and 2.6 MB.
    """
    if isinstance(error, DatabaseError) and (getattr(error, "code", None) or _quotes_other_bytes(error)):
        return client
    if client is not None:
        client.close()
    return None


def _translated(error: ClickHouseError) -> StoreUnavailable | StatementRefused:
    code = getattr(error, "code", None)
    if _quotes_other_bytes(error):
        return StatementRefused(f"a value is not UTF-8: {error}", _INCORRECT_DATA)
    if code is None or code in _RETRIABLE_CODES or isinstance(error, StreamFailure):
        return StoreUnavailable(_unanswered(str(error)) or str(error), code or 0)
    return StatementRefused(str(error), code)


def _quotes_other_bytes(error: ClickHouseError) -> bool:
    """Return True where chDB quotes the row that it refuses, and its binding can't decode the quotation."""
    return isinstance(error.__cause__, UnicodeDecodeError)


def _unanswered(text: str) -> str:
    """Return one sentence for urllib3's account of a connection that failed, empty for another error."""
    server = re.search(r"HTTPS?ConnectionPool\(host='([^']+)', port=(\d+)\)", text)
    if server is None:
        return ""
    reasons = re.findall(r"(?:\[(?:Errno -?\d+|SSL: \w+)\] |: )([\w ]{5,60})(?:[\"')]|: )", text)
    return f"ClickHouse does not answer at {server[1]}:{server[2]}" + (f" ({reasons[-1]})" if reasons else "")


def json_lines(rows: Iterable[BaseModel]) -> bytes:
    """Return the rows as JSON lines; what is no Unicode becomes a question mark."""
    return b"\n".join(row.model_dump_json().encode("utf-8", "replace") for row in rows)


def parsed_rows(model: type[M], rows: Iterable[dict[str, Any]]) -> list[M]:
    """Return rows of ClickHouse as messages of `model`."""
    return [model.model_validate(_with_zones(row)) for row in rows]


def _with_zones(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with the zone of its times, which ClickHouse leaves out; it is UTC in all of our tables."""
    return {
        name: f"{value}Z" if name.endswith("_at") and isinstance(value, str) else value for name, value in row.items()
    }
