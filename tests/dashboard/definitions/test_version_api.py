"""The API of versions: history, diffs, and what labels taught."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from dashboard.conftest import MINE, THEIRS, World
from phospho_schemas.messages import EventDefinition
from phospho_schemas.rows.jobs import ClassifierRow
from phospho_store.registry.definition_sets import DefinitionRepository
from workers.detection.tasks import keywords


def test_versions_are_listed_and_compared(world: World, fake_mine: TestClient) -> None:
    for words in (["a"], ["a", "b"]):
        world.registry.save_definition(keywords("versioned", *words, project_id=MINE))
    versions = fake_mine.get("/api/v1/definitions/versioned/history").json()["versions"]
    assert [(one["version"], one["keywords"]) for one in versions] == [(2, ["a", "b"]), (1, ["a"])]

    stored = fake_mine.post("/api/v1/definitions/versioned/diff", json={}).json()
    assert (stored["from_version"], stored["to_version"], stored["newly_found"], stored["tasks"]) == (1, 2, 2, 2000)
    given = {"definition": {"engine": "keyword", "keywords": ["a", "b", "c"], "project_id": THEIRS}, "tasks": 5}
    content = fake_mine.post("/api/v1/definitions/versioned/diff", json=given).json()
    assert (content["from_version"], content["to_version"], content["newly_found"], content["tasks"]) == (2, 3, 3, 5)
    new = fake_mine.post("/api/v1/definitions/new/diff", json=given).json()
    assert (new["from_version"], new["to_version"]) == (None, 1)


@pytest.mark.parametrize(
    "body", [{"tasks": 0}, {"tasks": 10**9}, {"tasks": True}, {"definition": 7}, {"definition": {"pattern": "("}}]
)
def test_a_diff_that_can_not_be_is_refused(
    fake_mine: TestClient, refund: EventDefinition, body: dict[str, object]
) -> None:
    assert fake_mine.post("/api/v1/definitions/refund%2Fall/diff", json=body).status_code == 422


def test_what_labels_have_taught_is_told(world: World, fake_mine: TestClient, refund: EventDefinition) -> None:
    told = {"name": "refund/all", "version": refund.version, "tasks_to_label": [f"{MINE}-refund/all"]}
    path = "/api/v1/definitions/refund%2Fall/learning"
    assert fake_mine.get(path).json() == told | {"classifier_version": None, "quality": None}
    classifier = {"project_id": MINE, "name": "refund/all", "version": 3, "definition_version": 1, "labels_digest": "d"}
    created = {"classifier": "", "quality": '{"confirmed": 2}', "created_at": "2026-01-01T00:00:00Z"}
    DefinitionRepository(world.store).save_classifier(ClassifierRow.model_validate(classifier | created))
    assert fake_mine.get(path).json() == told | {"classifier_version": 3, "quality": {"confirmed": 2}}
