"""The permissions of each role: a viewer reads, an editor acts, an admin sets; a key does it in its own project."""

from __future__ import annotations

import itertools
import re
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from fixtures.html_pages import check_page
from phospho_dashboard.app import api_routes, page_routes
from phospho_dashboard.auth.visitors import FORM_HEADER
from phospho_dashboard.settings import DashboardSettings
from phospho_web.responses import with_json_errors

PASSWORD = "correct horse battery"
_NUMBERS = itertools.count()

# Everything that changes something, and the least role that may. What is missing here fails the tests below.
API_NEEDS = {
    ("POST", "/api/v1/definitions"): "editor",
    ("POST", "/api/v1/definitions/preview"): "editor",
    ("POST", "/api/v1/definitions/delete"): "editor",
    ("DELETE", "/api/v1/definitions/{name:any_text}"): "editor",
    ("POST", "/api/v1/dead-letters/{dead_letter_id}/replay"): "editor",
    ("POST", "/api/v1/dead-letters/{dead_letter_id}/drop"): "editor",
    ("POST", "/api/v1/dead-letters/replay"): "editor",
    ("POST", "/api/v1/dead-letters/drop"): "editor",
    ("PATCH", "/api/v1/themes/{theme_id}"): "editor",
    ("POST", "/api/v1/themes/refresh"): "editor",
    ("POST", "/api/v1/themes/{theme_id}/definition"): "editor",
    ("POST", "/api/v1/themes/{theme_id}/merge"): "editor",
    ("POST", "/api/v1/themes/{theme_id}/split"): "editor",
    ("POST", "/api/v1/boards"): "editor",
    ("PATCH", "/api/v1/boards/{board_id}"): "editor",
    ("DELETE", "/api/v1/boards/{board_id}"): "editor",
    ("POST", "/api/v1/alerts"): "editor",
    ("POST", "/api/v1/alerts/preview"): "editor",
    ("DELETE", "/api/v1/alerts/{alert_id}"): "editor",
    ("PATCH", "/api/v1/alerts/{alert_id}"): "editor",
    ("POST", "/api/v1/alerts/{alert_id}/mute"): "editor",
    ("POST", "/api/v1/alerts/{alert_id}/test"): "editor",
    ("POST", "/api/v1/labels"): "editor",
    ("POST", "/api/v1/tasks/{task_id:any_text}/notes"): "editor",
    ("DELETE", "/api/v1/tasks/{task_id:any_text}/notes/{note_id}"): "editor",
    ("POST", "/api/v1/backfills"): "editor",
    ("POST", "/api/v1/sample-data"): "editor",
    ("DELETE", "/api/v1/backfills/{backfill_id}"): "editor",
    ("POST", "/api/v1/definitions/{name:any_text}/diff"): "editor",
    ("POST", "/api/v1/sessions/{session_id:any_text}/close"): "editor",
    ("POST", "/api/v1/saved-queries"): "editor",
    ("DELETE", "/api/v1/saved-queries/{query_id}"): "editor",
    ("POST", "/api/v1/saved-views"): "editor",
    ("DELETE", "/api/v1/saved-views/{view_id}"): "editor",
    ("POST", "/api/v1/webhooks"): "admin",
    ("DELETE", "/api/v1/webhooks/{webhook_id}"): "admin",
    ("POST", "/api/v1/webhooks/{webhook_id}/test"): "admin",
    ("POST", "/api/v1/webhooks/{webhook_id}/send-again"): "admin",
    ("POST", "/api/v1/keys"): "admin",
    ("DELETE", "/api/v1/keys/{key_id}"): "admin",
    ("POST", "/api/v1/keys/{key_id}/rotate"): "admin",
    ("POST", "/api/v1/forget"): "admin",
    ("POST", "/api/v1/forget/verify"): "admin",
    ("POST", "/api/v1/backups"): "admin",
    ("POST", "/api/v1/projects"): "admin",
    ("PATCH", "/api/v1/projects/{project_id}"): "admin",
    ("GET", "/api/v1/people"): "admin",
    ("POST", "/api/v1/people"): "admin",
    ("PATCH", "/api/v1/people/{name:any_text}"): "admin",
    ("DELETE", "/api/v1/people/{name:any_text}"): "admin",
}
READS_BY_POST = {("POST", "/api/v1/sql")}
PAGE_NEEDS = {
    "/annotations/label": "editor",
    "/annotations/flag": "editor",
    "/annotations/note": "editor",
    "/annotations/delete-note": "editor",
    "/definitions": "editor",
    "/definitions/delete": "editor",
    "/definitions/threshold": "editor",
    "/definitions/backfill": "editor",
    "/definitions/backfill/cancel": "editor",
    "/sample-data": "editor",
    "/import": "editor",
    "/import/pull": "editor",
    "/import/{import_id}": "editor",
    "/alerts": "editor",
    "/alerts/edit": "editor",
    "/alerts/preview": "editor",
    "/alerts/remove": "editor",
    "/alerts/mute": "editor",
    "/alerts/test": "editor",
    "/sql": "viewer",
    "/sql.csv": "viewer",
    "/sql.parquet": "viewer",
    "/saved-views/save": "editor",
    "/saved-views/remove": "editor",
    "/sql/save": "editor",
    "/sql/remove": "editor",
    "/themes/edit": "editor",
    "/themes/definition": "editor",
    "/themes/refresh": "editor",
    "/boards/create": "editor",
    "/boards/edit": "editor",
    "/boards/delete": "editor",
    "/boards/tiles/add": "editor",
    "/boards/tiles/edit": "editor",
    "/settings/dead-letters": "editor",
    "/settings": "admin",
    "/settings/keys": "admin",
    "/settings/keys/revoke": "admin",
    "/settings/projects": "admin",
    "/settings/webhooks": "admin",
    "/settings/webhooks/remove": "admin",
    "/settings/webhooks/send-again": "admin",
    "/settings/webhooks/test": "admin",
    "/settings/dead-letters/{dead_letter_id}": "editor",
    "/users/forget": "admin",
    "/settings/people": "admin",
    "/settings/people/change": "admin",
    "/settings/people/sign-out": "admin",
    "/settings/people/remove": "admin",
}
_REFUSALS = "unknown_project|role_needed|admin_only|wrong_secret"
EVERYBODYS = {"/sign-in", "/sign-out", "/setup", "/settings/account/password", "/settings/account/end"}
ROLES = ("viewer", "editor", "admin")


# What belongs to no project, and shows of a project only what the person may see.
OF_NO_PROJECT = {
    ("GET", "/api/v1/projects"),
    ("GET", "/settings/projects"),
    ("GET", "/settings/projects.json"),
    ("GET", "/settings/account.json"),
    ("GET", "/api/openapi.json"),
    ("GET", "/static/chart.js"),
    ("GET", "/sign-in"),
    ("GET", "/sign-in/oidc"),
    ("GET", "/sign-in/oidc/callback"),
    ("POST", "/settings/account/end"),
    ("GET", "/setup"),
    ("POST", "/sign-in"),
    ("POST", "/setup"),
}


def signed_in(world: Any, role: str, **project_roles: str) -> TestClient:
    """Return a browser in which somebody of these roles has signed in, whose pages may ask the API."""
    client: TestClient = world.signed_in(role, **project_roles)
    client.headers["X-Phospho-Project"] = "mine"
    text = client.get("/settings/account?project=mine").text
    client.headers[FORM_HEADER] = text.partition('name="form_token" value="')[2][:64]
    return client


def routes(world: Any) -> list[tuple[str, str]]:
    """Return method and path of each route of the pages and of the API."""
    services = world.services(DashboardSettings())
    routes = [*api_routes(services, world.integrations), *page_routes(services, world.integrations)]
    pairs = {(method, route.path) for route in routes if isinstance(route, Route) for method in route.methods or ()}
    return sorted(pair for pair in pairs if pair[0] != "HEAD")


def send(client: TestClient, method: str, path: str, project: str) -> httpx.Response:
    """Send a request about a project, which its query, header, path and form all name."""
    filled = re.sub(r"{\w+(:\w+)?}", "absent", path.replace("{project_id}", project))
    token = client.headers[FORM_HEADER]
    if "/api/" in path or method == "GET":
        body = {"json": {}} if method in {"POST", "PATCH"} else {}
        return client.request(
            method, filled, params={"project": project}, headers={"X-Phospho-Project": project}, **body
        )
    return client.post(filled, params={"project": project}, data={"form_token": token, "project": project})


def writes(world: Any) -> set[tuple[str, str]]:
    """Return method and path of each route of the API that changes something, or shows what few may see."""
    services = world.services(DashboardSettings())
    routes = [route for route in api_routes(services, world.integrations) if isinstance(route, Route)]
    pairs = {(method, route.path) for route in routes for method in route.methods or ()}
    return {pair for pair in pairs if pair[0] not in {"GET", "HEAD"}} - READS_BY_POST


def test_every_change_by_the_api_has_its_role(world: Any) -> None:
    assert writes(world) == {pair for pair in API_NEEDS if pair[0] != "GET"}


def test_every_form_of_the_pages_has_its_role(world: Any) -> None:
    routes = [
        route
        for route in page_routes(world.services(DashboardSettings()), world.integrations)
        if isinstance(route, Route)
    ]
    posts = {route.path for route in routes if "POST" in (route.methods or ())}
    assert posts == set(PAGE_NEEDS) | EVERYBODYS


@pytest.mark.parametrize("role", ROLES)
def test_the_api_refuses_a_role_that_is_too_low_and_no_other(world: Any, role: str) -> None:
    client = signed_in(world, role)
    for (method, path), needed in API_NEEDS.items():
        filled = (
            path.replace("{name:any_text}", "absent")
            .replace("{key_id}", "x")
            .replace("{project_id}", "mine")
            .replace("{dead_letter_id}", "x")
        )
        answer = client.request(method, filled, json={} if method in {"POST", "PATCH"} else None)
        is_allowed = ROLES.index(role) >= ROLES.index(needed)
        code = "" if answer.status_code < 400 else answer.json()["error"]["code"]
        assert (code not in {"role_needed", "forged_form", "unauthorized"}) == is_allowed, (method, path, answer.text)


@pytest.mark.parametrize("role", ROLES)
def test_the_pages_refuse_a_role_that_is_too_low_and_no_other(world: Any, role: str) -> None:
    client = signed_in(world, role)
    for path, needed in PAGE_NEEDS.items():
        answer = client.post(path, data={"form_token": client.headers[FORM_HEADER], "project": "mine"})
        is_allowed = ROLES.index(role) >= ROLES.index(needed)
        assert ("role_needed" not in answer.text) == is_allowed, (path, answer.text)
        assert is_allowed or answer.status_code == 403


@pytest.mark.parametrize("role", ROLES)
def test_every_role_reads(world: Any, role: str) -> None:
    client = signed_in(world, role)

    assert client.get("/sessions?project=mine").status_code == 200
    assert client.get("/api/v1/sessions").status_code == 200
    assert client.get("/api/v1/dead-letters").status_code == 200
    assert client.post("/api/v1/sql", json={"query": "SELECT 1"}).status_code == 200


@pytest.mark.parametrize("role", ROLES)
def test_role_in_one_project_opens_no_route_of_another(world: Any, role: str) -> None:
    client = signed_in(world, "none", mine=role)
    assert send(client, "GET", "/tasks", "mine").status_code == 200

    open_routes = {}
    for method, path in set(routes(world)) - {("POST", "/sign-out")}:
        answer = send(client, method, path, "theirs")
        if answer.status_code not in {403, 404} or not re.search(_REFUSALS, answer.text):
            open_routes[method, path] = answer
    assert {route: answer.status_code for route, answer in open_routes.items() if route not in OF_NO_PROJECT} == {}
    assert [route for route, answer in open_routes.items() if "theirs" in answer.text] == []


def test_each_project_has_its_own_role(world: Any) -> None:
    """An admin of one project who reads another changes nothing there."""
    client = signed_in(world, "viewer", mine="admin")
    needs = list(API_NEEDS) + [("POST", path) for path, needed in PAGE_NEEDS.items() if needed != "viewer"]

    for method, path in needs:
        refused = send(client, method, path, "theirs")
        assert refused.status_code == 403, (method, path, refused.text)
        is_of_all = "/people" in path or path.endswith(("/backups", "/projects"))
        assert "role_needed" not in send(client, method, path, "mine").text or is_of_all, (method, path)


def test_role_none_hides_one_project(world: Any) -> None:
    client = signed_in(world, "viewer", theirs="none")

    assert send(client, "GET", "/api/v1/tasks", "theirs").status_code == 404
    listed = client.get("/api/v1/projects").json()["projects"]
    assert "mine" in {project["project_id"] for project in listed}
    assert "theirs" not in {project["project_id"] for project in listed}


def test_admin_of_a_project_sees_what_belongs_to_it_only(world: Any, admin: TestClient) -> None:
    admin.post("/api/v1/people", json={"name": f"new-{next(_NUMBERS)}", "role": "viewer", "password": PASSWORD})
    client = signed_in(world, "none", mine="admin")

    entries = send(client, "GET", "/api/v1/audit", "mine").json()["audit"]
    assert {entry["project_id"] for entry in entries} <= {"mine"}
    assert send(client, "GET", "/settings/health.json", "mine").json()["processes"] == []
    page = send(client, "GET", "/settings", "mine").text
    assert "/settings/audit" in page
    assert "/settings/people" not in page


def test_roles_of_projects_are_changed_and_recorded(world: Any, admin: TestClient) -> None:
    path = f"/api/v1/people/{admin_made(admin, role='none', project_roles={'mine': 'editor'})}"

    def change(**fields: Any) -> Any:
        answer = admin.patch(path, json=fields)
        return answer.json()["person"] if answer.status_code == 200 else answer.json()["error"]["code"]

    person = change(project_roles={"theirs": "viewer"})
    assert person["project_roles"] == {"mine": "editor", "theirs": "viewer"}
    assert change(project_roles={"mine": "default"})["project_roles"] == {"theirs": "viewer"}
    assert change(project_roles={"absent": "viewer"}) == "unknown_project"
    assert change(project_roles={"mine": "owner"}) == "invalid_role"
    assert change(project_roles=["mine"]) == "invalid_project_roles"
    assert change(role="admin", project_roles={"mine": "viewer"}) == "admin_everywhere"
    assert change(role="admin")["project_roles"] == {}
    action = admin.get("/api/v1/audit").json()["audit"][0]["action"]
    assert action == f"PATCH {path}: {path.rpartition('/')[2]} is admin"


def test_page_of_people_changes_a_role_in_a_project(world: Any, pages: TestClient, admin: TestClient) -> None:
    name = admin_made(admin, role="viewer")
    token = pages.get("/settings/people").text.partition('name="form_token" value="')[2][:64]
    fields = {"form_token": token, "name": name, "project_id": "mine", "project_role": "none"}

    assert pages.post("/settings/people/change", data=fields).status_code == 303
    page = pages.get("/settings/people")
    check_page(page)
    assert "mine: none" in page.text
    unknown = pages.post("/settings/people/change", data=fields | {"project_id": "absent"})
    assert (unknown.status_code, "no project" in unknown.text) == (404, True)


def admin_made(admin: TestClient, **fields: Any) -> str:
    """Return the name of a person whom the administrator has added."""
    name = f"made-{next(_NUMBERS)}"
    answer = admin.post("/api/v1/people", json={"name": name, "password": PASSWORD, **fields})
    assert answer.status_code == 201, answer.text
    return name


def test_the_last_admin_stays_one(world: Any) -> None:
    directory = world.services(DashboardSettings()).sign_ins.directory
    others = [person for person in directory.people.everybody() if person.role == "admin"]
    last = directory.add(f"last-{next(_NUMBERS)}", "admin", PASSWORD)
    for person in others:
        directory.remove(person.name)
    client = world.client("admin-secret")

    assert client.delete(f"/api/v1/people/{last.name}").status_code == 409
    assert client.patch(f"/api/v1/people/{last.name}", json={"role": "viewer"}).status_code == 409
    directory.add(f"next-{next(_NUMBERS)}", "admin", PASSWORD)
    assert client.delete(f"/api/v1/people/{last.name}").status_code == 204


def test_no_answer_about_people_has_a_hash(world: Any, admin: TestClient) -> None:
    name = f"somebody-{next(_NUMBERS)}"
    made = admin.post("/api/v1/people", json={"name": name, "role": "viewer", "password": PASSWORD})

    assert made.status_code == 201
    assert made.json()["person"]["has_password"] is True
    assert "argon2" not in made.text + admin.get("/api/v1/people").text


@pytest.mark.parametrize(("method", "needed"), [("GET", "viewer"), ("POST", "admin"), ("DELETE", "admin")])
@pytest.mark.parametrize("role", ROLES)
def test_what_names_no_role_is_for_readers_to_read_and_for_admins_to_do(
    world: Any, role: str, method: str, needed: str
) -> None:
    """An endpoint that somebody adds and forgets to protect is not open to everybody."""
    services = world.services(DashboardSettings())
    access = services.access

    async def forgotten(request: Request) -> Response:
        await access.api_visitor(request)
        return Response("done")

    known = signed_in(world, role)
    app = Starlette(routes=[Route("/api/v1/forgotten", with_json_errors(forgotten), methods=[method])])
    client = TestClient(app, "http://127.0.0.1:8420", headers=known.headers, cookies=known.cookies)

    is_allowed = ROLES.index(role) >= ROLES.index(needed)
    assert client.request(method, "/api/v1/forgotten").status_code == (200 if is_allowed else 403)
