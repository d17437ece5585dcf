"""The values that filters offer: the newest, and by search the others."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from phospho_dashboard.queries import facets
from phospho_dashboard.queries.facets import Facets


def test_filters_offer_the_newest_values_and_search_the_rest(
    world: Any, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facets, "MAX_VALUES", 2)
    for day in (1, 2, 3):
        fields = {"version_id": f"Release {day}", "model": f"m{day}", "user_id": f"u{day}"}
        world.add_task(project, f"t{day}", created_at=f"2026-01-0{day}T10:00:00.000Z", **fields)
        world.add_analysis(project, f"t{day}", f"e{day}", created_at=f"2026-01-0{day}T10:00:00.000Z")
    reader = Facets(world.store)

    choices = reader.choices(project)

    assert (choices["versions"], choices["models"]) == (["Release 2", "Release 3"], ["m2", "m3"])
    assert choices["events"] == ["e2", "e3"]
    assert reader.search(project, "version", "release 1") == ["Release 1"]
    assert reader.search(project, "event", "E1") == ["e1"]
    assert reader.search(project, "user", "") == ["u3", "u2"]


def test_values_of_a_filter_that_has_none_are_refused(world: Any, project: str) -> None:
    pages: TestClient = world.open_pages()

    answer = pages.get("/filter-values.json", params={"project": project, "filter": "q"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_filter")
