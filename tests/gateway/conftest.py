"""Fixtures of the gateway: one embedded store for keys, apps with a recording publisher, and real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from starlette.applications import Starlette

from fixtures.served import served
from gateway.recording import RecordingPublisher
from phospho_gateway.app import create_app
from phospho_gateway.health import Check
from phospho_gateway.metrics import REGISTRY
from phospho_gateway.read_store import ReadStore
from phospho_gateway.settings import GatewaySettings
from phospho_schemas.ids import HybridClock
from phospho_store.registry.authentication import Authenticator
from phospho_store.registry.quotas import DailyQuotas
from phospho_store.registry.registry import NewKey, Registry
from phospho_store.store import Store
from phospho_web.publisher import Publisher

ADMIN_SECRET = "ph_admin_secret_of_the_tests"


@pytest.fixture(scope="module")
def registry(store: Store) -> Registry:
    return Registry(store)


@pytest.fixture(scope="module")
def api_key(registry: Registry) -> NewKey:
    """A key of the project `shop`."""
    registry.save_project("shop")
    return registry.create_key("shop")


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


AppMaker = Callable[..., Starlette]


@pytest.fixture
def reads(store: Store) -> Iterator[ReadStore]:
    reads = ReadStore(store, GatewaySettings())
    yield reads
    reads.close()


@pytest.fixture
def make_app(registry: Registry, publisher: RecordingPublisher, reads: ReadStore) -> AppMaker:
    """Return a function that makes an app; what it is not given is the default."""
    keys = registry

    def make(
        settings: GatewaySettings | None = None,
        authenticator: Authenticator | None = None,
        publisher: Publisher = publisher,
        readiness: dict[str, Check] | None = None,
        quotas: DailyQuotas | None = None,
        reads: ReadStore = reads,
        registry: CollectorRegistry = REGISTRY,
    ) -> Starlette:
        return create_app(
            settings or GatewaySettings(),
            authenticator=authenticator or Authenticator(keys, admin_secret=ADMIN_SECRET),
            publisher=publisher,
            clock=HybridClock(),
            reads=reads,
            readiness=readiness or {},
            quotas=quotas,
            registry=registry,
        )

    return make


ClientMaker = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def make_client(make_app: AppMaker, api_key: NewKey) -> AsyncIterator[ClientMaker]:
    """Return a function that makes a client of an app, in this process, with the key of `shop`."""
    clients: list[httpx.AsyncClient] = []

    def make(secret: str | None = api_key.secret, **app_arguments: object) -> httpx.AsyncClient:
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        transport = httpx.ASGITransport(make_app(**app_arguments))
        clients.append(httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers))
        return clients[-1]

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
def client(make_client: ClientMaker) -> httpx.AsyncClient:
    """A client with the key of `shop`."""
    return make_client()


Counted = Callable[[], str]


@pytest.fixture
def counted() -> Counted:
    """Return a function that shows, as Prometheus does, by how much each metric has changed in this test."""
    before = _samples()

    def show() -> str:
        changes = {name: value - before.get(name, 0.0) for name, value in _samples().items()}
        # A series without labels is always there.
        return "\n".join(f"{name} {change}" for name, change in changes.items() if change or "{" not in name)

    return show


def _samples() -> dict[str, float]:
    lines = [line for line in generate_latest(REGISTRY).decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


Serve = Callable[[Starlette], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that serves an app on loopback until the test is over."""
    with ExitStack() as servers:
        yield lambda app: servers.enter_context(served(app))
