"""The page of API keys."""

from __future__ import annotations

import re
from typing import Any

from starlette.testclient import TestClient

from fixtures.html_pages import check_page, send_form

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


def test_a_key_is_shown_once_and_revoked(world: Any, pages: TestClient, project: str) -> None:
    made = send_form(pages, "/settings/keys", project, name="laptop")
    secret = re.search(r'class="secret">([^<]+)<', made.text)
    assert secret is not None
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")

    assert world.client(secret[1]).get("/api/v1/keys").status_code == 200
    again = pages.get("/settings/keys", params={"project": project})
    assert secret[1] not in again.text + pages.get("/settings/keys.json", params={"project": project}).text

    key_id = pages.get("/settings/keys.json", params={"project": project}).json()["keys"][0]["key_id"]
    token = re.search(r'name="form_token" value="([0-9a-f]{64})"', again.text)[1]  # type: ignore[index]
    form = {"form_token": token, "key_id": key_id}
    assert pages.post("/settings/keys/revoke", params={"project": "mine"}, data=form).status_code == 404
    response = pages.post("/settings/keys/revoke", params={"project": project}, data=form)
    assert (response.status_code, "Revoke API key laptop" in response.text) == (200, True)
    check_page(response)
    assert world.client(secret[1]).get("/api/v1/keys").status_code == 200
    form["confirmed"] = "1"
    assert pages.post("/settings/keys/revoke", params={"project": project}, data=form).status_code == 303
    assert world.client(secret[1]).get("/api/v1/keys").status_code == 401
