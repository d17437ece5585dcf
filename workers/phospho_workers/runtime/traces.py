"""
Spans of batches, by OpenTelemetry. Records carry their trace in the header `traceparent` (W3C Trace Context).

Until a tracer provider is set (`PHOSPHO_TRACES_ENDPOINT`), spans are no-ops and messages get no header.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

from opentelemetry import trace
from opentelemetry.trace import Link, SpanContext, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from phospho_workers.runtime.records import Record

Headers = dict[str, str | bytes | None]

_PROPAGATOR = TraceContextTextMapPropagator()
_HEADER = "traceparent"
# A batch of 10,000 records may be of as many requests.
_MAX_TRACES = 32


@contextmanager
def batch_span(stage: str, records: Sequence[Record]) -> Iterator[None]:
    """Make the span of a batch current: part of the trace of its first sampled record, with links to the others."""
    origins = list(islice(_sampled_traces(records), _MAX_TRACES))
    if not origins:
        yield
        return
    attributes: dict[str, str | int] = {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.destination.name": records[0].topic,
        "messaging.batch.message_count": len(records),
    }
    with trace.get_tracer(__name__).start_as_current_span(
        f"process {stage}",
        trace.set_span_in_context(trace.NonRecordingSpan(origins[0])),
        SpanKind.CONSUMER,
        attributes,
        links=[Link(origin) for origin in origins[1:]],
    ):
        yield


def _sampled_traces(records: Sequence[Record]) -> Iterator[SpanContext]:
    """Yield the different contexts of sampled traces in the headers of records."""
    values = dict.fromkeys(value for record in records for name, value in record.headers if name == _HEADER)
    for value in values:
        context = _PROPAGATOR.extract({_HEADER: value.decode("ascii", "replace")})
        origin = trace.get_current_span(context).get_span_context()
        if origin.trace_flags.sampled:
            yield origin


def trace_headers() -> Headers:
    """Return the headers with which messages carry the current span; none where there is no span."""
    headers: Headers = {}
    _PROPAGATOR.inject(headers)
    return headers
