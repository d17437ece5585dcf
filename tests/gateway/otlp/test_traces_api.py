"""`POST /v1/traces`, as the OTLP specification has it: statuses, and bodies in the encoding of the request."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from google.protobuf.json_format import MessageToDict
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from pydantic import TypeAdapter

from gateway.conftest import ADMIN_SECRET, ClientMaker, Counted
from gateway.intake.test_bodies import COMPRESSORS
from gateway.recording import RecordingPublisher, RefusingPublisher
from phospho_gateway.settings import GatewaySettings
from phospho_schemas.messages import RawLog
from phospho_web.problems import Problem

from .making import TRACE, chat, json_body, request, row_of, span

PATH = "/v1/traces"
PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}
EXPORT = request(chat(1, attributes={"gen_ai.prompt": "Hello", "gen_ai.completion": "Hi"}), span(2, parent=1))


async def post(client: httpx.AsyncClient, body: bytes, path: str = PATH, **headers: str) -> httpx.Response:
    return await client.post(
        path, content=body, headers=PROTOBUF | {k.replace("_", "-"): v for k, v in headers.items()}
    )


def bodies(export: Any) -> list[tuple[bytes, dict[str, str]]]:
    return [(export.SerializeToString(), PROTOBUF), (orjson.dumps(json_body(export)), JSON)]


def status_of(answer: httpx.Response) -> dict[str, Any]:
    """Return the google.rpc.Status of an answer, in whichever encoding."""
    if answer.headers["content-type"] == "application/json":
        return dict(answer.json())
    assert answer.headers["content-type"] == "application/x-protobuf"
    return dict(MessageToDict(Status.FromString(answer.content)))


@pytest.mark.parametrize("encoding", [0, 1], ids=["protobuf", "json"])
async def test_an_export_is_answered_in_its_encoding_when_its_tasks_are_durable(
    encoding: int, client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    body, headers = bodies(EXPORT)[encoding]

    answer = await client.post(PATH, content=body, headers=headers)

    assert answer.status_code == 200, answer.content
    assert answer.headers["content-type"] == headers["Content-Type"]
    assert answer.content == (b"{}" if encoding else ExportTraceServiceResponse().SerializeToString())
    (log,) = publisher.documents
    assert (log["project_id"], log["session_id"], log["input"], log["source"]) == ("shop", TRACE, "Hello", "otlp")
    TypeAdapter(RawLog).validate_python(log)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
async def test_a_body_may_be_compressed(
    encoding: str, client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    compress = dict(COMPRESSORS)[encoding]

    answer = await post(client, compress(EXPORT.SerializeToString()), content_encoding=encoding)

    assert (answer.status_code, len(publisher.messages)) == (200, 1)


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "APPLICATION/JSON"])
async def test_a_content_type_may_have_parameters_and_capitals(content_type: str, client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, content=bodies(EXPORT)[1][0], headers={"Content-Type": content_type})

    assert answer.status_code == 200


async def test_an_export_that_is_sent_again_names_the_same_task(
    client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    for _ in range(2):
        await post(client, EXPORT.SerializeToString())

    first, second = publisher.documents
    assert first["task_id"] == second["task_id"]
    assert first["revision"] < second["revision"]


async def test_an_empty_export_is_a_success(client: httpx.AsyncClient, publisher: RecordingPublisher) -> None:
    assert (await post(client, b"")).status_code == 200
    assert (await client.post(PATH, content=b"{}", headers=JSON)).json() == {}
    assert publisher.batches == []


async def test_spans_of_no_task_are_taken_counted_and_warned_of(client: httpx.AsyncClient, counted: Counted) -> None:
    answer = await post(client, request(span(1), span(2)).SerializeToString())

    assert answer.status_code == 200
    told = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert told.rejected_spans == 0
    assert told.error_message.startswith("2 of 2 spans were not stored")
    metrics = counted()
    assert 'phospho_gateway_spans_total{outcome="unattached"} 2.0' in metrics


async def test_steps_without_their_task_are_published_and_cost_no_quota(
    client: httpx.AsyncClient, publisher: RecordingPublisher, counted: Counted
) -> None:
    answer = await post(client, request(span(1, attributes={"traceloop.span.kind": "tool"})).SerializeToString())

    assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()
    [message] = publisher.documents
    assert (message["kind"], message["project_id"], message["trace_id"]) == ("step", "shop", TRACE)
    assert publisher.messages[0].key == f"shop:{TRACE}".encode()
    assert 'phospho_gateway_spans_total{outcome="step"} 1.0' in counted()


@pytest.mark.parametrize("encoding", [0, 1], ids=["protobuf", "json"])
async def test_a_bad_span_harms_itself_only_and_the_answer_says_why(
    encoding: int, client: httpx.AsyncClient, publisher: RecordingPublisher, counted: Counted
) -> None:
    export = request(chat(1), chat(2), chat(3, attributes={"session.id": "s" * 600}), span(4))
    export.resource_spans[0].scope_spans[0].spans[0].trace_id = b"short"
    body, headers = bodies(export)[encoding]

    answer = await client.post(PATH, content=body, headers=headers)

    assert answer.status_code == 200
    assert len(publisher.messages) == 1
    told = answer.json() if encoding else MessageToDict(ExportTraceServiceResponse.FromString(answer.content))
    assert told["partialSuccess"]["rejectedSpans"] == "2"
    message = told["partialSuccess"]["errorMessage"]
    assert message.startswith("2 of 4 spans were rejected: ")
    assert "session_id has 600 characters" in message
    assert "16 bytes" in message
    metrics = counted()
    assert 'phospho_gateway_spans_total{outcome="rejected"} 2.0' in metrics
    assert 'phospho_gateway_spans_total{outcome="step"} 1.0' in metrics


async def test_rejected_spans_and_those_without_a_task_are_told_side_by_side(client: httpx.AsyncClient) -> None:
    export = request(chat(1, attributes={"user.id": "u" * 600}), span(2, trace_id="1" * 32))

    answer = await post(client, export.SerializeToString())

    told = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert told.rejected_spans == 1
    assert told.error_message.startswith("1 of 2 spans were rejected: ")
    assert "; 1 of 2 spans were not stored, " in told.error_message


def test_span_limit_is_the_documented_one_and_fits_collectors_batches() -> None:
    max_spans = GatewaySettings().max_spans
    page = (Path(__file__).parents[3] / "docs" / "opentelemetry.md").read_text()

    assert f"{max_spans:,} spans (413; `PHOSPHO_GATEWAY_MAX_SPANS`)" in page
    assert "send_batch_max_size: 8192" in page
    assert 8_192 <= max_spans <= 10_000


async def test_of_many_reasons_the_answer_tells_some(client: httpx.AsyncClient) -> None:
    export = request(*[chat(number, attributes={"session.id": "s" * (600 + number)}) for number in range(1, 100)])

    answer = await post(client, export.SerializeToString())

    message = ExportTraceServiceResponse.FromString(answer.content).partial_success.error_message
    assert message.endswith("and 94 more reasons")
    assert len(message) < 1_000


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"\xff\xff\xff", PROTOBUF),
        (EXPORT.SerializeToString()[:-5], PROTOBUF),
        (b"{", JSON),
        (b"[]", JSON),
        (b"", JSON),
    ],
)
async def test_unreadable_export_is_a_400_bad_request_in_its_encoding(
    body: bytes, headers: dict[str, str], client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    answer = await client.post(PATH, content=body, headers=headers)

    assert answer.status_code == 400
    status = status_of(answer)
    assert status["code"] == 3
    assert status["message"]
    (details,) = status["details"]
    assert details["@type"] == f"type.googleapis.com/{BadRequest.DESCRIPTOR.full_name}"
    assert details["fieldViolations"][0]["description"]
    assert publisher.batches == []


@pytest.mark.parametrize("headers", [PROTOBUF, JSON])
async def test_a_key_that_is_none_is_a_401(headers: dict[str, str], make_client: ClientMaker) -> None:
    answer = await make_client("ph_wrong").post(PATH, content=b"", headers=headers)

    assert (answer.status_code, status_of(answer)["code"]) == (401, 16)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_project_that_is_not_the_keys_is_a_403(client: httpx.AsyncClient) -> None:
    answer = await post(client, b"", x_phospho_project="another")

    assert (answer.status_code, status_of(answer)["code"]) == (403, 7)


async def test_an_administrator_names_the_project_in_a_header(
    make_client: ClientMaker, publisher: RecordingPublisher
) -> None:
    admin = make_client(ADMIN_SECRET)
    body = EXPORT.SerializeToString()

    assert (await post(admin, body, x_phospho_project="shop")).status_code == 200
    without = await post(admin, body)

    assert [log["project_id"] for log in publisher.documents] == ["shop"]
    message = ExportTraceServiceResponse.FromString(without.content).partial_success.error_message
    assert "names no project" in message


async def test_invalid_project_is_a_400_as_otlp_has_no_422(make_client: ClientMaker) -> None:
    answer = await post(make_client(ADMIN_SECRET), b"", x_phospho_project="no project!")

    assert (answer.status_code, status_of(answer)["code"]) == (400, 3)


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/grpc"])
async def test_another_content_type_is_a_415(content_type: str, client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, content=b"", headers={"Content-Type": content_type})

    assert answer.status_code == 415
    assert "OTEL_EXPORTER_OTLP_PROTOCOL" in answer.json()["message"]


@pytest.mark.parametrize("status", [429, 503])
async def test_what_may_be_sent_again_says_when(status: int, make_client: ClientMaker) -> None:
    refusing = RefusingPublisher(Problem(status, "overloaded", "too much", "later", 7))

    answer = await post(make_client(publisher=refusing), EXPORT.SerializeToString())

    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "7")
    assert status_of(answer)["message"] == "too much. later"


async def test_too_large_bodies_bombs_and_too_many_spans_are_a_413(make_client: ClientMaker) -> None:
    client = make_client(settings=GatewaySettings(max_body_bytes=100_000, max_spans=10))
    bomb = gzip.compress(bytes(50_000_000))

    answers = [
        await post(client, bytes(100_001)),
        await post(client, bomb, content_encoding="gzip"),
        await post(client, request(*[span(1)] * 11).SerializeToString()),
    ]

    assert [answer.status_code for answer in answers] == [413] * 3
    assert {status_of(answer)["code"] for answer in answers} == {8}


async def test_ten_thousand_spans_are_one_export(client: httpx.AsyncClient, publisher: RecordingPublisher) -> None:
    spans = [chat(number, trace_id=f"{number // 10:032x}") for number in range(10, 10_010)]

    answer = await post(client, request(*spans).SerializeToString())

    assert answer.content == b""
    assert len({log["task_id"] for log in publisher.documents}) == 10_000


@pytest.mark.parametrize(
    ("start_ns", "created_at"),
    [(0, "arrival"), (2**64 - 1, "arrival"), (1_770_000_000_000_000_000, "2026-02-02T02:40:00.000Z")],
)
async def test_absurd_times_are_no_error(
    start_ns: int, created_at: str, client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    export = request(chat(1))
    (made,) = export.resource_spans[0].scope_spans[0].spans
    made.start_time_unix_nano, made.end_time_unix_nano = start_ns, 0

    answer = await post(client, export.SerializeToString())

    assert answer.content == b""
    row = row_of(publisher.documents[0])
    assert row["created_at"] == (row["received_at"] if created_at == "arrival" else created_at)


async def test_nul_and_half_characters_are_no_error(client: httpx.AsyncClient, publisher: RecordingPublisher) -> None:
    document = json_body(request(chat(1, attributes={"gen_ai.prompt": "HALF", "gen_ai.completion": "a\0b"})))
    inner = json_body(request(chat(2, attributes={"gen_ai.input.messages": '[{"role":"user","content":"\\ud83d"}]'})))
    body = orjson.dumps(document).replace(b"HALF", b"cut \\ud83d")

    answers = [await client.post(PATH, content=text, headers=JSON) for text in (body, orjson.dumps(inner))]

    assert [answer.json() for answer in answers] == [{}, {}]
    assert publisher.documents[0]["input"] == "cut \ufffd"
    assert publisher.documents[0]["output"] == "a\0b"
    assert publisher.documents[1]["input"][0]["content"] == "\ufffd"


async def test_a_span_with_nul_in_an_id_is_rejected_by_itself(client: httpx.AsyncClient) -> None:
    answer = await post(client, request(chat(1, attributes={"user.id": "a\0"}), chat(2)).SerializeToString())

    assert ExportTraceServiceResponse.FromString(answer.content).partial_success.rejected_spans == 1


async def test_json_nested_too_deep_in_an_attribute_harms_its_span_only(
    client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    deep = '{"a":' * 1_000 + "1" + "}" * 1_000
    spans = [chat(1, attributes={"metadata": deep}), chat(2, attributes={"input.value": "[" * 5_000}), chat(3)]

    answer = await post(client, request(*spans).SerializeToString())

    assert answer.status_code == 200
    assert ExportTraceServiceResponse.FromString(answer.content).partial_success.rejected_spans == 1
    assert len(publisher.messages) == 2


async def test_upstreams_tracer_names_the_project_in_the_path(
    client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    taken = await post(client, EXPORT.SerializeToString(), "/v3/otl/shop")
    refused = await post(client, EXPORT.SerializeToString(), "/v3/otl/another")

    assert (taken.status_code, refused.status_code) == (200, 403)
    assert len(publisher.messages) == 1


async def test_the_openapi_document_lists_both_paths(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]

    for path in ("/v1/traces", "/v3/otl/{project_id}"):
        operation = paths[path]["post"]
        assert set(operation["requestBody"]["content"]) == {"application/x-protobuf", "application/json"}
        assert {"200", "400", "401", "403", "408", "413", "415", "503"} <= set(operation["responses"])


@pytest.mark.parametrize("signal", ["logs", "metrics"])
@pytest.mark.parametrize("headers", [PROTOBUF, JSON], ids=["protobuf", "json"])
async def test_other_signals_are_refused_with_what_to_set(
    signal: str, headers: dict[str, str], client: httpx.AsyncClient
) -> None:
    answer = await client.post(f"/v1/{signal}", content=b"", headers=headers)

    assert answer.status_code == 404
    assert f"OTEL_{signal.upper()}_EXPORTER=none" in status_of(answer)["message"]
