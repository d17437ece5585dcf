"""Themes on the pages and in the API: their figures, filters and changes, and people's edits of them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from httpx import Response
from starlette.testclient import TestClient

from dashboard.conftest import World
from phospho_schemas.rows.themes import ThemeFact, ThemeModelRow, ThemeRow
from phospho_store.registry.registry import Registry
from phospho_store.registry.themes import ThemeRepository

NOW = datetime.now(UTC)
TITLES = {"theme-a": "Order pizza", "theme-b": "Turn off the lights", "theme-c": "Send an email"}


def at(days_ago: float) -> str:
    return (NOW - timedelta(days=days_ago)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.fixture
def client(world: World, project: str) -> TestClient:
    """A project with three themes of an hour ago, and a task of two of them."""
    repository = ThemeRepository(world.store)
    made_at = NOW - timedelta(days=3)
    model = ThemeModelRow(project_id=project, version=1, tasks=4, texts=4, model="", created_at=made_at)
    themes = [
        ThemeRow(
            project_id=project,
            theme_id=name,
            version=1,
            title=title,
            phrases=title.lower().split(),
            examples=[f"{name}-0"],
            group_id="group-1",
            group_title="Home",
            created_at=made_at if name != "theme-c" else NOW - timedelta(days=1),
        )
        for name, title in TITLES.items()
    ]
    fact = ThemeFact(project_id=project, version=1, theme_id="theme-a", kind="birth", created_at=made_at)
    repository.save_discovery(model, themes, [fact], 0)
    for name, sentiment, count in (("theme-a", "negative", 3), ("theme-b", "positive", 1), ("", "neutral", 1)):
        for number in range(count):
            task = {"created_at": at(0.1), "session_id": f"{name}-{number}", "user_id": f"user-{number}"}
            world.add_task(project, f"{name}-{number}", **task, input=f"about {name}")
            world.add_analysis(
                project, f"{name}-{number}", "greeting", **task, theme=name, sentiment=sentiment, theme_version=1
            )
    world.add_feedback(project, "theme-a-0", "failure")
    client = world.open_pages()
    client.params = client.params.set("project", project)
    client.headers["Sec-Fetch-Site"] = "same-origin"
    return client


def listed(client: TestClient) -> dict[str, dict]:
    content = client.get("/themes.json", params={"period": "7d"}).json()
    return {theme["theme_id"]: theme for theme in content["themes"]}


def task_ids(client: TestClient, theme: str) -> set[str]:
    return {task["task_id"] for task in client.get("/tasks.json", params={"theme": theme}).json()["tasks"]}


def post(client: TestClient, path: str, **fields: str) -> Response:
    """Post a form with the token of the pages."""
    token = re.search(r'name="form_token" value="([0-9a-f]{64})"', client.get("/themes").text)
    assert token is not None
    return client.post(path, data={"form_token": token[1], **fields})


def edit(client: TestClient, theme_id: str, action: str, **fields: str) -> int:
    return post(client, "/themes/edit", theme_id=theme_id, action=action, next="/themes", **fields).status_code


def test_themes_are_listed_with_their_figures(client: TestClient) -> None:
    themes = listed(client)
    assert list(themes) == ["theme-a", "theme-b", "theme-c"]
    first = themes["theme-a"]
    assert (first["title"], first["tasks"], first["users"], first["negative"]) == ("Order pizza", 3, 3, 3)
    assert (first["share"], first["success_rate"], sum(first["trend"])) == (0.6, 0.0, 3)
    assert (themes["theme-c"]["is_new"], first["is_new"]) == (True, False)
    content = client.get("/themes.json", params={"period": "7d"}).json()
    assert (content["tasks"], content["without_theme"], content["model_version"]) == (5, 1, 1)
    page = client.get("/themes", params={"period": "7d"})
    assert page.status_code == 200
    assert "Turn off the lights" in page.text


def test_themes_of_outputs_are_a_list_of_their_own(client: TestClient, world: World, project: str) -> None:
    assert "Outputs</a>" not in client.get("/themes").text
    repository = ThemeRepository(world.store)
    model = repository.model(project)
    assert model is not None
    apology = ThemeRow(
        project_id=project, theme_id="theme-o", side="output", version=1, title="So sorry", created_at=model.created_at
    )
    repository.save_discovery(model, [apology], [], model.revision)
    world.add_task(project, "o-1", created_at=at(0.1), output="So sorry")
    world.add_analysis(project, "o-1", created_at=at(0.1), theme="theme-b", output_theme="theme-o", theme_version=1)
    assert "theme-o" not in listed(client)
    content = client.get("/themes.json", params={"period": "7d", "side": "output"}).json()
    assert [(row["theme_id"], row["tasks"]) for row in content["themes"]] == [("theme-o", 1)]
    assert task_ids(client, "theme-o") == {"o-1"}
    page = client.get("/themes", params={"side": "output"}).text
    assert re.search(r'aria-current="page">Outputs</a>', page)
    assert client.get("/themes/theme-o.json").json()["theme"]["tasks"] == 1
    assert client.get("/themes.json", params={"side": "x"}).status_code == 400
    post(client, "/themes/definition", theme_id="theme-o")
    [definition] = [row for row in Registry(world.store).definitions(project) if row.name == "so_sorry"]
    assert definition.scope == "output"


def test_suggestions_are_themes_that_no_event_covers(client: TestClient, world: World, project: str) -> None:
    content = client.get("/themes.json", params={"period": "7d"}).json()
    assert content["suggestions"] == []
    for number in range(5):
        task = {"created_at": at(0.1), "session_id": f"c-{number}"}
        world.add_task(project, f"c-{number}", **task)
        events = ["greeting"] if number < 2 else []
        world.add_analysis(project, f"c-{number}", *events, **task, theme="theme-c", theme_version=1)
    [suggestion] = client.get("/themes.json", params={"period": "7d"}).json()["suggestions"]
    assert (suggestion["theme_id"], suggestion["tasks"]) == ("theme-c", 5)
    page = client.get("/themes", params={"period": "7d"}).text
    assert "Suggested definitions" in page
    assert re.search(r'data-x="0(.0)?" data-y="0(.0)?" data-tasks="5"', page)


def test_tasks_are_filtered_by_theme_and_show_it(client: TestClient) -> None:
    assert task_ids(client, "theme-a") == {"theme-a-0", "theme-a-1", "theme-a-2"}
    assert task_ids(client, "none") == {"-0"}
    assert task_ids(client, "theme-of-nobody") == set()
    assert "Order pizza" in client.get("/tasks", params={"columns": "theme"}).text
    sessions = client.get("/sessions.json", params={"theme": "theme-b"}).json()["sessions"]
    assert [session["session_id"] for session in sessions] == ["theme-b-0"]


def test_theme_has_examples_events_and_history(client: TestClient) -> None:
    content = client.get("/themes/theme-a.json").json()
    assert [task["task_id"] for task in content["examples"]] == ["theme-a-0"]
    assert content["events"] == [{"name": "greeting", "tasks": 3}]
    assert [fact["kind"] for fact in content["history"]] == ["birth"]
    page = client.get("/themes/theme-a")
    assert page.status_code == 200
    assert "Create definition from theme" in page.text
    assert client.get("/themes/theme-of-nobody").status_code == 404


def test_edits_by_people_win(client: TestClient) -> None:
    assert edit(client, "theme-a", "rename", title="Food") == 303
    assert edit(client, "theme-b", "hide") == 303
    assert edit(client, "theme-c", "pin") == 303
    assert list(listed(client)) == ["theme-c", "theme-a"]
    assert listed(client)["theme-a"]["title"] == "Food"
    edit(client, "theme-a", "rename", title="")
    edit(client, "theme-b", "show")
    assert listed(client)["theme-a"]["title"] == "Order pizza"
    assert "theme-b" in listed(client)
    assert edit(client, "theme-of-nobody", "pin") == 404
    assert edit(client, "theme-a", "nonsense") == 422


def test_tasks_of_a_merged_theme_count_for_the_other(client: TestClient) -> None:
    assert edit(client, "theme-b", "merge", into="theme-a") == 303
    themes = listed(client)
    assert ("theme-b" in themes, themes["theme-a"]["tasks"]) == (False, 4)
    assert "theme-b-0" in task_ids(client, "theme-a")
    # What was merged into a theme goes where that goes.
    edit(client, "theme-a", "merge", into="theme-c")
    assert listed(client)["theme-c"]["tasks"] == 4
    assert edit(client, "theme-c", "merge", into="theme-b") == 422
    edit(client, "theme-b", "merge", into="")
    assert (listed(client)["theme-c"]["tasks"], listed(client)["theme-b"]["tasks"]) == (3, 1)


def test_views_of_sql_have_merges_and_titles(client: TestClient, world: World, project: str) -> None:
    edit(client, "theme-b", "merge", into="theme-a")
    edit(client, "theme-a", "rename", title="Food")
    sql = """
        SELECT theme.title AS title, count() AS tasks FROM analyses
        INNER JOIN themes AS theme ON theme.project_id = analyses.project_id AND theme.theme_id = analyses.theme_id
        WHERE project_id = {project:String} GROUP BY title
    """
    assert world.store.rows(sql, {"project": project}) == [{"title": "Food", "tasks": 4}]


def test_growing_theme_is_told_from_the_period_before(client: TestClient, world: World, project: str) -> None:
    for number in range(300):
        days_ago, theme = (1, "theme-a" if number % 2 else "theme-b") if number < 150 else (10, "theme-b")
        task = {"created_at": at(days_ago), "session_id": f"s-{number}"}
        world.add_task(project, f"t-{number}", **task)
        world.add_analysis(project, f"t-{number}", **task, theme=theme, theme_version=1)
    themes = listed(client)
    assert (themes["theme-a"]["change"], themes["theme-b"]["change"]) == ("growing", "shrinking")
    assert {theme["change"] for theme in client.get("/themes.json", params={"period": "all"}).json()["themes"]} == {""}


def test_definition_made_from_a_theme_has_labels_to_learn_from(client: TestClient, world: World, project: str) -> None:
    response = post(client, "/themes/definition", theme_id="theme-a")
    assert (response.status_code, "name=order_pizza" in response.headers["location"]) == (303, True)
    [definition] = world.registry.definitions(project)
    assert (definition.name, definition.engine, definition.scope) == ("order_pizza", "semantic", "input")
    assert "pizza" in definition.description
    api = world.client(world.registry.create_key(project, "k").secret)
    labels = api.get("/api/v1/labels")
    by_label = {label["task_id"]: label["label"] for label in labels.json()["labels"]}
    assert {name for name, label in by_label.items() if label == "confirmed"} == {f"theme-a-{n}" for n in range(3)}
    assert {name for name, label in by_label.items() if label == "rejected"} == {"theme-b-0", "-0"}
    assert post(client, "/themes/definition", theme_id="theme-a").status_code == 409


def test_api_edits_themes(client: TestClient, world: World, project: str) -> None:
    api = world.client(world.registry.create_key(project, "k").secret)
    assert (
        api.patch("/api/v1/themes/theme-a", json={"title": "Food", "is_pinned": True}).json()["theme"]["title"]
        == "Food"
    )
    assert api.post("/api/v1/themes/theme-b/merge", json={"into": "theme-a"}).status_code == 200
    assert api.post("/api/v1/themes/theme-a/split").json()["theme"]["split_at"]
    assert api.post("/api/v1/themes/refresh").status_code == 202
    assert api.get("/api/v1/themes?period=7d").json()["is_refreshing"]
    for body in ({}, {"title": 3}, {"is_hidden": "yes"}, {"titel": "x"}, {"title": "x" * 129}):
        assert api.patch("/api/v1/themes/theme-a", json=body).status_code == 422
    assert api.post("/api/v1/themes/theme-b/merge", json={"into": 3}).status_code == 422
    reader = world.client(world.registry.create_key(project, "r", scopes=["read"]).secret)
    assert reader.get("/api/v1/themes/theme-a").status_code == 200
    assert reader.patch("/api/v1/themes/theme-a", json={"title": "x"}).status_code == 403
