"""The web side of a process, put together: gateway, API and pages over one store and one publisher."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Metric
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from phospho_cli.processes.front_door import FrontDoor
from phospho_dashboard.analytics.prices import Prices
from phospho_dashboard.app import api_routes, create_services, page_routes
from phospho_dashboard.auth.local_user import OPEN_PATH
from phospho_dashboard.health.project_gauges import ProjectGauges
from phospho_dashboard.job_tools import Tools
from phospho_dashboard.services import Publisher
from phospho_dashboard.settings import DashboardSettings, SignInSettings
from phospho_dashboard.web.error_pages import on_unexpected, shown_to_browsers
from phospho_gateway.app import create_app as create_gateway
from phospho_gateway.intake.events import Envelope
from phospho_gateway.intake.feedback import FeedbackReader
from phospho_gateway.legacy.reads.reads import Reads
from phospho_gateway.metrics import GatewayMetrics
from phospho_gateway.settings import GatewaySettings
from phospho_schemas.ids import HybridClock
from phospho_schemas.messages import EventDefinition
from phospho_schemas.people import Role
from phospho_schemas.records import Keyed
from phospho_store.errors import StoreError
from phospho_store.jobs.backfills import BackfillBook
from phospho_store.jobs.session_closes import SessionClosings
from phospho_store.jobs.webhooks import WebhookBook, shown_secret
from phospho_store.registry.authentication import Authenticator
from phospho_store.registry.instructions import InstructionBook
from phospho_store.registry.people import People
from phospho_store.registry.quotas import DailyQuotas
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_web.responses import on_http_exception
from phospho_workers.detection.definitions import check_definition, compile_definitions
from phospho_workers.detection.detect import Task, analyse
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.jobs.backfills.history import History
from phospho_workers.jobs.learning.examples import LabelledTasks
from phospho_workers.jobs.learning.trainer import ClassifierTrainer
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.jobs.settings import JobSettings
from phospho_workers.jobs.webhooks.addresses import host_refusal, url_refusal
from phospho_workers.jobs.webhooks.delivery import send_test_message
from phospho_workers.jobs.webhooks.outbound import Outbound
from phospho_workers.runtime import metrics as worker_metrics
from phospho_workers.trials.label_queue import LabelQueue
from phospho_workers.trials.trial_classifiers import TrialClassifiers
from phospho_workers.trials.trials import Trials


@dataclass(frozen=True)
class Proxy:
    """
    A proxy, whose requests come from `addresses` alone; what it says of a client's address is believed.

    Where it signs people in, it names them in `header`: who is not listed has `role`, or may not see the pages where
    that is None.
    """

    header: str
    addresses: Sequence[str]
    role: Role | None = None


@dataclass(frozen=True)
class Web:
    """
    What a process serves: `has_pages` beside the API, the local user's without signing in where `pages_open`, to whom
    `local_secret` was told.

    `form_key` is a secret that the processes of one deployment share; `metrics_urls` are where they show their metrics.
    `prices` turn tokens into money.
    """

    base_url: str
    has_pages: bool
    pages_open: bool = False
    local_secret: str = field(default="", repr=False)
    prices: Prices = field(default_factory=Prices)
    sign_in: SignInSettings = SignInSettings()  # noqa: RUF009 (frozen)
    form_key: str = field(default="", repr=False)
    metrics_urls: tuple[str, ...] = ()


def sign_in_settings(setup_codes: Sequence[str], proxy: Proxy | None = None) -> SignInSettings:
    """Return who may sign in: with the first of `setup_codes` that are not empty, or as a proxy says, if it does."""
    codes = tuple(code for code in setup_codes if code)
    if proxy is None:
        return SignInSettings(setup_codes=codes)
    return SignInSettings(
        setup_codes=codes,
        proxy_header=proxy.header,
        trusted_proxies=tuple(proxy.addresses),
        proxy_role=proxy.role,
    )


def pages_url(web: Web) -> str:
    """Return what to open in a browser: where nobody has to sign in, it says that this is the local user's."""
    return f"{web.base_url}{OPEN_PATH}?secret={web.local_secret}" if web.local_secret else web.base_url


def setup_code(store: Store) -> str:
    """Return a new code with which to make the first administrator; empty where somebody can sign in already."""
    try:
        is_needed = not People(store).everybody()
    except StoreError:
        is_needed = True
    return secrets.token_urlsafe(16) if is_needed else ""


@contextmanager
def web_app(
    web: Web,
    store: Store,
    publisher: Publisher,
    clock: HybridClock,
    authenticator: Authenticator,
    readiness: Mapping[str, Callable[[], str | None]],
    gateway: GatewaySettings,
    quotas: DailyQuotas,
    tools: Tools,
) -> Iterator[ASGIApp]:
    """Yield the app of one port: the gateway, the API, and the pages where they are wanted."""
    settings = DashboardSettings(
        web.base_url,
        web.pages_open,
        web.local_secret,
        prices=web.prices,
        sign_in=web.sign_in,
        form_key=web.form_key,
        metrics_urls=web.metrics_urls,
    )
    registry = Registry(store, clock)
    metrics = GatewayMetrics()
    metrics.registry.register(_Others([worker_metrics.REGISTRY]))
    services = create_services(
        settings,
        store,
        registry,
        authenticator,
        publisher,
        check_definition,
        tools,
        read_feedback=feedback_reading(clock),
        preview=preview,
        own_metrics=partial(own_metrics, metrics),
    )
    routes = api_routes(services)
    routes += page_routes(services) if web.has_pages else []
    refusals = {HTTPException: shown_to_browsers(on_http_exception), Exception: on_unexpected}
    gauges, reads = ProjectGauges(store), Reads(store, gateway)
    metrics.registry.register(gauges)
    # A gateway goes on taking logs while ClickHouse is away: it is not out of service then.
    all_readiness = {**readiness, "clickhouse": store_check(store)} if web.has_pages else dict(readiness)
    try:
        yield FrontDoor(
            create_gateway(gateway, authenticator, publisher, clock, reads, all_readiness, metrics, quotas),
            Starlette(routes=routes, exception_handlers=refusals),
        )
    finally:
        gauges.close()
        reads.close()
        services.close()


def tools_of(store: Store, clock: HybridClock, settings: JobSettings) -> Tools:
    """Return what the API does by the code of the workers."""
    instructions = InstructionBook(store, clock)
    cache, history = DefinitionCache(instructions, refresh_interval_s=0.0), History(store)
    classifiers = TrialClassifiers(LabelledTasks(store), ClassifierTrainer())
    trials = Trials(history, SessionFacts(store), cache.current, classifiers, settings.judging)
    outbound = Outbound(settings.allowed_networks)
    return Tools(
        estimate=trials.estimate,
        diff=trials.diff,
        label_queue=LabelQueue(history, cache.current).tasks,
        classifiers=instructions,
        backfills=BackfillBook(store, clock),
        closings=SessionClosings(store, clock),
        webhooks=WebhookBook(store, clock) if settings.secret_key else None,
        secret_of=partial(shown_secret, settings.secret_key),
        url_refusal=lambda url: url_refusal(url) or host_refusal(url, settings.allowed_networks),
        ping=partial(send_test_message, outbound, settings.secret_key),
    )


def own_metrics(gateway: GatewayMetrics) -> list[Metric]:
    """Return what this process counts by itself: nothing that has to be asked of the store."""
    counters = (gateway.accepted, gateway.rejected, gateway.publish_failures, gateway.unexpected_errors)
    counted = [metric for counter in counters for metric in counter.collect()]
    return [*worker_metrics.REGISTRY.collect(), *counted]


def feedback_reading(clock: HybridClock) -> Callable[[str, str, dict[str, Any]], Keyed]:
    """Return what reads a feedback of the pages as the gateway reads one of the API."""
    reader = FeedbackReader(clock)

    def read(project_id: str, task_id: str, body: dict[str, Any]) -> Keyed:
        return reader.read(task_id, body, Envelope(project_id, "feedback", datetime.now(UTC))).keyed

    return read


def preview(definition: EventDefinition, tasks: Sequence[Task]) -> list[dict[str, Any] | None]:
    """Return what a definition would find in each of these tasks: detection's own work, with nothing stored."""
    compiled = compile_definitions([definition])
    rows = analyse(tasks, {definition.project_id: compiled})
    return [next(iter(row["events"]), None) for row in rows]


def store_check(store: Store) -> Callable[[], str | None]:
    """Return a check that asks the store a question, and returns what is wrong."""

    def check() -> str | None:
        try:
            store.rows("SELECT 1 AS answer")
        except StoreError as error:
            return str(error)[:200]
        return None

    return check


class _Others:
    """Shows the metrics of other registries on the same page."""

    def __init__(self, registries: Iterable[CollectorRegistry]) -> None:
        self._registries = tuple(registries)

    def collect(self) -> Iterable[Metric]:
        for registry in self._registries:
            yield from registry.collect()
