"""Settings of the gateway. Each field of `GatewaySettings` is a variable PHOSPHO_GATEWAY_<FIELD>."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple

from pydantic import AfterValidator

from phospho_schemas.kafka import KafkaSettings
from phospho_schemas.settings import setting

_MB = 1_000_000
_RATE = re.compile(r"([1-9]\d{0,8})/(second|minute|hour|day)")
_ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^/*\s]+")
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


class Rate(NamedTuple):
    """A number of requests in a number of seconds."""

    requests: int
    window_s: int


def parsed_rate(text: str) -> Rate | None:
    """Return the rate of a text such as `100/second`; None for an empty one. Raises ValueError."""
    if not text:
        return None
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no rate")
    return Rate(int(match[1]), _SECONDS[match[2]])


def _checked_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Return origins as browsers write them: in lower case, without a slash at the end."""
    normal = tuple(origin.lower().rstrip("/") for origin in origins)
    for origin in normal:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"write an origin such as https://app.example.com, without a path, or *; not {origin}")
    return normal


def _checked_rate(text: str) -> str:
    try:
        parsed_rate(text)
    except ValueError:
        raise ValueError("write a rate such as 100/second or 6000/minute") from None
    return text


@dataclass(frozen=True)
class GatewaySettings:
    """Limits and switches of the gateway."""

    variable_prefix: ClassVar[str] = "PHOSPHO_GATEWAY_"

    max_body_bytes: int = setting(10 * _MB, "Largest body, as sent and as inflated; above it: 413.")
    max_large_body_bytes: int = setting(
        64 * _MB,
        "Largest body of POST /api/v1/events and /batch. What is beyond PHOSPHO_GATEWAY_MAX_BODY_BYTES must be in long"
        " texts.",
    )
    max_events: int = setting(10_000, "Most events in one batch; above it: 413.")
    max_spans: int = setting(10_000, "Most spans in one OTLP export; above it: 413.")
    max_in_flight_bytes: int = setting(256 * _MB, "Bodies held by all open requests together; above it: 503.")
    body_timeout_s: float = setting(
        30.0, "Time for a body to arrive as a whole, or it is a 408, and for a large one to wait for others, or a 503."
    )
    publish_timeout_s: float = setting(40.0, "Time for the publisher to confirm; above it: 503.")
    lookup_timeout_s: float = setting(5.0, "Time to look up a key that is not cached; above it: 503.")
    refresh_timeout_s: float = setting(1.0, "Time to refresh a cached key; above it, the cached one stays valid.")
    max_lookups: int = setting(64, "Keys looked up at the same time; above it: 503.")
    read_threads: int = setting(4, "Queries of the legacy API that run at the same time.")
    max_waiting_reads: int = setting(32, "Queries of the legacy API that wait for a thread; above it: 503.")
    read_timeout_s: float = setting(30.0, "Time for ClickHouse to answer such a query; above it: 503.")
    max_page_bytes: int = setting(32 * _MB, "Text in one page of the legacy API; the rest is behind its cursor.")
    readiness_timeout_s: float = setting(3.0, "Time for each check of /readyz.")
    retry_after_s: int = setting(2, "Retry-After of a 503.")
    rate_limit: Annotated[str, AfterValidator(_checked_rate)] = setting(
        "", "Requests of one key in one process, such as 100/second; above it: 429."
    )
    cors_origins: Annotated[tuple[str, ...], AfterValidator(_checked_origins)] = setting(
        (), "Origins whose pages may call this API, with commas between; `*` for all."
    )
    allow_flag_without_key: bool = setting(
        False, "Take POST /v2/tasks/{id}/flag without a key, as phosphojs sends it; anybody may then flag any task."
    )


@dataclass(frozen=True)
class KafkaPublisherSettings:
    """Settings of the publisher to Kafka."""

    kafka: KafkaSettings = KafkaSettings()
    max_queue_bytes: int = setting(
        64 * _MB, "Messages that wait for the brokers; above it: 503.", variable="PHOSPHO_MAX_QUEUE_BYTES"
    )
