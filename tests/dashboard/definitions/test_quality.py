"""The quality of a definition on its page: from events, from a classifier, and a suggested threshold."""

from __future__ import annotations

import itertools
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.testclient import TestClient

from fixtures.html_pages import check_page
from phospho_schemas.messages import EventDefinition
from phospho_schemas.rows.jobs import ClassifierRow
from phospho_store.registry.definition_sets import DefinitionRepository

_NUMBERS = itertools.count()


@pytest.fixture
def project(world: Any) -> str:
    """Return a project with a semantic definition, in which ten tasks have the event and ten have not."""
    project_id = f"quality-{next(_NUMBERS)}"
    world.registry.save_project(project_id)
    definition = EventDefinition(
        project_id=project_id, name="flight", description="The user wants a flight", created_at=datetime.now(UTC)
    )
    world.registry.save_definition(definition)
    with world.together():
        for number in range(20):
            world.add_task(project_id, f"t{number}")
            world.add_analysis(project_id, f"t{number}", *(["flight"] if number < 10 else []))
    return project_id


def quality(pages: TestClient, project: str) -> dict[str, Any]:
    found: dict[str, Any] = pages.get("/events/flight.json", params={"project": project}).json()["quality"]
    return found


def learn(world: Any, project: str, labels: int, suggested: float, version: int = 1) -> None:
    """Store a classifier as the learner does."""
    interval = {"value": 0.9, "low": 0.7, "high": 0.97}
    told = {"confirmed": labels, "rejected": labels, "threshold": 0.5, "suggested_threshold": suggested}
    DefinitionRepository(world.store).save_classifier(
        ClassifierRow(
            project_id=project, name="flight", version=4, definition_version=version, labels_digest="d",
            classifier="{}",
            quality=json.dumps(told | {"precision": interval, "recall": None}), created_at=datetime.now(UTC),
        )
    )  # fmt: skip


def use(pages: TestClient, project: str, **fields: str) -> Any:
    text = pages.get("/definitions", params={"project": project}).text
    token = re.search(r'name="form_token" value="([0-9a-f]{64})"', text)
    assert token is not None
    return pages.post("/definitions/threshold", data={"form_token": token[1], "project": project, **fields})


def test_without_a_label_the_page_says_what_to_do(pages: TestClient, project: str) -> None:
    assert quality(pages, project)["precision"] is None
    page = pages.get("/events/flight", params={"project": project})
    assert "Label about 20 tasks" in page.text
    check_page(page)


def test_labels_are_counted_against_what_was_found(world: Any, pages: TestClient, project: str) -> None:
    """A task that is gone, another event's labels and those taken back count for nothing."""
    for number in range(8):
        world.add_label(project, f"t{number}", "flight", "rejected" if number < 2 else "confirmed")
    world.add_label(project, "t12", "flight", "confirmed")
    for task_id, event, label in (("gone", "flight", "confirmed"), ("t9", "other", "rejected"), ("t9", "flight", "")):
        world.add_label(project, task_id, event, label)

    told = quality(pages, project)

    assert (told["measured"], told["confirmed"], told["rejected"]) == ("labels", 7, 2)
    assert told["precision"]["estimate"] == pytest.approx(6 / 8)
    assert told["recall"]["estimate"] == pytest.approx(6 / 7)
    for share in (told["precision"], told["recall"]):
        assert 0 < share["lower"] < share["estimate"] < share["upper"] <= 1
    assert "75.0 %" in pages.get("/events/flight", params={"project": project}).text


def test_a_label_of_what_was_found_in_a_whole_session_counts(world: Any, pages: TestClient, project: str) -> None:
    event = {"id": "e", "name": "flight", "engine": "semantic", "scope": "session", "score": 0.8}
    row = {"project_id": project, "session_id": "s-1", "turn": "", "revision": 1, "task_id": "t15", "events": [event]}
    world.add("session_analysis_rows", row | {"created_at": "2026-01-01T10:00:00.000Z"})
    world.add_label(project, "t15", "flight", "confirmed")
    world.add_label(project, "t16", "flight", "confirmed")

    assert quality(pages, project)["recall"]["estimate"] == pytest.approx(1 / 2)


def test_a_head_tells_what_it_is_like_on_labels_that_it_did_not_know(
    world: Any, pages: TestClient, project: str
) -> None:
    world.add_label(project, "t0", "flight", "confirmed")
    learn(world, project, labels=12, suggested=0.37)

    told = quality(pages, project)

    assert (told["measured"], told["classifier_version"], told["suggested_threshold"]) == ("cross_validation", 4, 0.37)
    assert told["precision"] == {"estimate": 0.9, "lower": 0.7, "upper": 0.97}
    text = pages.get("/events/flight", params={"project": project}).text
    assert "Save threshold 0.37 as version 2" in text
    assert "70.0 % to 97.0 %" in text


def test_few_labels_suggest_no_threshold(world: Any, pages: TestClient, project: str) -> None:
    world.add_label(project, "t0", "flight", "confirmed")
    learn(world, project, labels=9, suggested=0.5)

    assert quality(pages, project)["suggested_threshold"] is None


def test_a_head_of_an_earlier_version_tells_nothing(world: Any, pages: TestClient, project: str) -> None:
    learn(world, project, labels=12, suggested=0.37, version=0)

    told = quality(pages, project)

    assert (told["measured"], told["classifier_version"]) == ("labels", None)


def test_suggested_threshold_becomes_a_new_version(world: Any, pages: TestClient, project: str) -> None:
    answer = use(pages, project, name="flight", version="1", threshold="0.37")

    assert (answer.status_code, answer.headers["location"]) == (303, f"/events/flight?project={project}")
    [saved] = world.registry.definitions(project)
    assert (saved.version, saved.threshold, saved.description) == (2, 0.37, "The user wants a flight")
    assert use(pages, project, name="flight", version="1", threshold="0.4").status_code == 409
    assert use(pages, project, name="flight", version="2", threshold="2").status_code == 422
    assert use(pages, project, name="absent", version="1", threshold="0.4").status_code == 404
    assert [one.threshold for one in world.registry.definitions(project)] == [0.37]


def test_a_viewer_sees_a_suggestion_and_no_button(world: Any, project: str) -> None:
    world.add_label(project, "t0", "flight", "confirmed")
    learn(world, project, labels=12, suggested=0.37)

    text = world.signed_in("viewer").get("/events/flight", params={"project": project}).text

    assert "labels suggest 0.37" in text
    assert "Use 0.37" not in text


def test_precision_is_that_of_the_week_of_the_task(world: Any, pages: TestClient, project: str) -> None:
    for number, day in enumerate(("04", "05", "12", "13")):
        at = f"2026-01-{day}T10:00:00.000Z"
        world.add_task(project, f"w{number}", created_at=at)
        world.add_analysis(project, f"w{number}", "flight", created_at=at)
    for task_id, label in (("w0", "confirmed"), ("w1", "rejected"), ("w2", "confirmed"), ("w3", "rejected")):
        world.add_label(project, task_id, "flight", label)
    weeks = [(row["week"], row["confirmed"], row["labelled"]) for row in quality(pages, project)["weeks"]]
    assert weeks == [("2025-12-29", 1, 1), ("2026-01-05", 0, 1), ("2026-01-12", 1, 2)]
    assert "Precision by week" in pages.get("/events/flight", params={"project": project}).text
