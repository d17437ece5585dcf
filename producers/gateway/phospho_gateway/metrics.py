"""Every metric of the gateway. Labels come from bounded sets."""

from __future__ import annotations

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# From a cache hit to the publisher's timeout.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
REGISTRY = CollectorRegistry()
_counter, _gauge = partial(Counter, registry=REGISTRY), partial(Gauge, registry=REGISTRY)
_histogram = partial(Histogram, buckets=_SECONDS, registry=REGISTRY)

PROCESS_INFO = _gauge("phospho_process_info", "1 for this process: gateway, or dashboard (and `up`)", ("process",))
REQUESTS = _counter(
    "phospho_gateway_requests_total",
    "HTTP requests answered, by route, method and status",
    ("route", "method", "status"),
)
REQUEST_SECONDS = _histogram(
    "phospho_gateway_request_seconds", "Time from the request's headers to the end of the response", ("route",)
)
BODY_BYTES = _counter(
    "phospho_gateway_body_bytes_total", "Bytes of bodies, as sent (wire) and after inflation (inflated)", ("form",)
)
IN_FLIGHT_BYTES = _gauge("phospho_gateway_in_flight_bytes", "Bytes of bodies held by open requests")
ACCEPTED = _counter(
    "phospho_gateway_messages_accepted_total",
    "Logs and feedback that are durable, by the interface they came through",
    ("source",),
)
REJECTED = _counter(
    "phospho_gateway_messages_rejected_total",
    "Logs and feedback that were refused, by interface and error code",
    ("source", "code"),
)
SPANS = _counter(
    "phospho_gateway_spans_total",
    "Spans received by OTLP, by outcome: task, step, unattached (of no task and no known kind; not stored) or rejected",
    ("outcome",),
)
PUBLISH_SECONDS = _histogram(
    "phospho_gateway_publish_seconds", "Time in which the publisher confirmed the messages of one request"
)
PUBLISH_FAILURES = _counter(
    "phospho_gateway_publish_failures_total",
    "Requests and receipts that the publisher did not take, by error code; a request whose receipt failed succeeds",
    ("code",),
)
UNEXPECTED_ERRORS = _counter(
    "phospho_gateway_unexpected_errors_total", "Requests that ended in an unexpected error (500)"
)
