"""The API of definitions: apply, list and delete them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from phospho_schemas.definitions.engines import ENGINE_SPECS, engine_spec

KEYWORD = {
    "name": "greeting",
    "description": "says hello",
    "engine": "keyword",
    "scope": "input",
    "keywords": ["hello"],
}


def test_a_definition_is_created_then_unchanged_then_changed_then_deleted(fresh: TestClient) -> None:
    def applied(**changes: object) -> dict[str, Any]:
        answer = fresh.post("/api/v1/definitions", json={"definitions": [KEYWORD | changes]})
        assert answer.status_code == 200
        return dict(answer.json()["results"][0])

    assert applied() == {"name": "greeting", "version": 1, "status": "created"}
    assert applied() == {"name": "greeting", "version": 1, "status": "unchanged"}
    assert applied(keywords=["hello", "hi"]) == {"name": "greeting", "version": 2, "status": "changed"}
    listed = fresh.get("/api/v1/definitions").json()["definitions"]
    assert [(d["name"], d["keywords"]) for d in listed] == [("greeting", ["hello", "hi"])]

    assert fresh.delete("/api/v1/definitions/greeting").status_code == 204
    assert fresh.get("/api/v1/definitions").json() == {"definitions": []}
    assert fresh.delete("/api/v1/definitions/greeting").status_code == 404


def test_what_the_api_lists_can_be_sent_back(fresh: TestClient) -> None:
    fresh.post("/api/v1/definitions", json={"definitions": [KEYWORD]})

    listed = fresh.get("/api/v1/definitions").json()

    assert fresh.post("/api/v1/definitions", json=listed).json()["results"][0]["status"] == "unchanged"


def test_apply_rejects_a_definition_that_cannot_work_and_keeps_others(fresh: TestClient) -> None:
    items = [
        {"name": "a", "engine": "regex", "pattern": "("},
        {"name": "b", "engine": "magic"},
        {"name": "c", "keyword": ["typo"]},
        {"description": "no name"},
        "not an object",
        KEYWORD,
    ]

    answer = fresh.post("/api/v1/definitions", json={"definitions": items})

    assert answer.status_code == 200
    statuses = [result["status"] for result in answer.json()["results"]]
    assert statuses == ["rejected"] * 5 + ["created"]
    assert answer.json()["results"][0]["error"]["message"] == "this pattern does not compile"
    assert "keyword" in answer.json()["results"][2]["error"]["message"]


# What a definition should not say, and words of the reason.
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"pattern": "a"}, "reads no pattern"),
    ({"threshold": 0.5}, "reads no threshold"),
    ({"engine": "semantic", "keywords": [], "description": "..."}, "reads English"),
    ({"engine": "semantic", "keywords": [], "description": "Пользователь недоволен"}, "reads English"),
    ({"keywords": ["a"] * 10_000}, "at most 1000 are allowed, got 10000"),
    ({"name": " "}, "a space"),
    ({"name": "flight "}, "a space"),
    ({"name": "a\0b"}, "does not show"),
    ({"name": "\u202egnp"}, "does not show"),
    ({"name": ".."}, "is no name"),
    ({"name": "a.json"}, ".json"),
]


def test_a_definition_that_would_do_other_than_it_says_is_rejected(fresh: TestClient) -> None:
    for changes, words in REFUSED:
        answer = fresh.post("/api/v1/definitions", json={"definitions": [KEYWORD | changes]})

        assert answer.status_code == 422, changes
        assert words in answer.json()["results"][0]["error"]["message"]
    assert fresh.get("/api/v1/definitions").json() == {"definitions": []}


def test_a_semantic_definition_that_there_is_no_room_for_is_rejected_alone(
    fresh: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINE_SPECS, "semantic", replace(engine_spec("semantic"), max_per_project=1))
    semantic = [{"name": name, "description": "The user says thanks"} for name in ("b", "a")]

    answer = fresh.post("/api/v1/definitions", json={"definitions": [*semantic, KEYWORD]})

    results = answer.json()["results"]
    assert [result["status"] for result in results] == ["created", "rejected", "created"]
    assert "has room for 1 definitions" in results[1]["error"]["message"]
    assert results[1]["error"]["hint"]
    alone = fresh.post("/api/v1/definitions", json={"definitions": semantic[1:]})
    assert (alone.status_code, alone.json()["results"][0]["error"]["code"]) == (422, "too_many_definitions")


def test_names_that_can_be_taken_for_one_another_are_not_both_applied(fresh: TestClient) -> None:
    def applied(*names: str) -> list[str]:
        body = {"definitions": [KEYWORD | {"name": name} for name in names]}
        return [result["status"] for result in fresh.post("/api/v1/definitions", json=body).json()["results"]]

    assert applied("greeting", "twice", "twice") == ["created", "rejected", "rejected"]
    assert applied("Greeting", "ｇreeting", "GREETING  x") == ["rejected", "rejected", "created"]
    assert applied("STRASSE", "straße", "greeting") == ["rejected", "rejected", "unchanged"]
    assert sorted(d["name"] for d in fresh.get("/api/v1/definitions").json()["definitions"]) == [
        "GREETING  x",
        "greeting",
    ]


def test_definitions_are_deleted_together_or_not_at_all(world: Any, fresh: TestClient) -> None:
    names = ["a", "b/c", "", ".."]
    fresh.post("/api/v1/definitions", json={"definitions": [KEYWORD | {"name": name} for name in names[:2]]})

    assert fresh.post("/api/v1/definitions/delete", json={"names": names}).status_code == 404
    assert len(fresh.get("/api/v1/definitions").json()["definitions"]) == 2
    assert fresh.post("/api/v1/definitions/delete", json={"names": names[:2]}).status_code == 204
    assert fresh.get("/api/v1/definitions").json() == {"definitions": []}
    for nonsense in ({}, {"names": []}, {"names": [1]}, {"names": "a"}):
        assert fresh.post("/api/v1/definitions/delete", json=nonsense).status_code == 422


def test_applying_nothing_that_works_is_an_error(fresh: TestClient) -> None:
    assert fresh.post("/api/v1/definitions", json={"definitions": ["x"]}).status_code == 422
    assert fresh.post("/api/v1/definitions", json={"definitions": []}).status_code == 422
    assert fresh.post("/api/v1/definitions", json={}).status_code == 422
