"""The settings of a worker process, read from the environment once, in its app."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class WorkerSettings:
    """
    What a worker needs to know.

    kafka: bootstrap servers, `host:port,host:port`.
    clickhouse: `http://user:password@host:port/database`.
    max_batch_records, max_batch_bytes: what one batch holds at most.
    prefetch_kbytes: what librdkafka fetches ahead of the batch in hand.
    linger_s: how long a batch that has its first record waits for more.
    session_timeout_s: after a crash, the partitions of a worker go to another after this long.
    instance_id: static membership; with it a restarted worker takes its own partitions at once. Must be unique.
    metrics_port: where the HTTP side listens; None takes 9100, or a free port where that is taken.
    max_unreadable_in_a_row: after so many the worker stops, since the fault is then more likely its own.
    """

    kafka: str
    clickhouse: str = ""
    max_batch_records: int = 5000
    max_batch_bytes: int = 32_000_000
    prefetch_kbytes: int = 16_384
    linger_s: float = 0.02
    session_timeout_s: float = 10.0
    instance_id: str | None = None
    max_unreadable_in_a_row: int = 10_000
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None


def from_environment(environment: Mapping[str, str], **overrides: object) -> WorkerSettings:
    """Return the settings that PHOSPHO_* variables give; `overrides` that are not None come first."""
    values: dict[str, object] = {
        "kafka": environment.get("PHOSPHO_KAFKA", "127.0.0.1:9092"),
        "clickhouse": environment.get("PHOSPHO_CLICKHOUSE", "http://127.0.0.1:8123"),
        "max_unreadable_in_a_row": int(environment.get("PHOSPHO_MAX_UNREADABLE_IN_A_ROW", "10000")),
        "instance_id": environment.get("PHOSPHO_INSTANCE_ID") or None,
        "metrics_host": environment.get("PHOSPHO_METRICS_HOST", "127.0.0.1"),
        "metrics_port": int(environment["PHOSPHO_METRICS_PORT"]) if environment.get("PHOSPHO_METRICS_PORT") else None,
    }
    values.update({name: value for name, value in overrides.items() if value is not None})
    return WorkerSettings(**values)  # type: ignore[arg-type]
