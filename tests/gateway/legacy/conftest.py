"""The legacy API over the real pipeline in this process, with two projects that have something to read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from gateway.conftest import ClientMaker
from phospho_cli.processes.embedded.pipeline import Pipeline
from phospho_gateway.app import create_app
from phospho_gateway.read_store import ReadStore
from phospho_gateway.settings import GatewaySettings
from phospho_schemas.ids import HybridClock
from phospho_schemas.messages import EventDefinition
from phospho_store.registry.authentication import Authenticator
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.registry import NewKey, Registry
from phospho_store.store import Store
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.detection.stage import Detection
from phospho_workers.extraction.stage import Extraction

Json = dict[str, Any]

NOON_S = 1_772_532_000
FLIGHT: Json = {
    "task_id": "task-flight",
    "session_id": "trip",
    "input": "I want to book a flight",
    "output": "Where to?",
    "user_id": "user-1",
    "version_id": "v1",
    "client_created_at": NOON_S,
    "metadata": {"channel": "web", "attempt": 2, "is_beta": True, "price": 1.5},
}
ANSWERED: Json = {
    "task_id": "task-lisbon",
    "session_id": "trip",
    "input": "Lisbon, that would be wonderful",
    "output": "Shall I book the one at 9:40?",
    "user_id": "user-1",
    "version_id": "v2",
    "flag": "success",
    "client_created_at": NOON_S + 60,
}
ALONE: Json = {
    "task_id": "task-alone",
    "session_id": "complaint",
    "input": "This is terrible, I hate it",
    "user_id": "user-2",
    "client_created_at": NOON_S + 3600,
}
SECRET: Json = {"task_id": "task-secret", "session_id": "vault", "input": "What only the rival may read"}


@pytest.fixture(scope="module")
def pipeline(store: Store, registry: Registry) -> Iterator[Pipeline]:
    """The stages in this process, which look for flights in `shop`."""
    definition = EventDefinition(
        project_id="shop", name="flight", engine="keyword", keywords=["flight"], created_at=datetime.now(UTC)
    )
    registry.save_definition(definition)
    cache = DefinitionCache(DefinitionRepository(store), refresh_interval_s=0.0)
    pipeline = Pipeline(Extraction(), Detection(cache.current), store, HybridClock())
    pipeline.start()
    yield pipeline
    pipeline.close()


@pytest.fixture
def publisher(pipeline: Pipeline) -> Pipeline:
    """The pipeline, for every app that a test makes."""
    return pipeline


@pytest.fixture(scope="module")
def rival_key(registry: Registry) -> NewKey:
    """A key of the project `rival`."""
    registry.save_project("rival")
    return registry.create_key("rival")


@pytest.fixture(scope="module")
def seeded(store: Store, registry: Registry, pipeline: Pipeline, api_key: NewKey, rival_key: NewKey) -> None:
    """Three tasks in two sessions of `shop`, and one of `rival`; logged once, as most tests only read them."""
    reads = ReadStore(store, GatewaySettings())
    app = create_app(
        GatewaySettings(),
        authenticator=Authenticator(registry),
        publisher=pipeline,
        clock=HybridClock(),
        reads=reads,
        readiness={},
    )

    async def log(project_id: str, secret: str, *events: Json) -> None:
        headers = {"Authorization": f"Bearer {secret}"}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
            answer = await client.post(f"/v2/log/{project_id}", json={"batched_log_events": list(events)})
        assert answer.status_code == 200

    asyncio.run(log("shop", api_key.secret, FLIGHT, ANSWERED, ALONE))
    asyncio.run(log("rival", rival_key.secret, SECRET))
    reads.close()


@pytest.fixture
def rival(seeded: None, make_client: ClientMaker, rival_key: NewKey) -> httpx.AsyncClient:
    """A client with the key of `rival`, which has logged what nobody else may read."""
    return make_client(rival_key.secret)


@pytest.fixture
def shop(seeded: None, client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client with the key of `shop`."""
    return client
