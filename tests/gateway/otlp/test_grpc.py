"""OTLP over gRPC, by the exporter of the OpenTelemetry SDK."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette

from fixtures.server_process import free_port
from gateway.conftest import AppMaker
from gateway.recording import RecordingPublisher, RefusingPublisher
from phospho_gateway.otlp import grpc_server
from phospho_gateway.otlp.grpc_server import serve_grpc
from phospho_gateway.settings import GatewaySettings
from phospho_store.registry.registry import NewKey, Registry
from phospho_web.problems import Problem

from .making import chat, request

ServeGrpc = Callable[[Starlette], str]


@pytest.fixture
def serve_on_grpc() -> Iterator[ServeGrpc]:
    """Return a function that serves an app by gRPC until the test is over."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    tasks = []

    def serve(app: Starlette) -> str:
        address = f"127.0.0.1:{free_port()}"
        tasks.append(asyncio.run_coroutine_threadsafe(serve_grpc(app, address, 1_000_000), loop))
        with grpc.insecure_channel(address) as channel:
            grpc.channel_ready_future(channel).result(timeout=20)
        return address

    yield serve
    for task in tasks:
        task.cancel()
    asyncio.run_coroutine_threadsafe(_ended(), loop).result(timeout=20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def _ended() -> None:
    """Wait until every other task of the loop has ended."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)


def refusal(address: str, secret: str) -> tuple[grpc.StatusCode, Status]:
    """Return code and details of the error that an export ends with."""
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as error:
        TraceServiceStub(channel).Export(request(chat()), metadata=[("authorization", f"Bearer {secret}")], timeout=20)
    (details,) = [value for name, value in error.value.trailing_metadata() if name == "grpc-status-details-bin"]
    return error.value.code(), Status.FromString(details)


@contextmanager
def unfinished_exports(channel: grpc.Channel, authorization: str, count: int) -> Iterator[list[Any]]:
    """Yield open calls of which no message is sent while the `with` lasts."""
    export = channel.stream_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
    is_over = threading.Event()

    def nothing() -> Iterator[bytes]:
        is_over.wait(20)
        yield from ()

    try:
        yield [export.future(nothing(), metadata=[("authorization", authorization)]) for _ in range(count)]
    finally:
        is_over.set()


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_grpc_export_of_the_sdk_is_stored(
    compression: grpc.Compression,
    make_app: AppMaker,
    publisher: RecordingPublisher,
    serve_on_grpc: ServeGrpc,
    api_key: NewKey,
) -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    with provider.get_tracer("tests").start_as_current_span("chat") as span:
        span.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.prompt": "Hello"})
    exporter = OTLPSpanExporter(
        serve_on_grpc(make_app()),
        insecure=True,
        headers={"authorization": f"Bearer {api_key.secret}"},
        compression=compression,
    )

    assert exporter.export(spans.get_finished_spans()) is SpanExportResult.SUCCESS

    exporter.shutdown()
    assert [(log["input"], log["project_id"], log["source"]) for log in publisher.documents] == [
        ("Hello", "shop", "otlp")
    ]


def test_grpc_export_tells_of_rejected_spans(
    make_app: AppMaker, publisher: RecordingPublisher, serve_on_grpc: ServeGrpc, api_key: NewKey
) -> None:
    bad = chat(2)
    bad.trace_id = b"short"
    with grpc.insecure_channel(serve_on_grpc(make_app())) as channel:
        answer: ExportTraceServiceResponse = TraceServiceStub(channel).Export(
            request(chat(1), bad), metadata=[("authorization", f"Bearer {api_key.secret}")], timeout=20
        )

    assert answer.partial_success.rejected_spans == 1
    assert len(publisher.documents) == 1


def test_grpc_errors_have_the_code_and_the_time_to_wait(
    make_app: AppMaker, serve_on_grpc: ServeGrpc, api_key: NewKey
) -> None:
    publisher = RefusingPublisher(Problem(503, "overloaded", "too much", "later", 7))
    address = serve_on_grpc(make_app(publisher=publisher))

    unknown_code, unknown = refusal(address, "ph_wrong")
    busy_code, busy = refusal(address, api_key.secret)

    assert (unknown_code, unknown.code) == (grpc.StatusCode.UNAUTHENTICATED, 16)
    assert "key" in unknown.message
    assert busy_code is grpc.StatusCode.UNAVAILABLE
    retry = RetryInfo()
    assert any(detail.Unpack(retry) for detail in busy.details)
    assert retry.retry_delay.seconds == 7


def test_grpc_connections_are_bounded_and_silent_ones_dropped(
    make_app: AppMaker, serve_on_grpc: ServeGrpc, api_key: NewKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpc_server, "_MAX_CONNECTIONS", 4)
    monkeypatch.setattr(grpc_server, "_HANDSHAKE_TIMEOUT_MS", 1_000)
    address = serve_on_grpc(make_app())
    host, _, port = address.rpartition(":")

    silent = [socket.create_connection((host, int(port))) for _ in range(20)]
    for connection in silent:
        with suppress(ConnectionError):
            while connection.recv(1_000):
                pass
        connection.close()

    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=20)


def test_grpc_calls_without_a_key_end_before_their_message_arrives(
    make_app: AppMaker, serve_on_grpc: ServeGrpc
) -> None:
    address = serve_on_grpc(make_app())

    with grpc.insecure_channel(address) as channel, unfinished_exports(channel, "Bearer ph_wrong", 80) as calls:
        codes = {call.code() for call in calls}

    # Beyond the open calls that the server takes, gRPC answers itself.
    assert codes <= {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert grpc.StatusCode.UNAUTHENTICATED in codes


def test_grpc_calls_whose_message_does_not_arrive_end(
    make_app: AppMaker, serve_on_grpc: ServeGrpc, api_key: NewKey
) -> None:
    address = serve_on_grpc(make_app(GatewaySettings(body_timeout_s=0.5)))
    metadata = [("authorization", f"Bearer {api_key.secret}")]

    with grpc.insecure_channel(address) as channel:
        with unfinished_exports(channel, f"Bearer {api_key.secret}", 32) as calls:
            codes = {call.code() for call in calls}
        TraceServiceStub(channel).Export(request(chat()), metadata=metadata, timeout=20)

    assert codes == {grpc.StatusCode.DEADLINE_EXCEEDED}


def test_grpc_calls_of_one_key_leave_places_for_others(
    make_app: AppMaker, serve_on_grpc: ServeGrpc, api_key: NewKey, registry: Registry
) -> None:
    registry.save_project("bakery")
    metadata = [("authorization", f"Bearer {registry.create_key('bakery').secret}")]

    with (
        grpc.insecure_channel(serve_on_grpc(make_app())) as channel,
        unfinished_exports(channel, f"Bearer {api_key.secret}", 64) as calls,
    ):
        refused = next(call for call in reversed(calls) if call.code() is not None)
        TraceServiceStub(channel).Export(request(chat()), metadata=metadata, timeout=20)

        assert refused.code() is grpc.StatusCode.UNAVAILABLE


def test_grpc_logs_are_refused_with_what_to_set(make_app: AppMaker, serve_on_grpc: ServeGrpc) -> None:
    with grpc.insecure_channel(serve_on_grpc(make_app())) as channel, pytest.raises(grpc.RpcError) as error:
        LogsServiceStub(channel).Export(ExportLogsServiceRequest(), timeout=20)

    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=SPAN_ONLY" in error.value.details()
