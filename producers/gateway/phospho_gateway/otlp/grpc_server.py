"""
OTLP/gRPC: each call becomes a request to `POST /v1/traces` in this process.

Both protocols so have the same keys, limits, counts and answers. The bytes of a call are not decoded here: a span that
can't be decoded harms only itself. They are read when the app asks for them: after it has checked the key, and within
its time for bodies, so that a stranger's half-sent messages hold neither memory nor a place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import DESCRIPTOR
from starlette.types import ASGIApp, Message

from phospho_gateway.otlp.other_signals import HINTS
from phospho_gateway.otlp.responses import PROTOBUF

_SERVICE = DESCRIPTOR.services_by_name["TraceService"].full_name
_OTHER_SERVICES = {
    f"opentelemetry.proto.collector.{signal}.v1.{signal.capitalize()}Service": hint for signal, hint in HINTS.items()
}
# Open calls; each holds its body in memory. Half of them may be of one key.
_MAX_CALLS = 64
_STOP_TIMEOUT_S = 5.0
# Each is a descriptor. A connection that says nothing is dropped soon, since beyond the bound all are refused.
_MAX_CONNECTIONS = 128
_HANDSHAKE_TIMEOUT_MS = 5_000
_IDLE_TIMEOUT_MS = 75_000
_FORWARDED = ("authorization", "x-phospho-project", "x-request-id")
_CODES: Mapping[int, grpc.StatusCode] = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}


async def serve_grpc(app: ASGIApp, address: str, max_body_bytes: int) -> None:
    """
    Serve OTLP/gRPC, without TLS, in front of the gateway's app until cancelled; open calls end first.

    Raises RuntimeError if the address is in use.
    """
    server = grpc.aio.server(
        maximum_concurrent_rpcs=_MAX_CALLS,
        options=[
            ("grpc.max_receive_message_length", max_body_bytes),
            ("grpc.max_allowed_incoming_connections", _MAX_CONNECTIONS),
            ("grpc.server_handshake_timeout_ms", _HANDSHAKE_TIMEOUT_MS),
            ("grpc.max_connection_idle_ms", _IDLE_TIMEOUT_MS),
            # Else two servers may share one port, and each gets a part of the calls.
            ("grpc.so_reuseport", 0),
        ],
    )
    # Streaming on our side only: gRPC would read the one message of a unary call before the key is checked.
    handler = grpc.stream_unary_rpc_method_handler(_Export(app).call)
    handlers = {_SERVICE: handler} | {name: _refusal(hint) for name, hint in _OTHER_SERVICES.items()}
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(name, {"Export": method}) for name, method in handlers.items()]
    )
    server.add_insecure_port(address)
    await server.start()
    try:
        await server.wait_for_termination()
    finally:
        await server.stop(_STOP_TIMEOUT_S)


def _refusal(hint: str) -> grpc.RpcMethodHandler:
    async def refuse(_: Any, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, hint)
        raise AssertionError("abort raises")

    return grpc.stream_unary_rpc_method_handler(refuse)


class _Export:
    """The method `Export` of OTLP's service of traces."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open_calls: Counter[str | bytes] = Counter()

    async def call(self, _: Any, context: Any) -> bytes:
        """Return the bytes of an ExportTraceServiceResponse, or abort with the status of the HTTP response."""
        metadata = {name: value for name, value in context.invocation_metadata() or () if name in _FORWARDED}
        response = _Response()
        with self._open_call(metadata.get("authorization", "")) as is_allowed:
            if not is_allowed:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "too many calls of this key are open; try again")
            await self._app(_scope(metadata), _receiver(context), response.send)
        if response.status == 200:
            return bytes(response.content)
        return await _abort(context, response)

    @contextmanager
    def _open_call(self, owner: str | bytes) -> Iterator[bool]:
        """Count a call while it is open; yield False where its key has half of the places already."""
        is_allowed = self._open_calls[owner] < _MAX_CALLS // 2
        self._open_calls[owner] += 1
        try:
            yield is_allowed
        finally:
            self._open_calls[owner] -= 1
            if not self._open_calls[owner]:
                del self._open_calls[owner]


class _Response:
    """Collects what an app sends."""

    def __init__(self) -> None:
        self.status = 500
        self.headers: dict[str, str] = {}
        self.content = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            self.content += message.get("body", b"")


async def _abort(context: Any, response: _Response) -> NoReturn:
    """End a call with the error of a response: google.rpc.Status, with the time to wait if there is one."""
    code = _CODES.get(response.status, grpc.StatusCode.INTERNAL)
    status = _status(response)
    if (wait_s := response.headers.get("retry-after", "")).isdecimal():
        status.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=int(wait_s))))
    status.code = code.value[0]
    await context.abort(code, status.message, (("grpc-status-details-bin", status.SerializeToString()),))
    raise AssertionError("abort raises")


def _status(response: _Response) -> Status:
    try:
        return Status.FromString(bytes(response.content))
    except DecodeError:
        return Status(message=f"the gateway answered {response.status}")


def _scope(metadata: Mapping[str, str | bytes]) -> dict[str, Any]:
    headers = {"content-type": PROTOBUF, **metadata}
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "2",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/traces",
        "raw_path": b"/v1/traces",
        "root_path": "",
        "query_string": b"",
        "headers": [
            (name.encode(), value.encode() if isinstance(value, str) else value) for name, value in headers.items()
        ],
        "client": None,
        "server": None,
    }


def _receiver(context: Any) -> Any:
    """Return a function that reads the message of a call at its first call."""
    is_read = False

    async def receive() -> Message:
        nonlocal is_read
        if is_read:
            return {"type": "http.disconnect"}
        is_read = True
        body = await context.read()
        return {"type": "http.request", "body": b"" if body is grpc.aio.EOF else body, "more_body": False}

    return receive
