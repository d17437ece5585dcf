"""schemathesis against the gateway's own OpenAPI document, over HTTP: no 5xx, and no answer that is not in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS

from fixtures.examples import examples
from gateway.conftest import served
from phospho_cli.processes.embedded.pipeline import Pipeline
from phospho_gateway.app import create_app
from phospho_gateway.docs import document
from phospho_gateway.read_store import ReadStore
from phospho_gateway.settings import GatewaySettings
from phospho_schemas.ids import HybridClock
from phospho_store.registry.authentication import Authenticator
from phospho_store.registry.registry import NewKey, Registry
from phospho_store.store import Store

CHECKED = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
    "allow_header_conformance",
]


@schemathesis.serializer("application/x-protobuf")
def protobuf(context: schemathesis.SerializationContext, value: object) -> bytes:
    """Send what was drawn as it is: bytes that are hardly ever an export."""
    return value if isinstance(value, bytes) else str(value).encode()


REAL = {"project_id": "shop", "task_id": "task-flight", "event_id": "task-flight", "session_id": "trip"}

schema = schemathesis.openapi.from_dict(document())
schema.config.generation.update(deterministic=True, database="none")


@pytest.fixture(scope="module")
def base_url(store: Store, registry: Registry, pipeline: Pipeline, seeded: None) -> Iterator[str]:
    """The address of a gateway with something in it."""
    settings = GatewaySettings()
    reads = ReadStore(store, settings)
    app = create_app(
        settings,
        authenticator=Authenticator(registry),
        publisher=pipeline,
        clock=HybridClock(),
        reads=reads,
        readiness={"pipeline": pipeline.check},
    )
    with served(app) as url:
        yield url
    reads.close()


def bounded(share: float, phases: Sequence[Phase]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that draws the same examples of each operation at every run."""
    return settings(
        max_examples=examples(share),
        derandomize=True,
        database=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )


@schema.parametrize()
@bounded(0.075, [Phase.generate])
def test_an_answer_to_anybody_is_one_that_the_document_names(
    case: schemathesis.Case, base_url: str, api_key: NewKey
) -> None:
    _exchange(case, base_url, api_key)


@schema.parametrize()
@bounded(0.1, [Phase.generate])
def test_an_answer_about_what_there_is_is_one_that_the_document_names(
    case: schemathesis.Case, base_url: str, api_key: NewKey
) -> None:
    """The project, the task and the session of the path are real ones, so that the body is what decides."""
    _exchange(_about_what_there_is(case), base_url, api_key)


# Explicit examples are those that schemathesis makes of each boundary of a schema, one by one. It makes them when tests
# are collected, so only under the profile of `make chaos`.
@pytest.mark.chaos
@schema.parametrize()
@bounded(0.01, [Phase.explicit] if examples(0.01) > 1 else [])
def test_an_answer_at_each_boundary_is_one_that_the_document_names(
    case: schemathesis.Case, base_url: str, api_key: NewKey
) -> None:
    _exchange(_about_what_there_is(case), base_url, api_key)


def _about_what_there_is(case: schemathesis.Case) -> schemathesis.Case:
    case.headers.pop("X-Phospho-Project", None)
    case.path_parameters |= {name: value for name, value in REAL.items() if name in case.path_parameters}
    if isinstance(case.body, dict) and "project_id" in case.body:
        case.body["project_id"] = "shop"
    return case


def _exchange(case: schemathesis.Case, base_url: str, api_key: NewKey) -> None:
    headers = {"Authorization": f"Bearer {api_key.secret}"}
    case.call_and_validate(base_url=base_url, headers=headers, checks=CHECKS.get_by_names(CHECKED), timeout=30)
