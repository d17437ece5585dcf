"""The page of people."""

from __future__ import annotations

import re
from typing import Any

from starlette.testclient import TestClient

from fixtures.html_pages import check_page
from phospho_dashboard.settings import DashboardSettings

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


def test_a_person_is_removed_only_when_asked_again(world: Any, pages: TestClient, project: str) -> None:
    name = f"leaver-{project}"
    people = world.services(DashboardSettings()).sign_ins.directory
    people.add(name, "viewer", "correct horse battery")

    def remove(**confirmed: str) -> Any:
        token = re.search(r'name="form_token" value="([0-9a-f]{64})"', pages.get("/settings/people").text)
        assert token is not None
        return pages.post("/settings/people/remove", data={"form_token": token[1], "name": name, **confirmed})

    asked = remove()
    assert f"Remove {name}?" in asked.text
    check_page(asked)
    assert people.people.person(name) is not None
    assert remove(confirmed="1").status_code == 303
    assert people.people.person(name) is None
