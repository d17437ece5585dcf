"""The HTTP side of a worker: /healthz, /readyz and /metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from faststream.asgi import AsgiResponse, get
from prometheus_client import make_asgi_app

from phospho_workers.runtime import metrics
from phospho_workers.runtime.progress import Progress

# As long as max.poll.interval.ms: a worker may be waiting for a Kafka or a ClickHouse that restarts.
_STALE_AFTER_S = 300.0
_NOT_READY = (
    "no partition is assigned yet: check that Kafka is up and that its topics exist, or run `phospho topics create`"
)


def health_routes(progress: Progress) -> list[tuple[str, Callable[..., Any]]]:
    """Return the routes for liveness, for readiness (partitions are assigned) and for the metrics."""
    metrics.PROGRESS_AGE_SECONDS.set_function(progress.age_s)

    @get
    async def healthz(scope: Any) -> AsgiResponse:
        is_alive = not progress.failure and progress.age_s() < _STALE_AFTER_S
        body = progress.failure or f"last progress {progress.age_s():.1f} s ago"
        return AsgiResponse(body.encode(), 200 if is_alive else 503)

    @get
    async def readyz(scope: Any) -> AsgiResponse:
        if progress.assigned and not progress.failure:
            return AsgiResponse(f"{len(progress.assigned)} partitions".encode(), 200)
        reason = progress.failure or _NOT_READY
        return AsgiResponse(reason.encode(), 503)

    return [("/healthz", healthz), ("/readyz", readyz), ("/metrics", make_asgi_app(metrics.REGISTRY))]
