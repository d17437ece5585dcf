"""The HTTP side of a process: gateway, API and pages on one port."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

from prometheus_client import CollectorRegistry, Metric
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from phospho_cli.demo.sample import sample_source
from phospho_cli.processes.backend import Backend, store_check
from phospho_dashboard.analytics.similar import MeaningReader
from phospho_dashboard.app import Integrations, api_routes, audited, page_routes
from phospho_dashboard.backups.api import BackUp
from phospho_dashboard.detection import Detection
from phospho_dashboard.health.project_gauges import ProjectGauges
from phospho_dashboard.services import Services, create_services
from phospho_dashboard.settings import DashboardSettings
from phospho_dashboard.web.routes import on_unexpected, with_error_page
from phospho_dashboard.web.transfer import light_responses
from phospho_dashboard.webhooks.webhooks import WebhookSending
from phospho_gateway import metrics as gateway_metrics
from phospho_gateway.app import cors
from phospho_gateway.app import create_app as create_gateway
from phospho_gateway.intake.feedback import feedback_reading
from phospho_gateway.intake.imports import ImportIntake
from phospho_gateway.intake.intake import Intake
from phospho_gateway.read_store import ReadStore
from phospho_gateway.settings import GatewaySettings
from phospho_schemas.ids import HybridClock
from phospho_store.jobs.webhooks import WebhookRepository, shown_secret
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.store import Store
from phospho_web.responses import on_http_exception
from phospho_workers.detection.definitions import check_definition, definition_warning
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.detection.text.meaning import codes, similarities
from phospho_workers.jobs.backfills.history import History
from phospho_workers.jobs.learning.examples import LabelledTasks
from phospho_workers.jobs.learning.trainer import ClassifierTrainer
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.jobs.settings import JobSettings
from phospho_workers.jobs.webhooks.addresses import Network, host_refusal, url_refusal
from phospho_workers.jobs.webhooks.delivery import Channels, send_alert_test, send_test_message
from phospho_workers.jobs.webhooks.mail import Mailer
from phospho_workers.jobs.webhooks.outbound import Outbound
from phospho_workers.runtime import metrics as worker_metrics
from phospho_workers.trials.backfill_estimate import BackfillEstimate
from phospho_workers.trials.definition_run import LabelQueue, Preview
from phospho_workers.trials.version_diff import TrialClassifiers, VersionDiff

_GATEWAY_PATHS = (
    *("/api/v1/events", "/api/v1/receipts", "/v1/", "/v2/", "/v3/"),
    *("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"),
)


@contextmanager
def open_web(
    backend: Backend,
    *,
    dashboard: DashboardSettings,
    gateway: GatewaySettings,
    jobs: JobSettings,
    has_pages: bool,
    back_up: BackUp | None = None,
) -> Iterator[ASGIApp]:
    """Yield the app of one port: the gateway, the API, and the pages if `has_pages`."""
    gateway_metrics.PROCESS_INFO.labels("dashboard" if has_pages else "gateway").set(1)
    registry = CollectorRegistry()
    with ExitStack() as stack:
        gauges = ProjectGauges(backend.store)
        stack.callback(gauges.close)
        registry.register(gauges)
        registry.register(_RegistryMetrics(gateway_metrics.REGISTRY))
        registry.register(_RegistryMetrics(worker_metrics.REGISTRY))
        reads = ReadStore(backend.store, gateway)
        stack.callback(reads.close)
        services = create_services(
            dashboard,
            backend.store,
            backend.registry,
            backend.authenticator,
            publisher=backend.publisher,
            clock=backend.clock,
        )
        stack.callback(services.close)
        integrations = replace(
            build_integrations(backend.store, backend.clock, jobs, dashboard.import_networks),
            intake=ImportIntake(Intake(gateway, backend.publisher, backend.clock, backend.quotas)),
            read_feedback=feedback_reading(backend.clock),
            own_metrics=own_metrics,
            back_up=back_up,
        )
        pages = _pages_app(services, integrations, has_pages=has_pages)
        yield PathRouter(
            gateway=_gateway_app(backend, gateway, reads, registry, needs_store=has_pages),
            api=with_cors(pages, gateway),
            pages=pages,
        )


def _gateway_app(
    backend: Backend, settings: GatewaySettings, reads: ReadStore, registry: CollectorRegistry, *, needs_store: bool
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


def _pages_app(services: Services, integrations: Integrations, *, has_pages: bool) -> ASGIApp:
    routes = api_routes(services, integrations)
    if has_pages:
        routes += page_routes(services, integrations)
    handlers = {HTTPException: with_error_page(on_http_exception), Exception: on_unexpected}
    return Starlette(routes=routes, exception_handlers=handlers, middleware=[*light_responses(), *audited(services)])


def with_cors(app: ASGIApp, settings: GatewaySettings) -> ASGIApp:
    """Return the app behind the gateway's CORS: a browser's SDK sends labels to the API of the pages."""
    for middleware in cors(settings):
        app = middleware.cls(app, *middleware.args, **middleware.kwargs)
    return app


def own_metrics() -> list[Metric]:
    """Return the metrics that this process counts itself, without those that query the store."""
    counters = (
        gateway_metrics.ACCEPTED,
        gateway_metrics.REJECTED,
        gateway_metrics.PUBLISH_FAILURES,
        gateway_metrics.UNEXPECTED_ERRORS,
    )
    return [*worker_metrics.REGISTRY.collect(), *(metric for counter in counters for metric in counter.collect())]


class _RegistryMetrics:
    """A collector of another registry's metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        return self._registry.collect()


class PathRouter:
    """Route requests by the beginning of their path. No app has a lifespan of its own."""

    def __init__(self, gateway: ASGIApp, api: ASGIApp, pages: ASGIApp) -> None:
        self._gateway = gateway
        self._api = api
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        app = (
            self._gateway if path.startswith(_GATEWAY_PATHS) else self._api if path.startswith("/api/") else self._pages
        )
        await app(scope, receive, send)


def build_integrations(
    store: Store, clock: HybridClock, settings: JobSettings, import_networks: Sequence[Network] = ()
) -> Integrations:
    """Return the functions over one store. Imports are pulled from public addresses and `import_networks`."""
    definitions = DefinitionRepository(store, clock)
    cache, history = DefinitionCache(definitions, refresh_interval_s=0.0), History(store)
    facts = SessionFacts(store)
    classifiers = TrialClassifiers(LabelledTasks(store), ClassifierTrainer())
    mailer = Mailer(settings.smtp)
    outbound = Outbound(settings.allowed_networks)
    channels = Channels(outbound, settings.secret_key, mailer)
    detection = Detection(
        check=check_definition,
        warning=definition_warning,
        estimate=BackfillEstimate(history, facts, cache.current, settings.judging).estimate,
        diff=VersionDiff(history, facts, cache.current, classifiers).diff,
        label_queue=LabelQueue(history, cache.current).tasks,
        preview=Preview(cache.current).events,
    )
    webhooks = WebhookSending(
        repository=WebhookRepository(store, clock) if settings.secret_key else None,
        secret_of=partial(shown_secret, settings.secret_key),
        url_refusal=lambda url: url_refusal(url) or host_refusal(url, settings.allowed_networks),
        send_test=partial(send_test_message, channels),
        send_alert_test=partial(send_alert_test, channels, settings.pages_url),
        can_mail=mailer.is_configured,
    )
    meaning = MeaningReader(code=lambda text: codes([text])[0], similarities=similarities)
    return Integrations(
        detection,
        meaning,
        webhooks,
        fetch=Outbound(import_networks).fetch,
        sample=sample_source(clock),
        secret_key=settings.secret_key,
    )
