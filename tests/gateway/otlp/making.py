"""Spans for tests, in both encodings of OTLP, and the row that extraction makes of a log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1 import trace_pb2

from phospho_gateway.otlp.encodings.protobuf import export_of
from phospho_gateway.otlp.spans import Span
from phospho_schemas.topics import RAW_LOGS, TASKS
from phospho_workers.extraction.stage import Extraction
from phospho_workers.runtime.records import Record

TRACE = "0af7651916cd43dd8448eb211c80319c"
START_NS = 1_770_000_000_000_000_000
MS = 1_000_000

Attributes = Mapping[str, Any]


def chat(number: int = 1, **fields: Any) -> trace_pb2.Span:
    """Return a span that is a call of a model."""
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini"}
    return span(number, **{"name": "chat", **fields, "attributes": attributes | dict(fields.get("attributes", {}))})


def span(
    number: int = 1,
    *,
    name: str = "work",
    parent: int = 0,
    trace_id: str = TRACE,
    attributes: Attributes | None = None,
    events: Iterable[tuple[str, Attributes]] = (),
    began_ms: int = 0,
    ended_ms: int = 100,
    error: str | None = None,
) -> trace_pb2.Span:
    """Return span `number` of a trace; times are milliseconds after START_NS."""
    made = trace_pb2.Span(
        trace_id=bytes.fromhex(trace_id),
        span_id=number.to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        name=name,
        start_time_unix_nano=START_NS + began_ms * MS,
        end_time_unix_nano=START_NS + ended_ms * MS,
        attributes=pairs(attributes or {}),
        events=[trace_pb2.Span.Event(name=event, attributes=pairs(told)) for event, told in events],
    )
    if error is not None:
        made.status.CopyFrom(trace_pb2.Status(code=trace_pb2.Status.STATUS_CODE_ERROR, message=error))
    return made


def pairs(attributes: Attributes) -> list[KeyValue]:
    return [KeyValue(key=name, value=any_value(value)) for name, value in attributes.items()]


def any_value(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[any_value(item) for item in value]))
    if isinstance(value, dict):
        return AnyValue(kvlist_value=KeyValueList(values=pairs(value)))
    name = {str: "string_value", int: "int_value", float: "double_value", bytes: "bytes_value"}[type(value)]
    return AnyValue(**{name: value})


def request(*spans: trace_pb2.Span, resource: Attributes | None = None, scope: str = "") -> ExportTraceServiceRequest:
    """Return an export of spans of one scope."""
    export = ExportTraceServiceRequest()
    group = export.resource_spans.add()
    group.resource.attributes.extend(pairs(resource or {"service.name": "shop", "service.version": "1.2"}))
    made = group.scope_spans.add()
    made.scope.name = scope
    made.spans.extend(spans)
    return export


def read(*spans: trace_pb2.Span, **fields: Any) -> list[Span]:
    """Return spans as the gateway reads them."""
    export = export_of(request(*spans, **fields).SerializeToString(), 100_000)
    assert not export.rejected
    return export.spans


def json_body(export: ExportTraceServiceRequest) -> dict[str, Any]:
    """Return an export in OTLP's JSON: as protobuf's, with ids in hexadecimal and enums as numbers."""
    document = MessageToDict(export, use_integers_for_enums=True)
    written = [
        s for r in document["resourceSpans"] for scope in r.get("scopeSpans", []) for s in scope.get("spans", [])
    ]
    spans = [s for group in export.resource_spans for scope in group.scope_spans for s in scope.spans]
    for target, source in zip(written, spans, strict=True):
        target["traceId"] = source.trace_id.hex().upper()
        target["spanId"] = source.span_id.hex()
        target["parentSpanId"] = source.parent_span_id.hex()
    return document


def row_of(log: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of `task_rows` that extraction makes of a raw log."""
    value = orjson.dumps({"project_id": "shop", "source": "otlp"} | dict(log))
    output = Extraction()([Record(RAW_LOGS.name, 0, 0, START_NS // MS + 1000, b"", value)])
    assert not output.dead_letters
    (message,) = output.messages[TASKS.name]
    row: dict[str, Any] = orjson.loads(message.value)
    return row
