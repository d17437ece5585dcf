"""The HTTP side of a process: gateway, API and pages on one port."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, Metric
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from phospho_cli.processes.backend import Backend, store_check
from phospho_cli.processes.routing import PathRouter
from phospho_cli.processes.tools import build_tools
from phospho_dashboard.app import api_routes, create_services, page_routes
from phospho_dashboard.health.project_gauges import ProjectGauges
from phospho_dashboard.services import Services
from phospho_dashboard.settings import DashboardSettings
from phospho_dashboard.web.error_pages import on_unexpected, shown_to_browsers
from phospho_gateway import metrics as gateway_metrics
from phospho_gateway.app import create_app as create_gateway
from phospho_gateway.intake.events import Envelope
from phospho_gateway.intake.feedback import FeedbackReader
from phospho_gateway.legacy.reads.reads import Reads
from phospho_gateway.settings import GatewaySettings
from phospho_schemas.ids import HybridClock
from phospho_schemas.messages import EventDefinition
from phospho_schemas.records import Keyed
from phospho_web.responses import on_http_exception
from phospho_workers.detection.definitions import check_definition, compile_definitions
from phospho_workers.detection.detect import Task, analyse
from phospho_workers.jobs.settings import JobSettings
from phospho_workers.runtime import metrics as worker_metrics


@contextmanager
def open_web(
    backend: Backend, *, dashboard: DashboardSettings, gateway: GatewaySettings, jobs: JobSettings, has_pages: bool
) -> Iterator[ASGIApp]:
    """Yield the app of one port: the gateway, the API, and the pages if `has_pages`."""
    registry = CollectorRegistry()
    with ExitStack() as stack:
        gauges = ProjectGauges(backend.store)
        stack.callback(gauges.close)
        registry.register(gauges)
        registry.register(_RegistryMetrics(gateway_metrics.REGISTRY))
        registry.register(_RegistryMetrics(worker_metrics.REGISTRY))
        reads = Reads(backend.store, gateway)
        stack.callback(reads.close)
        services = _services(backend, dashboard, jobs)
        stack.callback(services.close)
        yield PathRouter(
            _gateway_app(backend, gateway, reads, registry, needs_store=has_pages), _pages_app(services, has_pages)
        )


def _services(backend: Backend, settings: DashboardSettings, jobs: JobSettings) -> Services:
    return create_services(
        settings,
        backend.store,
        backend.registry,
        backend.authenticator,
        backend.publisher,
        check_definition,
        build_tools(backend.store, backend.clock, jobs),
        read_feedback=feedback_reading(backend.clock),
        preview=preview,
        own_metrics=own_metrics,
    )


def _gateway_app(
    backend: Backend, settings: GatewaySettings, reads: Reads, registry: CollectorRegistry, *, needs_store: bool
) -> ASGIApp:
    """Return the gateway. Without pages it is ready while ClickHouse is away: it goes on taking logs."""
    readiness = dict(backend.readiness)
    if needs_store:
        readiness["clickhouse"] = store_check(backend.store)
    return create_gateway(
        settings,
        authenticator=backend.authenticator,
        publisher=backend.publisher,
        clock=backend.clock,
        reads=reads,
        readiness=readiness,
        quotas=backend.quotas,
        registry=registry,
    )


def _pages_app(services: Services, has_pages: bool) -> ASGIApp:
    routes = [*api_routes(services), *(page_routes(services) if has_pages else [])]
    handlers = {HTTPException: shown_to_browsers(on_http_exception), Exception: on_unexpected}
    return Starlette(routes=routes, exception_handlers=handlers)


def own_metrics() -> list[Metric]:
    """Return the metrics that this process counts itself, without those that query the store."""
    counters = (
        gateway_metrics.ACCEPTED,
        gateway_metrics.REJECTED,
        gateway_metrics.PUBLISH_FAILURES,
        gateway_metrics.UNEXPECTED_ERRORS,
    )
    return [*worker_metrics.REGISTRY.collect(), *(metric for counter in counters for metric in counter.collect())]


def feedback_reading(clock: HybridClock) -> Callable[[str, str, dict[str, Any]], Keyed]:
    """Return a reader of the pages' feedback that does what the gateway does with the API's."""
    reader = FeedbackReader(clock)

    def read(project_id: str, task_id: str, body: dict[str, Any]) -> Keyed:
        return reader.read(task_id, body, Envelope(project_id, "feedback", datetime.now(UTC))).keyed

    return read


def preview(definition: EventDefinition, tasks: Sequence[Task]) -> list[dict[str, Any] | None]:
    """Return the event that a definition finds in each task, or None, and store nothing."""
    compiled = compile_definitions([definition])
    rows = analyse(tasks, {definition.project_id: compiled})
    return [next(iter(row["events"]), None) for row in rows]


class _RegistryMetrics:
    """A collector of another registry's metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        return self._registry.collect()
