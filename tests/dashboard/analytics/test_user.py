"""The page of one user: only what is theirs, and the button that forgets them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from starlette.testclient import TestClient

from dashboard.conftest import World
from fixtures.html_pages import ATTACK, check_page


def add_tasks(world: Any, project: str) -> None:
    with world.together():
        for number, user in enumerate(["ada", "ada", "bob"]):
            at = f"2026-01-0{number + 1}T10:00:00.000Z"
            fields = {"session_id": f"s{number}", "user_id": user, "created_at": at}
            world.add_task(project, f"t{number}", **fields, flag="success" if number else "failure")
            world.add_analysis(project, f"t{number}", "refund" if user == "ada" else "other", **fields)


def test_user_page_has_only_what_is_theirs(world: Any, project: str) -> None:
    add_tasks(world, project)
    pages = world.open_pages()
    query = {"project": project}

    twin = pages.get("/users/ada.json", params=query).json()
    last_day = pages.get("/users/ada.json", params=query | {"from": "2026-01-02", "to": "2026-01-09"}).json()

    assert (twin["totals"]["tasks"], twin["totals"]["success_rate"]) == (2, 0.5)
    assert [row["name"] for row in twin["events"]] == ["refund"]
    assert [row["session_id"] for row in twin["sessions"]] == ["s1", "s0"]
    assert (last_day["totals"]["tasks"], last_day["user"]["first_task_at"][:10]) == (1, "2026-01-01")
    assert pages.get("/users/nobody.json", params=query).status_code == 404
    page = pages.get("/users/ada", params=query).text
    assert f'href="/tasks?project={project}&amp;user=ada&amp;event=refund"' in page
    assert 'href="/users/ada?' in pages.get("/users", params=query).text


def test_user_page_escapes_what_clients_log(world: Any, project: str) -> None:
    world.add_task(project, "t", user_id=ATTACK)

    check_page(world.open_pages().get("/users/" + quote(ATTACK, safe=""), params={"project": project}))


def test_administrator_forgets_a_user_after_a_confirmation(world: World, project: str) -> None:
    add_tasks(world, project)
    admin, viewer = world.signed_in("admin"), world.signed_in("viewer")
    fields = {"project": project, "user": "ada", "form_token": form_token(admin, project)}

    question = admin.post("/users/forget", data=fields)
    unharmed = admin.get("/users/ada", params={"project": project}).status_code
    report = admin.post("/users/forget", data=fields | {"confirmed": "1"})

    assert "Forget user ada?" in question.text
    assert unharmed == 200
    assert "2 tasks in 2 sessions deleted." in report.text
    assert "signature" in report.text
    assert admin.get("/users/ada", params={"project": project}).status_code == 404
    assert admin.get("/users/bob", params={"project": project}).status_code == 200
    assert "/users/forget" not in viewer.get("/users/bob", params={"project": project}).text
    refused = viewer.post("/users/forget", data={"project": project, "user": "bob"})
    assert refused.status_code == 403


def form_token(client: TestClient, project: str) -> str:
    page = client.get("/users/ada", params={"project": project}).text
    return page.partition('name="form_token" value="')[2].partition('"')[0]
