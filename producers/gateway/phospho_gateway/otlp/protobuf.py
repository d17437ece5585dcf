"""The binary encoding of OTLP: from the bytes of an ExportTraceServiceRequest to spans."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from phospho_gateway.otlp.spans import (
    Attributes,
    BadSpan,
    Export,
    MalformedExport,
    Origin,
    Span,
    SpanEvent,
    TooManySpans,
    checked_id,
)


def export_of(body: bytes, max_spans: int) -> Export:
    """
    Return the spans of a body. Each is decoded by itself: bytes that are none of a span harm that span only.

    Raises MalformedExport and TooManySpans.
    """
    export = Export()
    for origin, encoded_spans in _scopes(body, max_spans):
        for encoded in encoded_spans:
            try:
                export.spans.append(_span(encoded, origin))
            except BadSpan as why:
                export.rejected[str(why)] += 1
    return export


def _scopes(body: bytes, max_spans: int) -> Iterator[tuple[Origin, Iterable[bytes]]]:
    try:
        resources = _Request.FromString(body).resource_spans
        _check_count(resources, max_spans)
        for group in resources:
            attributes = _attributes(Resource.FromString(group.resource).attributes)
            for scope in group.scope_spans:
                yield Origin(attributes, InstrumentationScope.FromString(scope.scope).name), scope.spans
    except DecodeError as error:
        raise MalformedExport("the body is not an ExportTraceServiceRequest in protobuf") from error


def _check_count(resources: Any, max_spans: int) -> None:
    """Refuse too many spans, and too many empty envelopes of them, before any is decoded."""
    count = len(resources)
    for group in resources:
        count += sum(max(len(scope.spans), 1) for scope in group.scope_spans)
        if count > max_spans + len(resources):
            raise TooManySpans
    if len(resources) > max_spans:
        raise TooManySpans


def _span(encoded: bytes, origin: Origin) -> Span:
    try:
        span = trace_pb2.Span.FromString(encoded)
    except DecodeError:
        raise BadSpan("the bytes are not those of a span, or are nested too deep") from None
    return Span(
        checked_id(span.trace_id.hex(), 32, "trace_id"),
        checked_id(span.span_id.hex(), 16, "span_id"),
        span.parent_span_id.hex(),
        span.name,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _attributes(span.attributes),
        [SpanEvent(event.name, _attributes(event.attributes)) for event in span.events],
        span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        span.status.message,
        origin,
    )


def _attributes(pairs: Iterable[KeyValue]) -> Attributes:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    """Return an AnyValue in the types of JSON; its depth is bounded by the decoder, at 100 messages."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return None if kind is None else getattr(value, kind)


def _request_class() -> Any:
    """
    Return the class of an ExportTraceServiceRequest whose resources, scopes and spans are still bytes.

    A message and its bytes have the same wire format, so a field may be read as either. The published class decodes
    all spans at once, and one string of one span that is not UTF-8 would lose the others.
    """
    file = FileDescriptorProto(name="otlp_envelope.proto", package="otlp_envelope", syntax="proto3")
    scope = file.message_type.add(name="ScopeSpans")
    _add_field(scope, "scope", 1)
    _add_field(scope, "spans", 2, is_repeated=True)
    resource = file.message_type.add(name="ResourceSpans")
    _add_field(resource, "resource", 1)
    _add_field(resource, "scope_spans", 2, is_repeated=True, message="ScopeSpans")
    request = file.message_type.add(name="Request")
    _add_field(request, "resource_spans", 1, is_repeated=True, message="ResourceSpans")
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("otlp_envelope.Request"))


def _add_field(owner: DescriptorProto, name: str, number: int, *, is_repeated: bool = False, message: str = "") -> None:
    owner.field.add(
        name=name,
        number=number,
        label=FieldDescriptorProto.LABEL_REPEATED if is_repeated else FieldDescriptorProto.LABEL_OPTIONAL,
        type=FieldDescriptorProto.TYPE_MESSAGE if message else FieldDescriptorProto.TYPE_BYTES,
        type_name=f".otlp_envelope.{message}" if message else None,
    )


_Request = _request_class()
