"""The metrics of the gateway, declared once. Every label is out of a bounded set."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# From a cache hit to the publisher's timeout.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class GatewayMetrics:
    """One set of metrics in a registry of its own, so that two apps in one process don't share counts."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.requests = Counter(
            "phospho_gateway_requests_total",
            "HTTP requests answered, by route, method and status",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "phospho_gateway_request_seconds",
            "time from the request's headers to the end of the answer, in seconds",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.body_bytes = Counter(
            "phospho_gateway_body_bytes_total",
            "bytes of bodies, as sent (wire) and after inflation (inflated)",
            ("form",),
            registry=self.registry,
        )
        self.in_flight_bytes = Gauge(
            "phospho_gateway_in_flight_bytes",
            "bodies held by open requests, in bytes",
            registry=self.registry,
        )
        self.accepted = Counter(
            "phospho_gateway_messages_accepted_total",
            "logs and feedback that are durable, by the interface they came through",
            ("source",),
            registry=self.registry,
        )
        self.rejected = Counter(
            "phospho_gateway_messages_rejected_total",
            "logs and feedback that were refused, by interface and code of the error",
            ("source", "code"),
            registry=self.registry,
        )
        self.spans = Counter(
            "phospho_gateway_spans_total",
            "spans received by OTLP, by what became of them: task, step (of a task in the same export), unattached "
            "(of no task there; not kept) or rejected",
            ("outcome",),
            registry=self.registry,
        )
        self.publish_seconds = Histogram(
            "phospho_gateway_publish_seconds",
            "time in which the publisher confirmed the messages of one request, in seconds",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.publish_failures = Counter(
            "phospho_gateway_publish_failures_total",
            "requests whose messages the publisher did not take, by code of the error",
            ("code",),
            registry=self.registry,
        )
        self.unexpected_errors = Counter(
            "phospho_gateway_unexpected_errors_total",
            "requests that ended in an error nobody foresaw (500)",
            registry=self.registry,
        )
