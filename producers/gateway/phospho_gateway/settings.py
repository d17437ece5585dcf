"""Every setting of the gateway, with its default and its meaning. Nothing here reads the environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

_T = TypeVar("_T")
_MB = 1_000_000


def _setting(default: _T, help_text: str) -> _T:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True)
class GatewaySettings:
    """Bounds and switches of the HTTP side."""

    max_body_bytes: int = _setting(10 * _MB, "largest body, both as sent and after inflation; above it: 413")
    max_events: int = _setting(10_000, "most events in one batch; above it: 413")
    max_spans: int = _setting(10_000, "most spans in one OTLP export; above it: 413")
    max_in_flight_bytes: int = _setting(256 * _MB, "bodies held by all open requests together; above it: 503")
    body_timeout_s: float = _setting(30.0, "time in which a body has to arrive as a whole; above it: 408")
    publish_timeout_s: float = _setting(40.0, "time in which the publisher has to confirm; above it: 503")
    lookup_timeout_s: float = _setting(5.0, "time in which a key that is not cached is looked up; above it: 503")
    refresh_timeout_s: float = _setting(1.0, "time to look up a key that was good before; above it: it stays good")
    max_lookups: int = _setting(64, "keys that are looked up at the same time; above it: 503")
    read_threads: int = _setting(4, "questions of the legacy API to ClickHouse at the same time")
    max_waiting_reads: int = _setting(32, "questions that wait for one of these; above it: 503")
    read_timeout_s: float = _setting(30.0, "time in which ClickHouse has to answer one; above it: 503")
    max_page_bytes: int = _setting(32 * _MB, "texts of one page of the legacy API; the rest is behind its cursor")
    readiness_timeout_s: float = _setting(3.0, "time for each check of /readyz")
    retry_after_s: int = _setting(2, "Retry-After of a 503, in seconds")
    rate_limit: str = _setting("", "requests of one key in one process, such as 100/second; above it: 429")
    cors_origins: tuple[str, ...] = _setting((), "origins whose pages may call this API, with commas between")
    allow_flag_without_key: bool = _setting(
        False,
        "take POST /v2/tasks/{id}/flag without a key, as phosphojs sends it; anybody may then flag any task",
    )


@dataclass(frozen=True)
class KafkaPublisherSettings:
    """How the gateway writes to Kafka."""

    bootstrap_servers: str = _setting("127.0.0.1:9092", "brokers, as host:port with commas between")
    linger_ms: int = _setting(10, "how long a message waits for others, to travel in one request")
    max_queue_bytes: int = _setting(64 * _MB, "messages that wait for the brokers; above it: 503")
    delivery_timeout_ms: int = _setting(30_000, "time in which the brokers have to confirm a message; above it: 503")
    compression: str = _setting("lz4", "none, gzip, snappy, lz4 or zstd")
    check_timeout_s: float = _setting(2.0, "time in which the brokers answer the readiness check")
    retry_after_s: int = _setting(2, "Retry-After of a 503, in seconds")
    extra: tuple[tuple[str, str], ...] = _setting((), "further librdkafka settings, such as those of TLS and SASL")
