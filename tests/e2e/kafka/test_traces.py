"""OpenTelemetry traces of the pipeline, across a real Kafka."""

from __future__ import annotations

import secrets

import httpx
import pytest

from fixtures.providers.span_receiver import ReceivedSpan, SpanReceiver
from fixtures.shapes import OnKafka
from fixtures.waiting import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

STEPS = {
    ("phospho-gateway", "POST /api/v1/events"),
    ("phospho-extraction", "process extraction"),
    ("phospho-detection", "process detection"),
    ("phospho-sink", "process sink"),
}


def test_trace_of_a_request_reaches_from_gateway_to_sink(cluster: OnKafka, spans: SpanReceiver) -> None:
    """The caller's trace goes on: each stage is a child of the span whose messages it read."""
    trace_id, caller = secrets.token_bytes(16), secrets.token_bytes(8)
    project = cluster.of_project("traces")
    headers = {
        "Authorization": f"Bearer {project.api_key}",
        "traceparent": f"00-{trace_id.hex()}-{caller.hex()}-01",
    }
    body = {"input": "Is it traced?", "output": "From end to end."}
    httpx.post(f"{cluster.base_url}/api/v1/events", json=body, headers=headers, timeout=60).raise_for_status()

    def own_spans() -> list[ReceivedSpan]:
        return [span for span in list(spans.spans) if span.trace_id == trace_id]

    wait_until(lambda: {(s.process, s.name) for s in own_spans()} >= STEPS, "spans are missing", progress=own_spans)
    by_id = {span.span_id: span for span in own_spans()}
    for span in by_id.values():
        assert span.process == "phospho-gateway" or span.parent_id in by_id
    [entry] = [span for span in by_id.values() if span.process == "phospho-gateway"]
    assert entry.parent_id == caller
