"""The exporter of the OpenTelemetry SDK, against a real server: what it sends again, and what it gives up."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway.conftest import AppMaker, Serve
from gateway.recording import RecordingPublisher, RefusingPublisher
from phospho_schemas.topics import Keyed
from phospho_store.registry.registry import NewKey
from phospho_web.problems import Problem


class _RefusingOnce(RecordingPublisher):
    """Refuses the first call, and says when to come again."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self._problems = [Problem(status, "overloaded", "too much", "later", 1)]

    async def publish(self, messages: Sequence[Keyed], receipts: Sequence[Keyed] = ()) -> None:
        if self._problems:
            raise self._problems.pop()
        await super().publish(messages)


@pytest.fixture
def spans() -> Sequence[ReadableSpan]:
    """One finished span that calls a model."""
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    with provider.get_tracer("tests").start_as_current_span("chat") as span:
        span.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.prompt": "Hello"})
    provider.shutdown()
    return kept.get_finished_spans()


def export(spans: Sequence[ReadableSpan], url: str, secret: str) -> SpanExportResult:
    exporter = OTLPSpanExporter(f"{url}/v1/traces", headers={"Authorization": f"Bearer {secret}"}, timeout=20)
    try:
        return exporter.export(spans)
    finally:
        exporter.shutdown()


@pytest.mark.parametrize("status", [429, 503])
def test_an_export_that_is_refused_for_now_is_sent_again_and_stored_once(
    status: int, spans: Sequence[ReadableSpan], make_app: AppMaker, serve: Serve, api_key: NewKey
) -> None:
    publisher = _RefusingOnce(status)

    result = export(spans, serve(make_app(publisher=publisher)), api_key.secret)

    assert result is SpanExportResult.SUCCESS
    assert [log["input"] for log in publisher.documents] == ["Hello"]


def test_an_export_with_a_key_that_is_none_is_given_up(
    spans: Sequence[ReadableSpan], make_app: AppMaker, serve: Serve
) -> None:
    publisher = RefusingPublisher(Problem(503, "never", "asked"))

    assert export(spans, serve(make_app(publisher=publisher)), "ph_wrong") is SpanExportResult.FAILURE
