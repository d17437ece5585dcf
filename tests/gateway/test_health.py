"""Health, readiness, metrics, docs, and the answers that every path has in common."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from starlette.routing import Route

from gateway.conftest import AppMaker, ClientMaker, Counted
from gateway.recording import RecordingPublisher
from phospho_gateway.docs import document
from phospho_gateway.settings import GatewaySettings, KafkaPublisherSettings
from phospho_schemas.kafka import KafkaSettings
from phospho_schemas.topics import Keyed

EVENT = {"input": "a", "output": "b"}


class BrokenPublisher:
    """Fails with an error that no code handles."""

    async def publish(self, messages: Sequence[Keyed], receipts: Sequence[Keyed] = ()) -> None:
        raise RuntimeError("a secret of the inside")


async def test_health_needs_no_key_and_no_dependency(make_client: ClientMaker) -> None:
    client = make_client(secret=None, readiness={"kafka": lambda: "away"})

    answer = await client.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_readiness_says_what_is_not_ready_and_why(make_client: ClientMaker) -> None:
    def breaks() -> str | None:
        raise OSError("no route")

    client = make_client(secret=None, readiness={"kafka": lambda: "topic missing", "store": lambda: None, "x": breaks})

    answer = await client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json() == {
        "status": "not_ready",
        "checks": {
            "kafka": {"status": "not_ready", "reason": "topic missing"},
            "store": {"status": "ready"},
            "x": {"status": "not_ready", "reason": "the check failed: OSError"},
        },
    }


async def test_ready_is_when_every_check_is(make_client: ClientMaker) -> None:
    answer = await make_client(readiness={"store": lambda: None}).get("/readyz")

    assert (answer.status_code, answer.json()["status"]) == (200, "ready")


async def test_a_check_that_hangs_is_not_ready_and_runs_once(make_client: ClientMaker) -> None:
    released = threading.Event()
    started: list[int] = []

    def hangs() -> str | None:
        started.append(1)
        released.wait(10)
        return None

    client = make_client(settings=GatewaySettings(readiness_timeout_s=0.05), readiness={"store": hangs})
    answers = [await client.get("/readyz") for _ in range(3)]
    released.set()

    assert {answer.status_code for answer in answers} == {503}
    assert answers[0].json()["checks"]["store"]["reason"] == "no answer within 0.05 s"
    assert len(started) == 1


async def test_metrics_count_with_bounded_labels(client: httpx.AsyncClient, counted: Counted) -> None:
    await client.post("/api/v1/events", json=EVENT)
    await client.post("/api/v1/events/batch", json={"events": [EVENT, {}, EVENT]})
    await client.post("/api/v1/events/some-id/feedback", json={"score": 1})
    await client.get("/no/such/path/1")
    await client.request("BREW", "/no/such/path/2")
    metrics = counted()

    for line in (
        'requests_total{method="POST",route="/api/v1/events",status="201"} 1.0',
        'requests_total{method="POST",route="/api/v1/events/{event_id}/feedback",status="201"} 1.0',
        'requests_total{method="GET",route="unmatched",status="404"} 1.0',
        'requests_total{method="other",route="unmatched",status="404"} 1.0',
        'messages_accepted_total{source="api_v1"} 1.0',
        'messages_accepted_total{source="batch"} 2.0',
        'messages_accepted_total{source="feedback"} 1.0',
        'messages_rejected_total{code="missing_input",source="batch"} 1.0',
        "publish_seconds_count 3.0",
    ):
        assert f"phospho_gateway_{line}" in metrics
    assert "some-id" not in metrics


async def test_metrics_are_those_of_the_registry(make_client: ClientMaker) -> None:
    """The gateway's own unless another is given, as `phospho up` does with those of all its parts."""
    other = CollectorRegistry()
    Counter("phospho_other_total", "Of another part", registry=other)

    own, given = make_client(), make_client(registry=other)

    assert "phospho_gateway_requests_total" in (await own.get("/metrics")).text
    assert "phospho_other_total 0.0" in (await given.get("/metrics")).text


async def test_a_path_or_a_method_that_there_is_not_has_the_same_error_shape(client: httpx.AsyncClient) -> None:
    missing = await client.get("/api/v9")
    slash = await client.post("/api/v1/events/", json=EVENT)
    method = await client.get("/api/v1/events")

    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    assert slash.status_code == 404
    assert (method.status_code, method.json()["error"]["code"]) == (405, "method_not_allowed")
    assert method.headers["Allow"] == "POST"
    assert all(set(answer.json()["error"]) == {"code", "message", "hint"} for answer in (missing, method))


async def test_unexpected_error_is_a_500_that_tells_nothing(
    make_client: ClientMaker, caplog: pytest.LogCaptureFixture, counted: Counted
) -> None:
    client = make_client(publisher=BrokenPublisher())

    answer = await client.post("/api/v1/events", json=EVENT, headers={"X-Request-ID": "r-1"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "r-1" in answer.json()["error"]["hint"]
    assert "secret of the inside" not in answer.text
    assert "r-1" in caplog.text
    assert "unexpected_errors_total 1.0" in counted()


async def test_response_has_the_clients_request_id_or_a_new_one(client: httpx.AsyncClient) -> None:
    own = await client.get("/healthz", headers={"X-Request-ID": "abc-1"})
    odd = await client.get("/healthz", headers={"X-Request-ID": "a b\tc" + "x" * 200})
    none = await client.get("/nope")

    assert own.headers["X-Request-ID"] == "abc-1"
    assert re.fullmatch("[0-9a-f]{32}", odd.headers["X-Request-ID"])
    assert re.fullmatch("[0-9a-f]{32}", none.headers["X-Request-ID"])


async def test_browsers_of_other_origins_are_let_in_by_setting_only(make_client: ClientMaker) -> None:
    origin = "https://app.example"
    preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight["Access-Control-Request-Headers"] = "authorization,traceparent,baggage,x-app"
    closed = make_client()
    opened = make_client(settings=GatewaySettings(cors_origins=(origin,)))

    refused = await closed.post("/api/v1/events", json=EVENT, headers={"Origin": origin})
    taken = await opened.post("/api/v1/events", json=EVENT, headers={"Origin": origin})
    asked = await opened.options("/api/v1/events", headers=preflight)
    stranger = await opened.options("/api/v1/events", headers=preflight | {"Origin": "https://evil.example"})

    assert "access-control-allow-origin" not in refused.headers
    assert taken.headers["access-control-allow-origin"] == origin
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (200, origin)
    assert "access-control-allow-origin" not in stranger.headers


async def test_the_docs_page_loads_nothing_from_anywhere(make_client: ClientMaker) -> None:
    answer = await make_client(secret=None).get("/docs")

    assert answer.headers["Content-Type"].startswith("text/html")
    assert not re.findall(r"https?://|//[a-z]|<script|src=|url\(|@import|<link", answer.text)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


async def test_the_docs_page_shows_every_operation_and_every_field_of_an_event(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text

    for path in document()["paths"]:
        assert path in page
    for name in document()["components"]["schemas"]["Event"]["properties"]:
        assert f"<code>{name}</code>" in page


async def test_the_openapi_document_has_every_route_of_the_app(client: httpx.AsyncClient, make_app: AppMaker) -> None:
    described = (await client.get("/openapi.json")).json()["paths"]

    routes = {
        (route.path.replace(":path", ""), method.lower())
        for route in make_app().routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    operations = {(path, method) for path, methods in described.items() for method in methods}
    refused_signals = {("/v1/logs", "post"), ("/v1/metrics", "post")}
    assert operations == routes - {("/docs", "get"), ("/openapi.json", "get")} - refused_signals


def test_every_reference_of_the_openapi_document_leads_somewhere() -> None:
    content = document()
    names = set(re.findall(r"#/components/schemas/(\w+)", str(content)))

    assert names == set(content["components"]["schemas"])


def test_every_setting_has_a_help_text() -> None:
    for settings in (GatewaySettings, KafkaPublisherSettings, KafkaSettings):
        # The settings of a part are checked by themselves.
        assert all(field.metadata["help"] for field in fields(settings) if field.type != "KafkaSettings")


def test_the_gateway_imports_neither_workers_nor_dashboard() -> None:
    package = Path(__import__("phospho_gateway").__file__).parent

    for module in package.glob("*.py"):
        assert not re.search(r"phospho_(workers|dashboard)", module.read_text()), module.name


async def test_nothing_is_published_by_reading(client: httpx.AsyncClient, publisher: RecordingPublisher) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"):
        assert (await client.get(path)).status_code == 200

    assert publisher.messages == []
