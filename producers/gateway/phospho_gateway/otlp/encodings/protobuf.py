"""The binary encoding of OTLP: from the bytes of an ExportTraceServiceRequest to spans."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, TypeVar

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from phospho_gateway.otlp.conventions import resource_of
from phospho_gateway.otlp.spans import (
    Attributes,
    BadSpan,
    Export,
    MalformedExport,
    Origin,
    Resource,
    Span,
    SpanEvent,
    TooManySpans,
    check_size,
    checked_id,
)

_M = TypeVar("_M", bound=Message)


def export_of(body: bytes, max_spans: int) -> Export:
    """
    Return the spans of a body. Each is decoded by itself, so that one that can't be decoded harms only itself.

    Raises MalformedExport and TooManySpans.
    """
    export = Export()
    for group in _groups(body, max_spans):
        try:
            sent = _decoded(resource_pb2.Resource, group.resource, "the resource")
            resource = resource_of(_attributes(sent.attributes))
        except BadSpan as error:
            export.rejected[str(error)] += sum(len(scope.spans) for scope in group.scope_spans)
        else:
            for scope in group.scope_spans:
                _read(scope, resource, export)
    return export


def _groups(body: bytes, max_spans: int) -> Sequence[Any]:
    """Return the spans by resource, not decoded yet. Raises TooManySpans, for resources and scopes too."""
    try:
        groups: Sequence[Any] = _Request.FromString(body).resource_spans
    except DecodeError:
        raise MalformedExport("the body is not an ExportTraceServiceRequest in protobuf") from None
    envelopes = spans = 0
    for group in groups:
        envelopes += 1 + len(group.scope_spans)
        if envelopes > max_spans:
            raise TooManySpans
        spans += sum(len(scope.spans) for scope in group.scope_spans)
    if spans > max_spans:
        raise TooManySpans
    return groups


def _read(scope: Any, resource: Resource, export: Export) -> None:
    try:
        origin = Origin(resource, InstrumentationScope.FromString(scope.scope).name)
    except DecodeError:
        # The name of a library is not worth its spans.
        origin = Origin(resource, "")
    for encoded in scope.spans:
        try:
            export.spans.append(_span(encoded, origin))
        except BadSpan as error:
            export.rejected[str(error)] += 1


def _span(encoded: bytes, origin: Origin) -> Span:
    span = _decoded(trace_pb2.Span, encoded, "the span")
    check_size(len(span.events), "events")
    return Span(
        trace_id=checked_id(span.trace_id.hex(), 32, "trace_id"),
        span_id=checked_id(span.span_id.hex(), 16, "span_id"),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        events=[SpanEvent(event.name, _attributes(event.attributes)) for event in span.events],
        is_error=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        status_message=span.status.message,
        origin=origin,
    )


def _decoded(kind: type[_M], encoded: bytes, name: str) -> _M:
    try:
        return kind.FromString(encoded)
    except DecodeError:
        raise BadSpan(f"the bytes of {name} are not valid protobuf, not UTF-8, or nested too deep") from None


def _attributes(pairs: Sequence[KeyValue]) -> Attributes:
    check_size(len(pairs), "attributes")
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
