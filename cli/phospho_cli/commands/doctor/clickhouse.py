"""Checks of ClickHouse: sign-in, version, clock, tables, rights, mutations, disk and memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

from clickhouse_connect.driver.binding import quote_identifier

from phospho_cli.commands.doctor.findings import ALL_PROCESSES, Finding, needed_rights
from phospho_store.clickhouse import ClickHouseSettings, remote
from phospho_store.errors import StoreError
from phospho_store.migrations import migrations
from phospho_store.store import Store

_MAX_CLOCK_SKEW_MS = 1_000
_OLDEST_CLICKHOUSE = (26, 2)
_MIN_FREE_SHARE = 0.1
_MIN_FREE_MEMORY_BYTES = 500_000_000
_ANSWER_TIMEOUT_S = 15
_MAX_STATE_CHARACTERS = 200
_UNKNOWN_TABLE = 60
_UNKNOWN_DATABASE = 81
_ACCESS_DENIED = 497
_SIGN_IN_CODES = frozenset({192, 193, 194, 516})
_FREE_MEMORY = """
SELECT toInt64(value) AS bytes FROM system.asynchronous_metrics WHERE metric = 'OSMemoryAvailable'
"""
_STUCK_MUTATIONS = """
SELECT table, latest_fail_reason AS reason FROM system.mutations
WHERE database = currentDatabase() AND NOT is_done AND latest_fail_reason != '' ORDER BY create_time LIMIT 1
"""
_SHARDS = """
SELECT uniqExact(shard_num) AS shards, count() AS replicas, min(internal_replication) AS is_internal
FROM system.clusters WHERE cluster = {cluster:String}
"""


def check_clickhouse(settings: ClickHouseSettings, process: str = ALL_PROCESSES) -> Iterator[Finding]:
    """Yield the findings about the server and the database, and the GRANTs that `process` needs."""
    subject = f"ClickHouse at {settings.address}"
    with closing(remote(settings, size=1, answer_timeout_s=_ANSWER_TIMEOUT_S)) as store:
        try:
            version = store.rows("SELECT version() AS version")[0]["version"]
        except StoreError as error:
            yield Finding(subject, str(error)[:_MAX_STATE_CHARACTERS], _connection_advice(error))
            return
        is_old = tuple(int(part) for part in version.split(".")[:2]) < _OLDEST_CLICKHOUSE
        yield Finding(subject, f"version {version}", "Upgrade it to 26.2 or newer" if is_old else "")
        checks: tuple[tuple[str, Callable[[Store], Finding]], ...] = (
            ("clock of ClickHouse", _clock_finding),
            ("tables of ClickHouse", _tables_finding),
            (f"rights in ClickHouse for {process}", lambda store: rights_finding(store, process)),
            ("mutations of ClickHouse", _mutations_finding),
            ("disk of ClickHouse", _disk_finding),
            ("memory of ClickHouse", _memory_finding),
        )
        if settings.cluster:
            checks = (
                *checks,
                ("profile of ClickHouse", lambda _: _profile_finding(settings)),
                (f"cluster {settings.cluster} of ClickHouse", _cluster_finding),
            )
        for subject, check in checks:
            try:
                yield check(store)
            except StoreError as error:
                yield _unchecked(subject, error)


def _connection_advice(error: StoreError) -> str:
    code = getattr(error, "code", 0)
    if code in _SIGN_IN_CODES:
        return "Correct the user and the password in PHOSPHO_CLICKHOUSE"
    if code == _UNKNOWN_DATABASE:
        return "Correct the database in PHOSPHO_CLICKHOUSE, or run `phospho migrate`"
    if code == _ACCESS_DENIED:
        return "GRANT this user what docs/deployment.md lists"
    return "Check host and port in PHOSPHO_CLICKHOUSE, TLS in PHOSPHO_CLICKHOUSE_*, and whether the server runs"


def _unchecked(subject: str, error: StoreError) -> Finding:
    """Return why a check failed. System tables beyond the documented grants are no fault of the deployment."""
    if getattr(error, "code", 0) == _ACCESS_DENIED:
        return Finding(subject, "not checked: this user may not; an administrator may")
    return Finding(subject, str(error)[:_MAX_STATE_CHARACTERS], "Read ClickHouse's log")


def _clock_finding(store: Store) -> Finding:
    before_ms = time.time() * 1000
    skew_ms = store.now_ms() - (before_ms + time.time() * 1000) / 2
    advice = "Synchronise both by NTP" if abs(skew_ms) > _MAX_CLOCK_SKEW_MS else ""
    return Finding("clock of ClickHouse", f"{skew_ms:+.0f} ms from this machine's", advice)


def _tables_finding(store: Store) -> Finding:
    subject = "tables of ClickHouse"
    try:
        applied = {row["version"] for row in store.rows("SELECT version FROM schema_migrations FINAL")}
    except StoreError as error:
        if getattr(error, "code", 0) != _UNKNOWN_TABLE:
            raise
        return Finding(subject, "none", "Run `phospho migrate`")
    missing = [migration for migration in migrations() if migration.version not in applied]
    if missing:
        return Finding(subject, f"{len(missing)} migration(s) are missing", "Run `phospho migrate`")
    newer = applied - {migration.version for migration in migrations()}
    if newer:
        return Finding(subject, f"migration {max(newer)} is newer than this version", "Upgrade this process")
    return Finding(subject, f"all {len(applied)} migrations are applied")


def rights_finding(store: Store, process: str) -> Finding:
    """Ask ClickHouse, by CHECK GRANT, for each right that the process needs."""
    rights = needed_rights(process)
    database = quote_identifier(store.database)
    grants = [f"{grant} ON {database}.*" for grant in rights.grants]
    grants += [f"SELECT ON system.{table}" for table in rights.system_tables]
    missing = [grant for grant in grants if not _is_granted(store, grant)]
    subject = f"rights in ClickHouse for {process}"
    if missing:
        other = ", or name the process of this user by --process" if process == ALL_PROCESSES else ""
        return Finding(subject, f"missing: {', '.join(missing)}", f"GRANT them to this user{other}")
    return Finding(subject, f"all {len(grants)} grants that it needs" if grants else "it needs none")


def _is_granted(store: Store, grant: str) -> bool:
    return store.raw(f"CHECK GRANT {grant}", None).strip() == b"1"


def _mutations_finding(store: Store) -> Finding:
    stuck = store.rows(_STUCK_MUTATIONS)
    if stuck:
        state = f"one of {stuck[0]['table']} fails: {stuck[0]['reason'][:_MAX_STATE_CHARACTERS]}"
        return Finding("mutations of ClickHouse", state, "Remove the cause, or KILL MUTATION: deletions wait for it")
    return Finding("mutations of ClickHouse", "none fails")


def _disk_finding(store: Store) -> Finding:
    query = "SELECT min(unreserved_space / total_space) AS share FROM system.disks WHERE total_space > 0"
    share = float(store.rows(query)[0]["share"])
    advice = "Make room: below it, inserts begin to fail" if share < _MIN_FREE_SHARE else ""
    return Finding("disk of ClickHouse", f"{share:.0%} free", advice)


def _memory_finding(store: Store) -> Finding:
    subject = "memory of ClickHouse"
    try:
        rows = store.rows(_FREE_MEMORY)
    except StoreError as error:
        if getattr(error, "code", 0) != _UNKNOWN_TABLE:
            raise
        rows = []
    if not rows:
        return Finding(subject, "not checked: this server has no such metric")
    free_bytes = int(rows[0]["bytes"])
    advice = "Give the server more memory, or let less run beside it" if free_bytes < _MIN_FREE_MEMORY_BYTES else ""
    return Finding(subject, f"{free_bytes / 1e6:,.0f} MB free", advice)


def _profile_finding(settings: ClickHouseSettings) -> Finding:
    """Read a setting of the profile over a connection without our own settings, as Grafana and mutations have none."""
    query = "SELECT value FROM system.settings WHERE name = 'distributed_product_mode'"
    with closing(remote(replace(settings, cluster=""), size=1, answer_timeout_s=_ANSWER_TIMEOUT_S)) as store:
        mode = store.rows(query)[0]["value"]
    advice = "" if mode == "global" else "Set it to global in the default profile of every server: docs/deployment.md"
    return Finding("profile of ClickHouse", f"distributed_product_mode is {mode} on this server", advice)


def _cluster_finding(store: Store) -> Finding:
    """Return the shards of the cluster; it must leave replication to the tables, or each insert is stored twice."""
    name = store.cluster.name if store.cluster else ""
    subject = f"cluster {name} of ClickHouse"
    [row] = store.rows(_SHARDS, {"cluster": name})
    if not row["shards"]:
        return Finding(subject, "not in system.clusters", "Correct PHOSPHO_CLICKHOUSE_CLUSTER, or define the cluster")
    state = f"{row['shards']} shard(s), {row['replicas']} replica(s)"
    advice = "" if row["is_internal"] else "Set internal_replication to true on each of its shards"
    return Finding(subject, state, advice)
