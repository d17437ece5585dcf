"""The tracing of the apps: the real SDK and exporter, set up by OTEL_EXPORTER_OTLP_* in the environment."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def provider() -> TracerProvider:
    """Return the tracer provider, set as the global one; it flushes when the process ends."""
    made = TracerProvider(resource=Resource.create({"service.name": "talker", "service.version": "2.1"}))
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(made)
    return made
