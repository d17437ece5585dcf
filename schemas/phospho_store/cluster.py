"""
ClickHouse clusters: each table as a replicated table on every shard, and a Distributed table of its own name above it.

Readers and writers name the Distributed tables, so their SQL is that of one server. A row's shard is a hash of the
first two columns of its table's sort key. The sort key is the identity of a row, so all revisions of a row are on one
shard, where FINAL finds them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

LOCAL_ENDING = "_local"

_CREATE_TABLE = re.compile(r"\s*CREATE TABLE IF NOT EXISTS (\w+)\b(.*)\Z", re.DOTALL)
_ENGINE = re.compile(r"\bENGINE = ReplacingMergeTree\b(?:\((\w+)\))?")
_SORT_KEY = re.compile(r"\bORDER BY (?:\(([\w, ]+)\)|(\w+))")
_WINDOW = re.compile(r"\bnon_replicated_deduplication_window = (\d+)")
_ALTER_TABLE = re.compile(r"\s*ALTER TABLE (\w+)\b(.*)\Z", re.DOTALL)
_CREATE_VIEW = re.compile(r"\s*CREATE OR REPLACE VIEW (\w+) AS\b(.*)\Z", re.DOTALL)
_DELETE = re.compile(r"\s*DELETE FROM (\w+)\b(.*)\Z", re.DOTALL)
_COLUMNS_OF_THE_SHARD = 2
# As long as Kafka keeps what the sink may insert again. The server's default is an hour.
_WINDOW_S = 7 * 24 * 60 * 60

CLUSTER_SETTINGS: Mapping[str, str] = {
    # A subquery of a query over a Distributed table is run once, over all shards.
    "distributed_product_mode": "global",
    # An insert returns when every shard has its rows. Its token goes with it: a repeated insert has the same rows for
    # each shard, so each shard drops what it has.
    "distributed_foreground_insert": "1",
    # INSERT SELECT would otherwise be run by each shard over its own rows, whose results belong to other shards.
    "parallel_distributed_insert_select": "0",
    # The same replica of a shard, while it lives, for what is written and read next.
    "load_balancing": "in_order",
    "prefer_localhost_replica": "0",
    # A missing shard is an error: numbers without its rows would be wrong.
    "skip_unavailable_shards": "0",
    # A delete returns when all replicas have done it. Its subqueries name values that it doesn't change.
    "lightweight_deletes_sync": "2",
    "allow_nondeterministic_mutations": "1",
    "distributed_ddl_output_mode": "throw",
}


@dataclass(frozen=True)
class Cluster:
    """The cluster of a database, by its name in `system.clusters`."""

    name: str

    def statements(self, sql: str) -> tuple[str, ...]:
        """
        Return the statements that do on a cluster what `sql` does on one server.

        Tables, views and columns are made on every server, and rows deleted from the tables of the shards. Any other
        statement, such as INSERT SELECT, stays as it is.
        """
        for pattern, translate in (
            (_CREATE_TABLE, self._create_table),
            (_ALTER_TABLE, self._alter_table),
            (_CREATE_VIEW, self._create_view),
            (_DELETE, self._delete),
        ):
            match = pattern.match(sql)
            if match:
                return translate(match[1], match[2])
        return (sql,)

    @property
    def parts(self) -> str:
        """The parts of every server's tables, by the tables' names in queries."""
        table = f"replaceRegexpOne(table, '{LOCAL_ENDING}$', '') AS table"
        return f"(SELECT database, {table}, name, active FROM clusterAllReplicas('{self.name}', system.parts))"

    @property
    def _on(self) -> str:
        return f"ON CLUSTER '{self.name}'"

    def _create_table(self, table: str, rest: str) -> tuple[str, ...]:
        sort_key = _SORT_KEY.search(rest)
        if sort_key is None or not _ENGINE.search(rest):
            raise ValueError(
                f"{table} is no ReplacingMergeTree with a sort key of columns: it has no form on a cluster"
            )
        columns = [column.strip() for column in (sort_key[1] or sort_key[2]).split(",")]
        local = table + LOCAL_ENDING
        # The path doesn't hang on a UUID: a server that is added later finds the replicas of its shard.
        path = f"'/clickhouse/tables/{{shard}}/{{database}}/{local}', '{{replica}}'"
        rest = _ENGINE.sub(
            lambda match: f"ENGINE = ReplicatedReplacingMergeTree({', '.join(filter(None, (path, match[1])))})", rest
        )
        windows = rf"replicated_deduplication_window = \1, replicated_deduplication_window_seconds = {_WINDOW_S}"
        rest = _WINDOW.sub(windows, rest)
        shard_columns = ", ".join(columns[:_COLUMNS_OF_THE_SHARD])
        return (
            f"CREATE TABLE IF NOT EXISTS {local} {self._on}{rest}",
            f"CREATE TABLE IF NOT EXISTS {table} {self._on} AS {local}"
            f" ENGINE = Distributed('{self.name}', currentDatabase(), '{local}', sipHash64({shard_columns}))",
        )

    def _alter_table(self, table: str, rest: str) -> tuple[str, ...]:
        """Return the shards' statement first: a Distributed table must not ask them for a column that they lack."""
        return tuple(f"ALTER TABLE {name} {self._on}{rest}" for name in (table + LOCAL_ENDING, table))

    def _create_view(self, view: str, rest: str) -> tuple[str, ...]:
        return (f"CREATE OR REPLACE VIEW {view} {self._on} AS{rest}",)

    def _delete(self, table: str, rest: str) -> tuple[str, ...]:
        return (f"DELETE FROM {table}{LOCAL_ENDING} {self._on}{rest}",)
