"""The OpenAPI document of the query API: every route is in it, and what is answered is what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS
from starlette.routing import Route

from fixtures.examples import examples
from fixtures.served import served
from phospho_dashboard.app import api_operations, api_routes, document
from phospho_dashboard.settings import DashboardSettings
from phospho_schemas.rows.alerts import Alert
from phospho_schemas.rows.boards import Board
from phospho_schemas.rows.jobs import Backfill
from phospho_store.alerts.repository import AlertRepository
from phospho_store.registry.boards import BoardRepository

CHECKED = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "ignored_auth",
]
REAL = {"item_id": "s-1", "task_id": "t1", "name": "flight", "project_id": "mine", "dead_letter_id": "letter",
        "session_id": "s-1", "backfill_id": "backfill", "alert_id": "alert", "board_id": "board"}  # fmt: skip

schema = schemathesis.openapi.from_dict(document(api_operations()))
schema.config.generation.update(deterministic=True, database="none")


@pytest.fixture(scope="module")
def base_url(filled: Any) -> Iterator[str]:
    with served(filled.app_of(filled.services(DashboardSettings(), filled.publisher))) as address:
        yield address


@pytest.fixture(scope="module")
def filled(world: Any) -> Any:
    """Return a world with something behind every endpoint."""
    world.define("mine", "flight")
    world.add_task("mine", "t1", input="a flight", version_id="v1", user_id="ada", model="m", tokens_in=1)
    world.add_task("mine", "s-1", session_id="s-1", user_id="s-1")
    world.add_analysis("mine", "t1", "flight")
    world.add_feedback("mine", "t1", "success")
    times = dict.fromkeys(("created_at", "updated_at"), datetime.now(UTC))
    world.backfills.save(
        Backfill(project_id="mine", backfill_id="backfill", name="flight", definition_version=1, **times)
    )
    alert = {"project_id": "mine", "alert_id": "alert", "name": "Many", "metric": "tasks", "condition": "above"}
    AlertRepository(world.store).save(Alert(**alert, created_at=datetime.now(UTC)))
    board = Board(project_id="mine", board_id="board", name="Weekly", edited_at=datetime.now(UTC))
    BoardRepository(world.store).save(board, "ada")
    world.add_dead_letter("letter", "mine", b'{"input": "x"}')
    client = world.client(world.keys["mine"])
    label = {"event": "flight", "task_id": "t1", "label": "confirmed"}
    assert client.post("/api/v1/labels", json={"labels": [label]}).status_code == 201
    assert client.post("/api/v1/tasks/t1/notes", json={"text": "noted"}).status_code == 201
    return world


def test_every_route_is_documented_and_nothing_else_is(world: Any) -> None:
    routes = [
        route
        for route in api_routes(world.services(DashboardSettings()), world.integrations)
        if isinstance(route, Route)
    ]
    served_ones = {
        (method.lower(), route.path_format)
        for route in routes
        for method in route.methods or ()
        if method != "HEAD" and route.path.startswith("/api/v1")
    }
    documented = {(method, path) for path, methods in document(api_operations())["paths"].items() for method in methods}

    assert documented == served_ones


def test_the_document_is_served_to_anybody(world: Any) -> None:
    answer = world.client().get("/api/openapi.json")

    assert (answer.status_code, answer.json()) == (200, document(api_operations()))


def test_every_list_and_item_is_what_the_document_says(filled: Any) -> None:
    described = document(api_operations())
    client = filled.client(filled.keys["mine"])
    admin = filled.client("admin-secret")
    for path, methods in described["paths"].items():
        if "get" not in methods:
            continue
        real = path.replace("/tasks/{item_id}", "/tasks/t1").replace("/event-stats/{item_id}", "/event-stats/flight")
        real = real.replace("/boards/{item_id}", "/boards/board")
        if "task-logs" in path or "/themes/{" in path:
            # No task is larger than a message, and there is no theme: tests/e2e/test_large_tasks.py, dashboard/themes.
            continue
        answer = (admin if path.endswith("/people") else client).get(real.format(**REAL))
        assert answer.status_code == 200, (path, answer.text)
        wanted = methods["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(answer.json(), wanted | {"components": described["components"]})


def test_every_operation_has_a_name_of_its_own_and_a_summary() -> None:
    operations = [
        operation for methods in document(api_operations())["paths"].values() for operation in methods.values()
    ]

    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"] for operation in operations)


def bounded(share: float) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that draws the same examples of each operation at every run."""
    return settings(
        max_examples=examples(share),
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@schema.parametrize()
@bounded(0.125)
def test_an_answer_is_one_that_the_document_names(case: schemathesis.Case, base_url: str, filled: Any) -> None:
    """Whatever is sent: no 5xx, no status and no shape that is not documented, and nothing without a key."""
    case.headers.pop("X-Phospho-Project", None)
    case.path_parameters |= {name: value for name, value in REAL.items() if name in case.path_parameters}
    # The last admin and the project's own key must outlive the test.
    secret = "admin-secret" if "/people" in case.path else filled.keys["mine"]
    answer = case.call(base_url=base_url, headers={"Authorization": f"Bearer {secret}"}, timeout=20)
    case.validate_response(answer, checks=CHECKS.get_by_names(CHECKED), headers={"Authorization": f"Bearer {secret}"})
