"""Settings of the workers on Kafka."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from phospho_schemas.kafka import KafkaSettings
from phospho_schemas.settings import setting
from phospho_store.clickhouse import ClickHouseSettings


@dataclass(frozen=True)
class WorkerSettings:
    """Settings of `phospho worker`. Fields without a variable are for tests and benchmarks."""

    kafka: KafkaSettings = KafkaSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    max_batch_records: int = setting(5000, "Most records in one batch.")
    max_batch_bytes: int = setting(32_000_000, "Most bytes in one batch.")
    prefetch_kbytes: int = setting(16_384, "Size of librdkafka's fetch queue.")
    linger_s: float = setting(0.02, "Time for which a batch waits for more records after its first.")
    session_timeout_s: float = setting(10.0, "Time after a crash until another worker is assigned the partitions.")
    instance_id: str | None = setting(
        None,
        "Name of this replica, unique in its consumer group: after a restart it gets its partitions back at once.",
        variable="PHOSPHO_INSTANCE_ID",
    )
    max_dead_letters_in_a_row: Annotated[int, Field(ge=1)] = setting(
        10_000,
        "Stop a partition after this many dead letters in a row: the fault is then more likely the worker's own.",
        variable="PHOSPHO_MAX_DEAD_LETTERS_IN_A_ROW",
    )
    metrics_host: str = setting(
        "127.0.0.1",
        "Address of /healthz, /readyz and /metrics.",
        variable="PHOSPHO_METRICS_HOST",
        option="--metrics-host",
    )
    metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = setting(
        None,
        "Port of /healthz, /readyz and /metrics; by default 9100, or a free one if that is in use.",
        variable="PHOSPHO_METRICS_PORT",
        option="--metrics-port",
    )
