"""`phospho doctor`: one line for each dependency of a deployment, with what is wrong and what to do."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import click
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

from phospho_cli.kafka import open_admin
from phospho_cli.options import settings_options
from phospho_cli.processes.settings import DoctorSettings
from phospho_schemas.kafka import KafkaSettings
from phospho_schemas.topics import TOPICS
from phospho_store.clickhouse import ClickHouseSettings, remote
from phospho_store.errors import StoreError
from phospho_store.migrations import migrations
from phospho_store.store import Store

_TIMEOUT_S = 10.0
_MAX_CLOCK_SKEW_MS = 1_000
_OLDEST_CLICKHOUSE = (26, 2)
_MIN_FREE_SHARE = 0.1


@dataclass(frozen=True)
class Finding:
    """The state of one thing; `advice` says what to do, and is empty where all is well."""

    subject: str
    state: str
    advice: str = ""


@click.command()
@settings_options(DoctorSettings)
def doctor(settings: DoctorSettings) -> None:
    """Check Kafka and ClickHouse: one line each, what is wrong and what to do. Exits with 1 if anything is wrong."""
    # Its warnings would stand between the lines, which say the same.
    logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())
    findings = [*check_kafka(settings.kafka), *check_clickhouse(settings.clickhouse)]
    for finding in findings:
        mark = "wrong" if finding.advice else "ok   "
        click.echo(f"{mark} {finding.subject}: {finding.state}" + (f". {finding.advice}" if finding.advice else ""))
    if any(finding.advice for finding in findings):
        raise click.exceptions.Exit(1)


def check_kafka(settings: KafkaSettings) -> Iterator[Finding]:
    """Yield the findings about the brokers and each topic. Raises BadSetting."""
    admin = open_admin(settings)
    try:
        metadata = admin.list_topics(timeout=_TIMEOUT_S)
    except KafkaException as error:
        advice = "Check PHOSPHO_KAFKA, and PHOSPHO_KAFKA_* for TLS and sign-in"
        yield Finding(f"Kafka at {settings.servers}", f"no answer ({error.args[0].str()})", advice)
        return
    yield Finding(f"Kafka at {settings.servers}", f"{len(metadata.brokers)} broker(s) answer")
    for topic in TOPICS:
        name = settings.topic(topic)
        if name not in metadata.topics or metadata.topics[name].error is not None:
            advice = "Run `phospho topics create`, or allow this user to describe it"
            yield Finding(f"topic {name}", "missing", advice)
            continue
        yield _topic_finding(admin, name, topic.config())


def _topic_finding(admin: AdminClient, name: str, wanted: dict[str, str]) -> Finding:
    [future] = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, name)]).values()
    try:
        entries = future.result(_TIMEOUT_S)
    except KafkaException as error:
        return Finding(
            f"topic {name}", f"its settings can't be read ({error.args[0].name()})", "Allow DESCRIBE_CONFIGS"
        )
    for setting in ("message.timestamp.type", "cleanup.policy"):
        if entries[setting].value != wanted[setting]:
            return Finding(f"topic {name}", f"{setting} is {entries[setting].value}", f"Set it to {wanted[setting]}")
    if int(entries["max.message.bytes"].value) < int(wanted["max.message.bytes"]):
        value = entries["max.message.bytes"].value
        return Finding(f"topic {name}", f"max.message.bytes is {value}", f"Raise it to {wanted['max.message.bytes']}")
    return Finding(f"topic {name}", "its settings are right")


def check_clickhouse(settings: ClickHouseSettings) -> Iterator[Finding]:
    """Yield the findings about the server: its version, clock and disk, and the tables of the database."""
    subject = f"ClickHouse at {settings.address}"
    with closing(remote(settings, size=1)) as store:
        try:
            version = store.rows("SELECT version() AS version")[0]["version"]
        except StoreError as error:
            yield Finding(
                subject, str(error), "Check PHOSPHO_CLICKHOUSE; if the database is missing, run `phospho migrate`"
            )
            return
        is_old = tuple(int(part) for part in version.split(".")[:2]) < _OLDEST_CLICKHOUSE
        yield Finding(subject, f"version {version}", "Upgrade it to 26.2 or newer" if is_old else "")
        checks: tuple[tuple[str, Callable[[Store], Finding]], ...] = (
            ("clock", _clock_finding),
            ("tables", _tables_finding),
            ("disk", _disk_finding),
        )
        for name, check in checks:
            try:
                yield check(store)
            except StoreError as error:
                yield Finding(f"{name} of ClickHouse", str(error)[:200], "Grant what docs/deployment.md lists")


def _clock_finding(store: Store) -> Finding:
    before_ms = time.time() * 1000
    skew_ms = store.now_ms() - (before_ms + time.time() * 1000) / 2
    advice = "Synchronise both by NTP" if abs(skew_ms) > _MAX_CLOCK_SKEW_MS else ""
    return Finding("clock of ClickHouse", f"{skew_ms:+.0f} ms from this machine's", advice)


def _tables_finding(store: Store) -> Finding:
    applied = {row["version"] for row in store.rows("SELECT version FROM schema_migrations FINAL")}
    missing = [migration for migration in migrations() if migration.version not in applied]
    if missing:
        return Finding("tables of ClickHouse", f"{len(missing)} migration(s) are missing", "Run `phospho migrate`")
    return Finding("tables of ClickHouse", f"all {len(applied)} migrations are applied")


def _disk_finding(store: Store) -> Finding:
    query = "SELECT min(unreserved_space / total_space) AS share FROM system.disks WHERE total_space > 0"
    share = float(store.rows(query)[0]["share"])
    advice = "Make room: below it, inserts begin to fail" if share < _MIN_FREE_SHARE else ""
    return Finding("disk of ClickHouse", f"{share:.0%} free", advice)
