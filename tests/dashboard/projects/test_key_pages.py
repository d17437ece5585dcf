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


def test_a_key_does_what_its_scopes_allow(world: Any, pages: TestClient, project: str) -> None:
    secrets = {}
    for scopes in ("ingest", "read", "ingest,read", "admin"):
        made = send_form(pages, "/settings/keys", project, name=scopes, scopes=scopes, expires_in_days="30")
        secrets[scopes] = re.search(r'class="secret">([^<]+)<', made.text)[1]  # type: ignore[index]
    reads = {scopes: world.client(secret).get("/api/v1/tasks").status_code for scopes, secret in secrets.items()}
    changes = {
        scopes: world.client(secret).post("/api/v1/keys", json={"name": "another"}).status_code
        for scopes, secret in secrets.items()
    }

    assert reads == {"ingest": 403, "read": 200, "ingest,read": 200, "admin": 200}
    assert changes == {"ingest": 403, "read": 403, "ingest,read": 403, "admin": 201}
    refused = world.client(secrets["read"]).post("/api/v1/keys", json={}).json()["error"]
    assert (refused["code"], "--scope admin" in refused["hint"]) == ("missing_scope", True)
    keys = pages.get("/settings/keys.json", params={"project": project}).json()["keys"]
    assert [key["scopes"] for key in keys] == [["ingest"], ["read"], ["ingest", "read"], ["admin"], ["admin"]]
    assert [key["expires_at"] is not None for key in keys] == [True] * 4 + [False]


def test_a_key_is_not_created_with_unknown_scopes_or_a_past_end(world: Any, project: str) -> None:
    client = world.client(world.registry.create_key(project).secret)
    wrong = [{"scopes": []}, {"scopes": ["write"]}, {"expires_at": "2020-01-01T00:00:00Z"}, {"expires_at": "soon"}]
    wrong += [{"expires_at": "2099-01-01T00:00:00"}, {"name": "x" * 129}, {"project_id": "another"}]
    for content in wrong:
        answer = client.post("/api/v1/keys", json=content)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_key"), content
