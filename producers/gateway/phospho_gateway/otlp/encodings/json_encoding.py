"""
The JSON encoding of OTLP: from a document to spans.

Protobuf's JSON mapping with hexadecimal ids, enums as numbers and names in lowerCamelCase; integers of 64 bits come
as strings or numbers, unknown names are skipped (OTLP specification 1.x, "JSON Protobuf Encoding").
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from phospho_gateway.otlp.conventions import resource_of
from phospho_gateway.otlp.spans import (
    Attributes,
    BadSpan,
    Export,
    MalformedExport,
    Origin,
    Span,
    SpanEvent,
    TooManySpans,
    check_size,
    checked_id,
)

# Protobuf's own JSON writes the name of an enum, and OTLP wants its number.
_ERROR_CODES = (2, "2", "STATUS_CODE_ERROR")
_LEAST_INTEGER, _GREATEST_INTEGER = -(2**63), 2**64 - 1
# As deep as the decoder of the binary encoding goes: 100 messages, of which a value takes two a level.
_MAX_LEVELS = 50
_HEX = re.compile(r"[0-9a-fA-F]*")
_INTEGER = re.compile(r"-?[0-9]{1,20}")
# Protobuf's JSON mapping takes numbers as strings too.
_DECIMAL = re.compile(r"[-+]?[0-9]{1,30}(\.[0-9]{0,30})?([eE][-+]?[0-9]{1,3})?")


def export_of(document: Any, max_spans: int) -> Export:
    """Return the spans of a document. Raises MalformedExport and TooManySpans."""
    export = Export()
    for sent, scopes in _groups(document, max_spans):
        try:
            resource = resource_of(_attributes(_object(sent)))
        except BadSpan as error:
            export.rejected[f"the resource: {error}"] += sum(len(spans) for _, spans in scopes)
        else:
            for name, spans in scopes:
                _read(spans, Origin(resource, name), export)
    return export


_Scope = tuple[str, list[Any]]


def _groups(document: Any, max_spans: int) -> list[tuple[Any, list[_Scope]]]:
    """Return resources with the spans of each of their scopes. Raises TooManySpans, for resources and scopes too."""
    groups: list[tuple[Any, list[_Scope]]] = []
    envelopes = spans = 0
    try:
        for group in _list(_object(document), "resourceSpans"):
            scopes = [_scope(scope) for scope in _list(_object(group), "scopeSpans")]
            groups.append((_object(group).get("resource"), scopes))
            envelopes += 1 + len(scopes)
            spans += sum(len(listed) for _, listed in scopes)
            if envelopes > max_spans or spans > max_spans:
                raise TooManySpans
    except BadSpan as error:
        raise MalformedExport(f"the body is not an ExportTraceServiceRequest in JSON: {error}") from None
    return groups


def _scope(value: Any) -> _Scope:
    scope = _object(value)
    return _text(_object(scope.get("scope")), "name"), _list(scope, "spans")


def _read(spans: list[Any], origin: Origin, export: Export) -> None:
    for span in spans:
        try:
            export.spans.append(_span(span, origin))
        except BadSpan as error:
            export.rejected[str(error)] += 1


def _span(value: Any, origin: Origin) -> Span:
    span = _object(value)
    status = _object(span.get("status"))
    events = _objects(span, "events")
    check_size(len(events), "events")
    return Span(
        trace_id=_id(span, "traceId", 32),
        span_id=_id(span, "spanId", 16),
        parent_id=_hex(span, "parentSpanId"),
        name=_text(span, "name"),
        start_ns=_time_ns(span, "startTimeUnixNano"),
        end_ns=_time_ns(span, "endTimeUnixNano"),
        attributes=_attributes(span),
        events=[SpanEvent(_text(event, "name"), _attributes(event)) for event in events],
        is_error=status.get("code") in _ERROR_CODES,
        status_message=_text(status, "message"),
        origin=origin,
    )


def _attributes(owner: Mapping[str, Any], name: str = "attributes", levels: int = _MAX_LEVELS) -> Attributes:
    pairs = _objects(owner, name)
    check_size(len(pairs), "attributes")
    return {_text(pair, "key"): _value(pair.get("value"), levels) for pair in pairs}


def _value(value: Any, levels: int) -> Any:
    """Return an AnyValue in the types of JSON. Raises BadSpan for a wrong type, or deeper than `levels`."""
    if not levels:
        raise BadSpan("an attribute is nested too deep")
    for kind, content in _object(value).items():
        if kind in _SCALARS and content is not None:
            return _SCALARS[kind](content)
        if kind == "arrayValue":
            return [_value(item, levels - 1) for item in _list(_object(content), "values")]
        if kind == "kvlistValue":
            return _attributes(_object(content), "values", levels - 1)
    return None


def _id(span: Mapping[str, Any], name: str, length: int) -> str:
    return checked_id(_hex(span, name), length, name)


def _hex(span: Mapping[str, Any], name: str) -> str:
    digits = _text(span, name)
    if not _HEX.fullmatch(digits):
        raise BadSpan(f"{name} is not hexadecimal")
    return digits.lower()


def _time_ns(span: Mapping[str, Any], name: str) -> int:
    value = span.get(name)
    time_ns = 0 if value is None else _integer(value)
    if time_ns < 0:
        raise BadSpan(f"{name} is not a number of nanoseconds")
    return time_ns


def _integer(value: Any) -> int:
    """Return an integer of protobuf's JSON mapping: a number, or its digits as a string."""
    is_number = type(value) is int or (type(value) is float and value.is_integer())
    if not is_number and not (type(value) is str and _INTEGER.fullmatch(value)):
        raise BadSpan("an integer is neither a number nor its digits")
    number = int(value)
    if not _LEAST_INTEGER <= number <= _GREATEST_INTEGER:
        raise BadSpan("an integer has more than 64 bits")
    return number


def _double(value: Any) -> float:
    if type(value) in (int, float) or (type(value) is str and _DECIMAL.fullmatch(value)):
        return float(value)
    if value in ("NaN", "Infinity", "-Infinity"):
        return math.nan
    raise BadSpan("a doubleValue is not a number")


def _string(value: Any) -> str:
    if type(value) is not str:
        raise BadSpan("a string value is not a string")
    return value


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise BadSpan("a boolValue is not a boolean")
    return value


_SCALARS: Mapping[str, Callable[[Any], Any]] = {
    "stringValue": _string,
    "intValue": _integer,
    "doubleValue": _double,
    "boolValue": _bool,
    "bytesValue": _string,
}


def _text(owner: Mapping[str, Any], name: str) -> str:
    value = owner.get(name)
    if value is None:
        return ""
    if type(value) is not str:
        raise BadSpan(f"{name} is not a string")
    return value


def _object(value: Any) -> dict[str, Any]:
    """Return an object; null is an empty one."""
    if value is None:
        return {}
    if type(value) is not dict:
        raise BadSpan("there is another type where an object is needed")
    return value


def _list(owner: Mapping[str, Any], name: str) -> list[Any]:
    value = owner.get(name)
    if value is None:
        return []
    if type(value) is not list:
        raise BadSpan(f"{name} is not a list")
    return value


def _objects(owner: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    return [_object(item) for item in _list(owner, name)]
