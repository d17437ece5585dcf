"""The health of the pipeline: from the tables, from this process, and from others that may not answer."""

from __future__ import annotations

import contextlib
import itertools
import socketserver
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, make_asgi_app
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from fixtures.html_pages import ATTACK, check_page
from fixtures.served import served
from fixtures.server_process import free_port
from phospho_dashboard.health.processes import PROCESS_METRICS, Processes
from phospho_gateway import metrics as gateway_metrics
from phospho_schemas.rows.webhooks import WebhookDelivery
from phospho_workers.runtime import metrics as worker_metrics

_NUMBERS = itertools.count()


@pytest.fixture
def project(world: Any) -> str:
    project_id = f"health-{next(_NUMBERS)}"
    world.registry.save_project(project_id)
    return project_id


@pytest.fixture
def metrics() -> CollectorRegistry:
    """Return what a worker counts that is behind and has met an error."""
    registry = CollectorRegistry()
    lag = Gauge("phospho_consumer_lag_messages", "x", ["topic", "partition"], registry=registry)
    lag.labels("a", "0").set(3)
    lag.labels("a", "1").set(4)
    Counter("phospho_dead_letters_total", "x", ["stage", "reason"], registry=registry).labels("a", "b").inc(2)
    Counter("phospho_something_else_total", "x", registry=registry).inc(99)
    return registry


@pytest.fixture
def workers(metrics: CollectorRegistry) -> Iterator[str]:
    """Serve the metrics of a worker, an endpoint that says nonsense and one that says too much."""

    async def nonsense(_: Any) -> PlainTextResponse:
        return PlainTextResponse("{ this is no metric } <script>")

    async def endless(_: Any) -> PlainTextResponse:
        return PlainTextResponse("# a comment\n" * 400_000)

    routes = [Mount("/metrics", make_asgi_app(metrics)), Route("/nonsense", nonsense), Route("/endless", endless)]
    with served(Starlette(routes=routes)) as address:
        yield address


def test_a_process_tells_its_lag_and_its_errors(world: Any, metrics: CollectorRegistry) -> None:
    [process] = Processes(lambda: metrics.collect(), ()).read()

    assert process == {
        "name": "this process",
        "is_up": True,
        "error": "",
        "facts": {"lag_messages": 7.0, "dead_letters": 2.0},
    }


def test_other_processes_are_asked_and_those_that_do_not_answer_are_named(world: Any, workers: str) -> None:
    urls = [f"{workers}/metrics/", f"http://127.0.0.1:{free_port()}/", f"{workers}/absent", f"{workers}/endless"]

    worker, gone, absent, endless = Processes(None, urls).read()

    assert (worker["is_up"], worker["facts"]) == (True, {"lag_messages": 7.0, "dead_letters": 2.0})
    assert [process["is_up"] for process in (gone, absent, endless)] == [False] * 3
    assert "ConnectError" in gone["error"]
    assert "404" in absent["error"]
    assert "bytes of metrics" in endless["error"]


def test_jobs_tell_what_they_did_and_which_steps_failed(world: Any, project: str) -> None:
    registry = CollectorRegistry()
    since = Gauge("phospho_job_step_age_seconds", "x", ["name"], registry=registry)
    since.labels("learning").set(2)
    since.labels("webhooks").set(400)
    steps = Counter("phospho_job_steps_total", "x", ["name", "outcome"], registry=registry)
    steps.labels("learning", "done").inc(50)
    steps.labels("webhooks", "failed").inc(3)
    told = Counter("phospho_webhook_deliveries_total", "x", ["outcome"], registry=registry)
    for outcome, times in (("delivered", 7), ("retried", 5), ("dead", 1)):
        told.labels(outcome).inc(times)

    [process] = Processes(lambda: registry.collect(), ()).read()

    assert process["facts"] == {
        "seconds_since_job_step": 400.0, "webhooks_delivered": 7.0, "failed_steps": 3.0, "webhook_tries_failed": 5.0,
        "webhooks_given_up": 1.0,
    }  # fmt: skip


def test_every_fact_is_of_a_metric_that_a_process_has() -> None:
    """A metric that is renamed must not vanish from the page in silence."""
    gateway = {family.name for family in gateway_metrics.REGISTRY.collect()}
    workers = {family.name for family in worker_metrics.REGISTRY.collect()}

    assert {fact.metric for fact in PROCESS_METRICS} <= gateway | workers


def test_each_stage_tells_what_waits_what_it_did_and_what_failed(world: Any, project: str) -> None:
    now = datetime.now(UTC)
    at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for number in range(3):
        world.add_task(project, f"t{number}", created_at=at, received_at=at)
    world.add_analysis(project, "t0", created_at=at)
    world.add_dead_letter(f"letter of {project}", project, b"x", stage="detection", received_at=at)
    world.define(project, "flight")
    [definition] = world.registry.definitions(project)
    started = world.backfills.start(definition)
    world.backfills.save(started.model_copy(update={"tasks": 400, "tasks_done": 100}))
    webhook = world.webhooks.add(project, "https://shop.example/hook")
    states = {"a": ("pending", 0), "b": ("delivered", 2), "c": ("dead", 9), "d": ("dead", 1), "e": ("pending", 2)}
    delivery = {"project_id": project, "webhook_id": webhook.webhook_id, "payload": "{}"}
    times = dict.fromkeys(("next_attempt_at", "found_at", "created_at"), now)
    world.webhooks.save_deliveries(
        [
            WebhookDelivery(event_id=one, status=status, attempts=attempts, **delivery, **times)
            for one, (status, attempts) in states.items()
        ]
    )

    page = world.open_pages().get("/settings/health.json", params={"project": project})

    stages = {row["stage"]: row for row in page.json()["stages"]}
    assert [(stages[name]["last_hour"], stages[name]["errors"]) for name in ("extraction", "detection", "sink")] == [
        (3, 0), (1, 1), (4, 0),
    ]  # fmt: skip
    assert (stages["detection"]["waiting"], stages["backfills"]["waiting"], stages["webhooks"]["waiting"]) == (
        2,
        300,
        2,
    )
    assert (stages["webhooks"]["last_minute"], stages["webhooks"]["errors"]) == (1, 3)
    assert stages["learning"]["last_hour"] == 0
    assert stages["learning"]["last_at"] is None


class Dripping(socketserver.BaseRequestHandler):
    """Sends `start`, and then a byte now and then for as long as somebody listens, ten seconds at most."""

    start = b""

    def handle(self) -> None:
        self.request.recv(4096)
        self.request.sendall(self.start)
        stops_at_s = time.monotonic() + 10.0
        with contextlib.suppress(OSError):
            while time.monotonic() < stops_at_s:
                self.request.sendall(b"a")
                time.sleep(0.02)


@pytest.mark.parametrize(
    "start", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n"]
)
def test_who_answers_byte_by_byte_is_not_waited_for(world: Any, monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    monkeypatch.setattr("phospho_dashboard.health.processes._TIMEOUT_S", 0.3)
    handler = type("Handler", (Dripping,), {"start": start})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        [process] = Processes(None, [f"http://127.0.0.1:{server.server_address[1]}/metrics"]).read()
        server.shutdown()

    assert (process["is_up"], process["error"]) == (False, "it has not answered within 0.3 s")


def test_an_answer_that_is_no_metrics_harms_nothing(world: Any, workers: str) -> None:
    [process] = Processes(None, [f"{workers}/nonsense"]).read()

    assert process["facts"] == {}


def test_the_page_says_how_far_behind_a_project_is(world: Any, project: str) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for number in range(3):
        world.add_task(project, f"t{number}", created_at=now, received_at=now)
    world.add_analysis(project, "t0", created_at=now)
    world.add_dead_letter(f"letter-{project}", project, b"x", reason=ATTACK, stage=ATTACK)
    pages = world.open_pages()

    content = pages.get("/settings/health.json", params={"project": project}).json()

    assert (content["freshness"]["backlog_tasks"], content["freshness"]["recent_tasks"]) == (2, 3)
    assert 0 <= content["freshness"]["behind_ms"] < 60_000
    assert content["rows"] == {"last_minute": 3, "last_15_minutes": 3, "last_hour": 3}
    assert [row["dead_letters"] for row in content["dead_letters"]] == [1]
    check_page(pages.get("/settings/health", params={"project": project}))


def test_an_empty_project_is_not_behind(world: Any, project: str) -> None:
    page = world.open_pages().get("/settings/health", params={"project": project})

    assert page.status_code == 200
    assert "no tasks in the last 15 minutes" in page.text


def test_a_projects_key_sees_no_process(world: Any, project: str) -> None:
    client = world.client(world.registry.create_key(project).secret)

    assert client.get("/settings/health.json").json()["processes"] == []
