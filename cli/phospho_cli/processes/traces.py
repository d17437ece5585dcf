"""OpenTelemetry traces of a process: from a request to the gateway, over the topics, to the insert of the sink."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import click
from pydantic import Field
from starlette.types import ASGIApp, Receive, Scope, Send

from phospho_schemas.settings import setting

_MISSING = "PHOSPHO_TRACES_ENDPOINT needs the extra `traces`: pip install 'phospho-pipeline[traces]'"


@dataclass(frozen=True)
class TraceSettings:
    """OpenTelemetry traces of the pipeline."""

    endpoint: str = setting(
        "",
        "OTLP/HTTP endpoint for traces of the pipeline, such as http://collector:4318/v1/traces; empty for none.",
        variable="PHOSPHO_TRACES_ENDPOINT",
    )
    sampled_share: Annotated[float, Field(ge=0, le=1)] = setting(
        0.01, "Share of the gateway's requests that are traced.", variable="PHOSPHO_TRACES_SAMPLED_SHARE"
    )


@contextmanager
def open_traces(settings: TraceSettings, process: str) -> Iterator[None]:
    """Export the spans of this process until the end, where those that are left are sent within seconds."""
    if not settings.endpoint:
        yield
        return
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON
    except ImportError:
        raise click.ClickException(_MISSING) from None
    provider = TracerProvider(
        resource=Resource.create({"service.name": f"phospho-{process}"}),
        # `traced` chooses the requests, and a worker makes spans of sampled records only.
        sampler=ALWAYS_ON,
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(settings.endpoint)))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()


def traced(app: ASGIApp, settings: TraceSettings) -> ASGIApp:
    """Return the app with a span for a share of the requests, whatever the trace of the caller says or is called."""
    if not settings.endpoint:
        return app
    try:
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    except ImportError:
        raise click.ClickException(_MISSING) from None
    with_span: ASGIApp = OpenTelemetryMiddleware(app, exclude_spans=["receive", "send"])

    async def sampled(scope: Scope, receive: Receive, send: Send) -> None:
        is_sampled = random.random() < settings.sampled_share
        await (with_span if is_sampled else app)(scope, receive, send)

    return sampled
