"""A resource is read once, within a bound, however many spans are below it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from phospho_gateway.otlp import conventions, values
from phospho_gateway.otlp.conventions import MAX_METADATA_CHARACTERS
from phospho_gateway.otlp.encodings import json_encoding, protobuf
from phospho_gateway.otlp.spans import Export
from phospho_gateway.otlp.translation import raw_logs

from .making import chat, json_body, request

SESSION = orjson.dumps({"session_id": "of-the-resource"}).decode()


def _binary(export: ExportTraceServiceRequest) -> Export:
    return protobuf.export_of(export.SerializeToString(), 1_000)


def _json(export: ExportTraceServiceRequest) -> Export:
    return json_encoding.export_of(json_body(export), 1_000)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], list[Any]]:
    """Return a function that lists the first argument of each call of a module's function from then on."""

    def count(module: Any, name: str) -> list[Any]:
        calls: list[Any] = []
        function = getattr(module, name)

        def called(argument: Any, *others: Any) -> Any:
            calls.append(argument)
            return function(argument, *others)

        monkeypatch.setattr(module, name, called)
        return calls

    return count


@pytest.mark.parametrize("decoded", [_binary, _json])
def test_a_resource_is_read_once_for_all_spans_of_all_its_scopes(
    decoded: Callable[[ExportTraceServiceRequest], Export], counted: Callable[[Any, str], list[Any]]
) -> None:
    export = request(*map(chat, range(1, 21)), resource={"metadata": SESSION, "service.version": "7"})
    export.resource_spans[0].scope_spans.add().spans.extend(map(chat, range(21, 41)))
    parsed, encoded = counted(values, "parse_json"), counted(conventions, "json_text")

    logs = raw_logs(decoded(export).spans).logs

    assert {(log["session_id"], log["version_id"]) for log in logs} == {("of-the-resource", "7")}
    assert (len(logs), parsed, encoded) == (40, [SESSION.encode()], [SESSION, "7"])


def test_a_metadata_that_is_too_long_is_not_parsed(counted: Callable[[Any, str], list[Any]]) -> None:
    metadata = orjson.dumps({"session_id": "s", "rest": "x" * MAX_METADATA_CHARACTERS}).decode()
    parsed = counted(values, "parse_json")

    (log,) = raw_logs(_binary(request(chat(1), resource={"metadata": metadata, "user.id": "u"})).spans).logs

    assert parsed == []
    assert log["user_id"] == "u"
    assert log["session_id"] != "s"
