"""An embedded store with two projects, and the app on it. chDB takes one path a process: each module has its turn."""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import orjson
import pytest
from argon2 import PasswordHasher
from httpx import ASGITransport, AsyncClient
from starlette.applications import Starlette
from starlette.testclient import TestClient

from phospho_cli.processes.web import build_integrations
from phospho_dashboard.app import Integrations, api_routes, create_app
from phospho_dashboard.auth.directory import Passwords
from phospho_dashboard.detection import Detection
from phospho_dashboard.services import Services, create_services
from phospho_dashboard.settings import DashboardSettings
from phospho_dashboard.webhooks.webhooks import WebhookSending
from phospho_gateway.intake.feedback import feedback_reading
from phospho_schemas.ids import HybridClock
from phospho_schemas.messages import EventDefinition
from phospho_schemas.topics import Keyed
from phospho_store.jobs.backfills import BackfillRepository
from phospho_store.jobs.webhooks import WebhookRepository
from phospho_store.registry.authentication import Authenticator
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_workers.jobs.settings import JobSettings
from phospho_workers.jobs.webhooks.outbound import Answer
from workers.detection.tasks import keywords

ADMIN_SECRET = "admin-secret"
# As good as real ones in all but their cost.
QUICK_PASSWORDS = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
PASSWORD = "correct horse battery"
_NUMBERS = itertools.count()
MINE, THEIRS = "mine", "theirs"


@dataclass
class RecordingPublisher:
    """A publisher that keeps what it is given."""

    messages: list[Keyed] = field(default_factory=list)

    async def publish(self, messages: Sequence[Keyed], receipts: Sequence[Keyed] = ()) -> None:
        self.messages.extend(messages)


@dataclass
class World:
    """The store, the keys of its two projects, and apps on it."""

    store: Store
    registry: Registry
    keys: dict[str, str]
    publisher: RecordingPublisher
    integrations: Integrations
    _together: dict[str, list[bytes]] | None = None

    def app(self, settings: DashboardSettings, publisher: RecordingPublisher | None) -> Starlette:
        return self.app_of(self.services(settings, publisher))

    def app_of(self, services: Services) -> Starlette:
        return create_app(services, self.integrations)

    def services(
        self,
        settings: DashboardSettings,
        publisher: RecordingPublisher | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Services:
        authenticator = Authenticator(self.registry, admin_secret=ADMIN_SECRET, ttl_s=0.0)
        return create_services(
            settings,
            self.store,
            self.registry,
            authenticator,
            publisher=publisher,
            passwords=QUICK_PASSWORDS,
            now=now,
        )

    def client(
        self, key: str | None = None, settings: DashboardSettings | None = None, *, can_publish: bool = True
    ) -> TestClient:
        app = self.app(settings or DashboardSettings(), self.publisher if can_publish else None)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return TestClient(app, "http://127.0.0.1:8420", headers=headers, follow_redirects=False)

    @property
    def backfills(self) -> BackfillRepository:
        return BackfillRepository(self.store)

    @property
    def webhooks(self) -> WebhookRepository:
        return WebhookRepository(self.store)

    def browser(self) -> AsyncClient:
        """Return a client of open pages that decodes a path once, as servers do; TestClient does it twice."""
        app = self.app(DashboardSettings(pages_open=True), self.publisher)
        return AsyncClient(transport=ASGITransport(app), base_url="http://127.0.0.1:8420")

    def open_pages(self, *, can_publish: bool = True, **changes: object) -> TestClient:
        settings = replace(DashboardSettings(pages_open=True), **changes)  # type: ignore[arg-type]
        return self.client(settings=settings, can_publish=can_publish)

    def signed_in(self, role: str, **project_roles: str) -> TestClient:
        """Return a browser in which somebody of these roles has signed in, at a page of ours."""
        services = self.services(DashboardSettings(), self.publisher)
        name = f"{role}-{next(_NUMBERS)}"
        services.sign_ins.directory.add(name, role, PASSWORD, project_roles)
        headers = {"Sec-Fetch-Site": "same-origin"}
        client = TestClient(self.app_of(services), "http://127.0.0.1:8420", headers=headers, follow_redirects=False)
        client.post("/sign-in", data={"name": name, "password": PASSWORD})
        return client

    def define(self, project_id: str, name: str) -> None:
        definition = EventDefinition(
            project_id=project_id, name=name, engine="keyword", keywords=[name], created_at=datetime.now(UTC)
        )
        self.registry.save_definition(definition)

    def add_task(self, project_id: str, task_id: str, **changes: object) -> None:
        row: dict[str, object] = {"project_id": project_id, "task_id": task_id, "revision": 1, "session_id": "s-1"}
        row |= {"created_at": "2026-01-01T10:00:00.000Z", "received_at": "2026-01-01T10:00:00.000Z"}
        self.add("task_rows", row | {"input": f"hello from {project_id}", "output": "hello"} | changes)

    def add_analysis(self, project_id: str, task_id: str, *names: str, **changes: object) -> None:
        row: dict[str, object] = {"project_id": project_id, "task_id": task_id, "revision": 1, "session_id": "s-1"}
        row |= {"created_at": "2026-01-01T10:00:00.000Z", "language": "en", "language_score": 0.9}
        row |= {"sentiment": "positive", "sentiment_score": 0.5}
        found = [
            {"id": f"{task_id}-{name}", "name": name, "definition_version": 1, "engine": "keyword"}
            | {"scope": "input", "score": 0.75, "evidence": f"words of {project_id}"}
            for name in names
        ]
        self.add("analysis_rows", row | {"events": found} | changes)

    def add_feedback(self, project_id: str, task_id: str, flag: str, **changes: object) -> None:
        row: dict[str, object] = {"project_id": project_id, "task_id": task_id, "feedback_id": f"f-{task_id}"}
        row |= {"revision": 2, "flag": flag, "score": int(flag == "success"), "comment": f"from {project_id}"}
        row |= {"created_at": "2026-01-01T11:00:00.000Z", "received_at": "2026-01-01T11:00:00.000Z"}
        self.add("feedback_rows", row | changes)

    def add_label(self, project_id: str, task_id: str, event: str, label: str) -> None:
        row: dict[str, object] = {"project_id": project_id, "task_id": task_id, "event_name": event, "revision": 1}
        row |= {"label": label, "event_id": f"{task_id}-{event}", "created_at": "2026-01-01T12:00:00.000Z"}
        self.add("label_rows", row)

    def add_dead_letter(
        self,
        dead_letter_id: str,
        project_id: str,
        payload: bytes,
        topic: str = "phospho.raw-logs",
        **changes: object,
    ) -> None:
        row: dict[str, object] = {"project_id": project_id, "dead_letter_id": dead_letter_id, "revision": 1}
        row |= {"stage": "extraction", "reason": "invalid_json", "detail": "d", "headers": []}
        row |= {"source_topic": topic, "source_partition": 0, "source_offset": 7}
        row |= {"payload_base64": base64.b64encode(payload).decode(), "key_base64": base64.b64encode(b"k\xff").decode()}
        self.add("dead_letter_rows", row | {"received_at": "2026-01-01T10:00:00.000Z"} | changes)

    def add(self, table: str, row: dict[str, object]) -> None:
        if self._together is None:
            self.store.insert(table, orjson.dumps(row))
        else:
            self._together.setdefault(table, []).append(orjson.dumps(row))

    @contextmanager
    def together(self) -> Iterator[None]:
        """Store the rows that are added inside at its end, by one insert a table: each costs the engine 10 ms."""
        self._together = tables = {}
        yield
        self._together = None
        for table, lines in tables.items():
            self.store.insert(table, b"\n".join(lines))


def refuse_bad_words(definition: EventDefinition) -> str | None:
    return "this pattern does not compile" if definition.pattern == "(" else None


def integrations(store: Store) -> Integrations:
    """Return the functions of the workers and the gateway, with a simple check of definitions."""
    clock = HybridClock()
    integrations = build_integrations(store, clock, JobSettings(secret_key="a secret of the installation"))
    detection = replace(integrations.detection, check=refuse_bad_words)
    return replace(integrations, detection=detection, read_feedback=feedback_reading(clock))


@pytest.fixture(scope="module")
def world(store: Store) -> World:
    registry = Registry(store)
    keys = {}
    for project_id in (MINE, THEIRS):
        registry.save_project(project_id)
        keys[project_id] = registry.create_key(project_id, "first").secret
    return World(store, registry, keys, RecordingPublisher(), integrations(store))


@pytest.fixture
def project(world: World, request: pytest.FixtureRequest) -> str:
    """Return a project that only this test has."""
    project_id = "p-" + re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:90].strip("-")
    world.registry.save_project(project_id)
    return project_id


@pytest.fixture(scope="module")
def mine(world: World) -> TestClient:
    return world.client(world.keys[MINE])


@pytest.fixture(scope="module")
def admin(world: World) -> TestClient:
    return world.client(ADMIN_SECRET)


@pytest.fixture
def pages(world: World) -> TestClient:
    """A browser of the open pages, which sends its forms from them."""
    client: TestClient = world.open_pages()
    client.headers["Sec-Fetch-Site"] = "same-origin"
    return client


@pytest.fixture
def fresh(world: World, request: pytest.FixtureRequest) -> TestClient:
    """Return a client with the key of a project that only this test has."""
    project_id = request.node.name.replace("_", "-")[:100]
    world.registry.save_project(project_id)
    return world.client(world.registry.create_key(project_id).secret)


def fake_diff(old: EventDefinition | None, new: EventDefinition, tasks: int) -> dict[str, object]:
    return {"tasks": tasks, "newly_found": len(new.keywords), "no_longer_found": len(old.keywords) if old else 0}


@pytest.fixture
def fake_integrations(world: World) -> Integrations:
    detection = Detection(
        check=refuse_bad_words,
        warning=lambda definition: None,
        estimate=lambda definition, from_at, to_at: {"tasks": 7, "from": str(from_at), "to": str(to_at)},
        diff=fake_diff,
        label_queue=lambda project_id, name, count: [f"{project_id}-{name}"][:count],
    )
    webhooks = WebhookSending(
        repository=WebhookRepository(world.store),
        secret_of=lambda webhook: "whsec_" + webhook.salt,
        url_refusal=lambda url: None if url.startswith("https://") else "it must begin with https://",
        send_test=lambda webhook: Answer(0, "nobody there"),
    )
    return Integrations(detection, world.integrations.meaning, webhooks)


@pytest.fixture
def fake_clients(world: World, fake_integrations: Integrations) -> Iterator[dict[str, TestClient]]:
    def client(key: str, integrations: Integrations) -> TestClient:
        authenticator = Authenticator(world.registry, ttl_s=0.0)
        services = create_services(DashboardSettings(), world.store, world.registry, authenticator)
        closing.append(services)
        headers = {"Authorization": f"Bearer {key}"}
        return TestClient(Starlette(routes=api_routes(services, integrations)), headers=headers)

    closing: list = []
    without_secret = replace(fake_integrations, webhooks=replace(fake_integrations.webhooks, repository=None))
    yield {
        MINE: client(world.keys[MINE], fake_integrations),
        THEIRS: client(world.keys[THEIRS], fake_integrations),
        "without a secret": client(world.keys[MINE], without_secret),
        "nobody": client("ph_nobody", fake_integrations),
    }
    for services in closing:
        services.close()


@pytest.fixture
def fake_mine(fake_clients: dict[str, TestClient]) -> TestClient:
    return fake_clients[MINE]


@pytest.fixture
def fake_theirs(fake_clients: dict[str, TestClient]) -> TestClient:
    return fake_clients[THEIRS]


@pytest.fixture
def refund(world: World) -> EventDefinition:
    return world.registry.save_definition(keywords("refund/all", "refund", project_id=MINE))
