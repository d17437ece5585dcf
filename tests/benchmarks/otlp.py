"""
The cost of OTLP for the gateway: spans a second of one core, for each part of the way and for all of it. Prints JSON.

    PYTHONPATH=tests python -m benchmarks.otlp [--traces 1000] [--rounds 5]

A trace is that of an agent with a tool: five spans, two of them calls of a model with OpenInference's attributes and
about 1.5 kB each. An export holds 100 traces. `decode_*` makes spans of bytes, `translate` makes raw logs of spans,
`gateway_*` is a request to the gateway as an ASGI app, whose publisher takes everything: key, body, gzip or none,
decoding, translation, checks, the messages. Seconds are CPU time of this process, of the best of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import platform
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import httpx
import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from gateway.otlp.making import START_NS, json_body, request, span
from phospho_gateway.app import create_app
from phospho_gateway.otlp.encodings import json_encoding, protobuf
from phospho_gateway.otlp.translation import raw_logs
from phospho_gateway.read_store import ReadStore
from phospho_gateway.settings import GatewaySettings
from phospho_schemas.ids import HybridClock
from phospho_schemas.topics import Keyed
from phospho_store.clickhouse import remote
from phospho_store.registry.authentication import Authenticator, Principal

TRACES_AN_EXPORT = 100
SPANS_A_TRACE = 5
TEXT = "I need a flight to Lisbon on Friday, in the morning if there is one, for two of us. " * 4
MAX_SPANS = 1_000_000


def main() -> None:
    options = _options()
    exports = [_export(first) for first in range(0, options.traces, TRACES_AN_EXPORT)]
    report = {
        "python": platform.python_version(),
        "spans": len(exports) * TRACES_AN_EXPORT * SPANS_A_TRACE,
        "bytes_a_span": len(exports[0].SerializeToString()) / TRACES_AN_EXPORT / SPANS_A_TRACE,
        "spans_per_s_per_core": asyncio.run(_measured(exports, options.rounds)),
    }
    print(json.dumps(report, indent=2))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


async def _measured(exports: Sequence[ExportTraceServiceRequest], rounds: int) -> dict[str, int]:
    binary = [export.SerializeToString() for export in exports]
    text = [orjson.dumps(json_body(export)) for export in exports]
    spans = [protobuf.export_of(body, MAX_SPANS).spans for body in binary]
    zipped = [gzip.compress(body, 6) for body in binary]
    transport = httpx.ASGITransport(_gateway())
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        ways: dict[str, Callable[[], Awaitable[None]]] = {
            "decode_protobuf": _each(binary, lambda body: protobuf.export_of(body, MAX_SPANS)),
            "decode_json": _each(text, lambda body: json_encoding.export_of(orjson.loads(body), MAX_SPANS)),
            "translate": _each(spans, raw_logs),
            "gateway_protobuf": _posted(client, binary, "application/x-protobuf"),
            "gateway_protobuf_gzip": _posted(client, zipped, "application/x-protobuf", {"Content-Encoding": "gzip"}),
            "gateway_json": _posted(client, text, "application/json"),
        }
        count = sum(map(len, spans))
        return {name: round(count / await _best_s(way, rounds)) for name, way in ways.items()}


def _each(items: Sequence[Any], work: Callable[[Any], object]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        for item in items:
            work(item)

    return run


def _posted(
    client: httpx.AsyncClient, bodies: Sequence[bytes], media_type: str, further: Mapping[str, str] | None = None
) -> Callable[[], Awaitable[None]]:
    headers = {"Authorization": "Bearer ph_benchmark", "Content-Type": media_type, **(further or {})}

    async def run() -> None:
        for body in bodies:
            answer = await client.post("/v1/traces", content=body, headers=headers)
            assert answer.content in (b"", b"{}"), answer.content

    return run


async def _best_s(way: Callable[[], Awaitable[None]], rounds: int) -> float:
    durations = []
    for _ in range(rounds):
        began_s = time.process_time()
        await way()
        durations.append(time.process_time() - began_s)
    return min(durations)


class _Taking:
    """A publisher that takes everything."""

    async def publish(self, messages: Sequence[Keyed], receipts: Sequence[Keyed] = ()) -> None:
        assert messages


class _OneKey(Authenticator):
    """Knows every key, and asks nobody."""

    def __init__(self) -> None:
        pass

    def cached(self, secret: str) -> Principal:
        return Principal("bench", is_admin=False)


def _gateway() -> Any:
    settings = GatewaySettings()
    # Nothing is read back here, so nothing connects.
    reads = ReadStore(remote("http://127.0.0.1:8123"), settings)
    return create_app(
        settings, authenticator=_OneKey(), publisher=_Taking(), clock=HybridClock(), reads=reads, readiness={}
    )


def _export(first: int) -> ExportTraceServiceRequest:
    spans = [made for number in range(first, first + TRACES_AN_EXPORT) for made in _trace(number)]
    resource = {"service.name": "travel", "service.version": "1.2", "telemetry.sdk.language": "python"}
    return request(*spans, resource=resource, scope="openinference.instrumentation.openai")


def _trace(number: int) -> list[Span]:
    trace_id = f"{START_NS + number:032x}"
    shared = {"session.id": f"conversation-{number // 3}", "user.id": "ann"}
    tool = shared | {
        "openinference.span.kind": "TOOL",
        "tool.name": "flights",
        "input.value": TEXT,
        "output.value": TEXT,
    }
    agent = shared | {"openinference.span.kind": "AGENT", "input.value": TEXT, "output.value": TEXT}
    made = [
        span(1, name="agent", trace_id=trace_id, attributes=agent, ended_ms=900),
        span(2, name="ChatCompletion", parent=1, trace_id=trace_id, attributes=shared | _call(), ended_ms=300),
        span(3, name="flights", parent=1, trace_id=trace_id, attributes=tool, began_ms=300, ended_ms=400),
        span(4, name="GET", parent=3, trace_id=trace_id, attributes={"http.request.method": "GET"}, began_ms=310),
        span(
            5,
            name="ChatCompletion",
            parent=1,
            trace_id=trace_id,
            attributes=shared | _call(),
            began_ms=400,
            ended_ms=800,
        ),
    ]
    assert len(made) == SPANS_A_TRACE
    return made


def _call() -> dict[str, Any]:
    turns = [("system", "Be brief"), ("user", TEXT), ("assistant", TEXT), ("user", TEXT)]
    told: dict[str, Any] = {
        "openinference.span.kind": "LLM",
        "llm.system": "openai",
        "llm.model_name": "gpt-4o-mini-2024-07-18",
        "llm.invocation_parameters": '{"temperature": 0.5, "model": "gpt-4o-mini"}',
        "llm.token_count.prompt": 120,
        "llm.token_count.completion": 40,
        "llm.token_count.total": 160,
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": TEXT,
        "output.value": TEXT,
        "output.mime_type": "text/plain",
    }
    for place, (role, content) in enumerate(turns):
        told |= {
            f"llm.input_messages.{place}.message.role": role,
            f"llm.input_messages.{place}.message.content": content,
        }
    return told


if __name__ == "__main__":
    main()
