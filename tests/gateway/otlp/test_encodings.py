"""Both encodings are read alike; what can't be read of one span harms that span only."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from google.protobuf.internal.encoder import _VarintBytes
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from phospho_gateway.otlp.encodings import json_encoding, protobuf
from phospho_gateway.otlp.spans import Export, MalformedExport, TooManySpans
from phospho_gateway.otlp.translation import raw_logs

from .making import chat, json_body, request, span

MAX_SPANS = 1_000
MIXED = {
    "text": "é",
    "int": -7,
    "big": 2**63 - 1,
    "double": 0.5,
    "bool": False,
    "bytes": b"\x00\xff",
    "list": ["a", 1, ["b"]],
    "map": {"deep": {"er": [True]}},
    "empty": [],
}


def decoded(body: bytes) -> Export:
    return protobuf.export_of(body, MAX_SPANS)


def decoded_json(document: Any) -> Export:
    return json_encoding.export_of(document, MAX_SPANS)


def one_json_span(**fields: Any) -> dict[str, Any]:
    """Return the document of one good span after a span with the given fields."""
    document = json_body(request(chat(1), chat(2)))
    document["resourceSpans"][0]["scopeSpans"][0]["spans"][0].update(fields)
    return document


def test_both_encodings_of_an_export_are_the_same_spans() -> None:
    spans = [chat(1, attributes=MIXED), span(2, parent=1, events=[("exception", MIXED)], error="broken")]
    export = request(*spans, resource=MIXED, scope="a library")

    binary, text = decoded(export.SerializeToString()), decoded_json(orjson.loads(orjson.dumps(json_body(export))))

    assert binary == text
    assert binary.spans[0].attributes.items() >= (MIXED | {"bytes": "AP8="}).items()
    assert binary.spans[1].parent_id == binary.spans[0].span_id


def test_scopes_and_resources_keep_what_is_theirs() -> None:
    export = request(chat(1), scope="one")
    export.resource_spans.extend(request(chat(2), scope="two", resource={"service.version": "9"}).resource_spans)

    spans = decoded(export.SerializeToString()).spans

    assert [made.origin.scope for made in spans] == ["one", "two"]
    assert [log["version_id"] for log in raw_logs(spans).logs] == ["1.2", "9"]


@pytest.mark.parametrize("body", [b"", b"\x0a\x00", request().SerializeToString()])
def test_an_export_without_spans_is_empty(body: bytes) -> None:
    assert decoded(body) == Export()


@pytest.mark.parametrize(
    "document", [{}, {"resourceSpans": []}, {"resourceSpans": [{"scopeSpans": [{}]}]}, {"other": 1}]
)
def test_a_document_without_spans_is_empty(document: Any) -> None:
    assert decoded_json(document) == Export()


def test_names_and_fields_that_are_not_known_are_skipped() -> None:
    document = one_json_span(newField={"a": 1}, trace_state=3)
    unknown_field = request(chat(1)).SerializeToString() + b"\xfa\x3f\x03abc"

    assert len(decoded_json(document).spans) == 2
    assert len(decoded(unknown_field).spans) == 1


def test_integers_may_be_numbers_or_digits() -> None:
    fields = {"startTimeUnixNano": "1770000000000000000", "endTimeUnixNano": 1770000000100000000}
    attributes = [{"key": "a", "value": {"intValue": "42"}}, {"key": "b", "value": {"intValue": 42}}]

    first = decoded_json(one_json_span(**fields, attributes=attributes)).spans[0]

    assert (first.attributes, first.latency_ms) == ({"a": 42, "b": 42}, 100.0)


@pytest.mark.parametrize("code", [2, "2", "STATUS_CODE_ERROR"])
def test_the_status_of_an_error_may_be_a_number_or_its_name(code: Any) -> None:
    first, second = decoded_json(one_json_span(status={"code": code})).spans

    assert (first.is_error, second.is_error) == (True, False)


def damaged(change: Callable[[Any], None]) -> bytes:
    """Return an export of a span that was changed, and a good one."""
    export = request(chat(1), chat(2))
    change(export.resource_spans[0].scope_spans[0].spans[0])
    return export.SerializeToString()


def field(number: int, content: bytes) -> bytes:
    """Return a field of bytes, a text or a message on protobuf's wire."""
    return bytes([number << 3 | 2]) + _VarintBytes(len(content)) + content


def deep_export(levels: int) -> bytes:
    """Return an export of a span with a value so many lists deep, and a good one; protobuf's classes go less deep."""
    value = field(1, b"deep")
    for _ in range(levels):
        value = field(5, field(1, value))
    deep = chat(1).SerializeToString() + field(9, field(1, b"deep") + field(2, value))
    return field(1, field(2, field(2, deep) + field(2, chat(2).SerializeToString())))


BAD_IDS: list[tuple[Callable[[Any], None], str]] = [
    (lambda made: setattr(made, "trace_id", b""), "trace_id has not the 16 bytes of one"),
    (lambda made: setattr(made, "trace_id", b"1" * 15), "trace_id has not the 16 bytes of one"),
    (lambda made: setattr(made, "trace_id", b"1" * 17), "trace_id has not the 16 bytes of one"),
    (lambda made: setattr(made, "trace_id", bytes(16)), "trace_id is all zeros"),
    (lambda made: setattr(made, "span_id", b"1" * 7), "span_id has not the 8 bytes of one"),
    (lambda made: setattr(made, "span_id", bytes(8)), "span_id is all zeros"),
]


@pytest.mark.parametrize(("change", "reason"), BAD_IDS)
def test_a_span_with_an_id_that_is_none_is_rejected_by_itself(change: Callable[[Any], None], reason: str) -> None:
    export = decoded(damaged(change))

    assert (len(export.spans), dict(export.rejected)) == (1, {reason: 1})


def test_a_span_with_text_that_is_not_utf8_is_rejected_by_itself() -> None:
    body = damaged(lambda made: setattr(made, "name", "MARK")).replace(b"MARK", b"\xff\xfe\xfd\xfc")

    export = decoded(body)

    assert (len(export.spans), export.rejected.total()) == (1, 1)


@pytest.mark.parametrize(("levels", "kept"), [(49, 2), (50, 1), (1_000, 1)])
def test_a_span_whose_attributes_are_nested_too_deep_is_rejected_by_itself(levels: int, kept: int) -> None:
    assert len(decoded(deep_export(levels)).spans) == kept


def deep_json(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"stringValue": "deep"}
    for _ in range(levels):
        value = {"arrayValue": {"values": [value]}}
    return value


@pytest.mark.parametrize(("levels", "kept"), [(49, 2), (50, 1), (300, 1)])
def test_json_that_is_nested_too_deep_is_rejected_by_itself(levels: int, kept: int) -> None:
    document = one_json_span(attributes=[{"key": "deep", "value": deep_json(levels)}])

    assert len(decoded_json(document).spans) == kept


@pytest.mark.parametrize(
    "fields",
    [
        {"traceId": "5b8e"},
        {"traceId": "xx" * 16},
        {"traceId": 5},
        {"traceId": None},
        {"spanId": "0" * 16},
        {"spanId": "W8d2Ep0="},
        {"name": ["a"]},
        {"startTimeUnixNano": "soon"},
        {"startTimeUnixNano": -1},
        {"startTimeUnixNano": 10**30},
        {"startTimeUnixNano": 1.5},
        {"attributes": {"a": 1}},
        {"attributes": [1]},
        {"attributes": [{"key": 1}]},
        {"attributes": [{"key": "a", "value": "text"}]},
        {"attributes": [{"key": "a", "value": {"intValue": True}}]},
        {"attributes": [{"key": "a", "value": {"intValue": "9" * 20}}]},
        {"attributes": [{"key": "a", "value": {"intValue": "9" * 10_000}}]},
        {"attributes": [{"key": "a", "value": {"boolValue": "true"}}]},
        {"attributes": [{"key": "a", "value": {"doubleValue": "one"}}]},
        {"attributes": [{"key": "a", "value": {"arrayValue": {"values": {}}}}]},
        {"events": [[]]},
        {"status": "bad"},
    ],
)
def test_a_json_span_with_a_wrong_type_is_rejected_by_itself(fields: dict[str, Any]) -> None:
    export = decoded_json(one_json_span(**fields))

    assert (len(export.spans), export.rejected.total()) == (1, 1)


@pytest.mark.parametrize("value", [None, 1, "a", []])
def test_what_is_no_span_is_rejected_by_itself(value: Any) -> None:
    document = json_body(request(chat(1)))
    document["resourceSpans"][0]["scopeSpans"][0]["spans"].append(value)

    export = decoded_json(document)

    assert (len(export.spans), export.rejected.total()) == (1, 1)


@pytest.mark.parametrize(
    "document",
    [
        [], "a", 1, {"resourceSpans": {}}, {"resourceSpans": [1]}, {"resourceSpans": [{"scopeSpans": 1}]},
        {"resourceSpans": [{"scopeSpans": [{"spans": {}}]}]},
    ],
)  # fmt: skip
def test_a_document_that_is_no_export_is_malformed(document: Any) -> None:
    with pytest.raises(MalformedExport):
        decoded_json(document)


def two_resources() -> ExportTraceServiceRequest:
    export = request(chat(1), chat(2))
    export.resource_spans.extend(request(chat(3), resource={"MARK": "MARK"}).resource_spans)
    return export


def test_a_resource_that_can_not_be_read_harms_its_own_spans_only() -> None:
    """One Collector may send the spans of many apps."""
    export = decoded(two_resources().SerializeToString().replace(b"MARK", b"\xff\xfe\xfd\xfc"))

    assert (len(export.spans), export.rejected.total()) == (2, 1)


@pytest.mark.parametrize("resource", [1, "a", {"attributes": 1}, {"attributes": [{"key": "a", "value": 1}]}])
def test_a_json_resource_that_can_not_be_read_harms_its_own_spans_only(resource: Any) -> None:
    document = json_body(two_resources())
    document["resourceSpans"][0]["resource"] = resource

    export = decoded_json(document)

    assert (len(export.spans), export.rejected.total()) == (1, 2)


def test_a_library_without_a_readable_name_keeps_its_spans() -> None:
    body = request(chat(1), scope="MARK").SerializeToString().replace(b"MARK", b"\xff\xfe\xfd\xfc")

    assert decoded(body).spans[0].origin.scope == ""


@pytest.mark.parametrize(("number", "content"), [(9, b""), (11, b"")], ids=["attributes", "events"])
def test_span_with_too_many_attributes_or_events_is_rejected_alone(number: int, content: bytes) -> None:
    many = chat(1).SerializeToString() + field(number, content) * 20_001
    body = field(1, field(2, field(2, many) + field(2, chat(2).SerializeToString())))

    export = decoded(body)

    assert (len(export.spans), export.rejected.total()) == (1, 1)


@pytest.mark.parametrize("name", ["attributes", "events"])
def test_a_json_span_with_more_than_anyone_writes_is_rejected_by_itself(name: str) -> None:
    export = decoded_json(one_json_span(**{name: [{}] * 20_001}))

    assert (len(export.spans), export.rejected.total()) == (1, 1)


def test_a_body_that_is_cut_anywhere_is_malformed_or_has_fewer_spans() -> None:
    body = request(chat(1, attributes=MIXED), chat(2)).SerializeToString()

    for size in range(1, len(body)):
        with pytest.raises(MalformedExport):
            decoded(body[:size])


@given(st.binary(max_size=200))
def test_any_bytes_are_an_export_or_malformed(body: bytes) -> None:
    with contextlib.suppress(MalformedExport):
        raw_logs(decoded(body).spans)


@given(st.data())
def test_any_change_of_a_byte_is_an_export_or_malformed(data: st.DataObject) -> None:
    body = bytearray(request(chat(1, attributes=MIXED), span(2, parent=1)).SerializeToString())
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedExport):
        raw_logs(decoded(bytes(body)).spans)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
GOOD = json_body(request(chat(1, attributes=MIXED, events=[("exception", MIXED)]), span(2, parent=1)))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value of a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


@given(st.sampled_from(places(GOOD)[1:]), json_values)
def test_any_value_in_any_place_of_a_document_is_an_export_or_malformed(path: tuple[Any, ...], value: Any) -> None:
    document = copy.deepcopy(GOOD)
    owner: Any = document
    for key in path[:-1]:
        owner = owner[key]
    owner[path[-1]] = value
    with contextlib.suppress(MalformedExport):
        raw_logs(decoded_json(document).spans)


@pytest.mark.parametrize(
    "export",
    [
        request(*[span(1)] * (MAX_SPANS + 1)),
        ExportTraceServiceRequest(resource_spans=[{}] * (MAX_SPANS + 1)),
        ExportTraceServiceRequest(resource_spans=[{"scope_spans": [{}] * (MAX_SPANS + 1)}]),
        ExportTraceServiceRequest(resource_spans=[{"scope_spans": [{"spans": [{}] * (MAX_SPANS + 1)}]}]),
    ],
    ids=["spans", "resources", "scopes", "empty spans"],
)
def test_too_many_spans_or_envelopes_are_refused_as_a_whole(export: ExportTraceServiceRequest) -> None:
    with pytest.raises(TooManySpans):
        decoded(export.SerializeToString())
    with pytest.raises(TooManySpans):
        decoded_json(json_body(export))


def test_as_many_spans_as_may_be_are_read() -> None:
    export = request(*[span(number) for number in range(1, MAX_SPANS + 1)])

    assert len(decoded(export.SerializeToString()).spans) == MAX_SPANS
    assert len(decoded_json(json_body(export)).spans) == MAX_SPANS
