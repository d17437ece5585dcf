"""People at two dashboards whose clocks are five minutes apart: the last click wins."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

from dashboard.annotations.test_annotations import act
from phospho_dashboard.app import create_app
from phospho_dashboard.dead_letters.letters import DeadLetters
from phospho_dashboard.settings import DashboardSettings
from phospho_gateway.intake.feedback import feedback_reading
from phospho_schemas.ids import HybridClock
from phospho_store.registry.themes import ThemeRepository

_APART_MS = 300_000


@pytest.fixture
def clocks() -> list[HybridClock]:
    """Return the clocks of two processes, the one that is ahead first."""
    return [HybridClock(lambda: time.time_ns() // 1_000_000 + _APART_MS), HybridClock()]


@pytest.fixture
def dashboards(world: Any, project: str, clocks: list[HybridClock]) -> list[TestClient]:
    world.define(project, "flight")
    world.add_task(project, "t1", input="a flight, please")
    world.add_analysis(project, "t1", "flight")
    headers = {"Sec-Fetch-Site": "same-origin"}
    clients = []
    for clock in clocks:
        services = replace(world.services(DashboardSettings(pages_open=True), world.publisher), clock=clock)
        app = create_app(services, replace(world.integrations, read_feedback=feedback_reading(clock)))
        clients.append(TestClient(app, "http://127.0.0.1:8420", headers=headers, follow_redirects=False))
    return clients


def test_last_label_of_two_dashboards_wins(world: Any, project: str, dashboards: list[TestClient]) -> None:
    for label, dashboard in zip(["rejected", "confirmed"] * 2, dashboards * 2, strict=True):
        assert act(dashboard, project, "/annotations/label", event="flight", label=label).status_code == 303
        [row] = world.store.rows("SELECT label FROM label_rows FINAL WHERE project_id = {p:String}", {"p": project})
        assert row["label"] == label


def test_last_flag_of_two_dashboards_wins(world: Any, project: str, dashboards: list[TestClient]) -> None:
    for flag, dashboard in zip(["failure", "success"] * 2, dashboards * 2, strict=True):
        world.publisher.messages.clear()
        assert act(dashboard, project, "/annotations/flag", flag=flag).status_code == 303
        [message] = world.publisher.messages
        sent = orjson.loads(message.value)
        world.add_feedback(project, "t1", flag, feedback_id=sent["feedback_id"], revision=sent["revision"])
        [row] = world.store.rows("SELECT flag FROM tasks WHERE project_id = {p:String}", {"p": project})
        assert row["flag"] == flag


def test_last_action_on_a_dead_letter_of_two_dashboards_wins(
    world: Any, project: str, clocks: list[HybridClock]
) -> None:
    for action, clock in zip(["dropped", "replayed"] * 2, clocks * 2, strict=True):
        DeadLetters(world.store, clock).act([{"project_id": project, "dead_letter_id": "d"}], action, "ann")
        sql = "SELECT action FROM dead_letter_action_rows FINAL WHERE project_id = {p:String}"
        assert world.store.rows(sql, {"p": project}) == [{"action": action}]


def test_last_request_for_themes_of_two_dashboards_wins(world: Any, project: str, clocks: list[HybridClock]) -> None:
    for author, clock in zip(["ann", "bob"] * 2, clocks * 2, strict=True):
        repository = ThemeRepository(world.store, clock)
        repository.request_refresh(project, author)
        request = repository.refresh(project)
        assert request is not None
        assert request.requested_by == author
