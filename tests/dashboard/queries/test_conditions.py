"""The filter `where`: several values, exclusion, keys of the metadata, and texts that are no condition."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from phospho_dashboard.queries.conditions import conditions_of


@pytest.fixture(scope="module")
def pages(world: Any) -> TestClient:
    """Return a browser of a project with three tasks of different users, versions, models and plans."""
    world.registry.save_project("conditions")
    rows = {
        "a": ({"user_id": "ada", "version_id": "v1", "model": "m;1", "metadata": {"plan": "pro", "n": 1}}, "en", ["x"]),
        "b": ({"user_id": "bob", "version_id": "v2", "model": "m|2", "metadata": {"plan": "free"}}, "fr", ["x", "y"]),
        "c": ({"version_id": "v3", "model": "m"}, "de", []),
    }
    with world.together():
        for task_id, (fields, language, names) in rows.items():
            own = {
                "session_id": f"s-{task_id}",
                "version_id": fields["version_id"],
                "user_id": fields.get("user_id", ""),
            }
            world.add_task("conditions", task_id, **own | fields)
            world.add_analysis("conditions", task_id, *names, language=language, **own)
    client: TestClient = world.open_pages()
    client.params = client.params.set("project", "conditions")
    return client


@pytest.mark.parametrize(
    ("where", "task_ids"),
    [
        ("version=v1|v2", "ab"),
        ("version!=v1|v2", "c"),
        ("user=", "c"),
        ("metadata.plan=pro|free; version!=v2", "a"),
        ("metadata.plan!=pro", "bc"),
        ("metadata.n=1", "a"),
        ("event=x; event!=y", "a"),
        ("event=x|y", "ab"),
        ("event!=x", "c"),
        ("language!=en; model!=m", "b"),
        (r"model=m\;1|m\|2", "ab"),
        ("user=' OR 1 = 1 --", ""),
        ("metadata.plan' OR 1=pro", ""),
        ("language=en|fr|de", "abc"),
    ],
)
def test_conditions_narrow_lists_and_counts(pages: TestClient, where: str, task_ids: str) -> None:
    """On every page, whichever table it reads first, and together with a filter of its own."""
    query = {"where": where, "period": "all"}
    tasks = pages.get("/tasks.json", params=query).json()["tasks"]
    totals = pages.get("/dashboard.json", params=query).json()["totals"]

    assert sorted(task["task_id"] for task in tasks) == list(task_ids)
    assert (totals["tasks"], totals["analysed_tasks"]) == (len(task_ids), len(task_ids))


def test_tasks_of_an_import_name_its_file_and_their_number(world: Any) -> None:
    world.registry.save_project("imported")
    marks = {"a": "12ab/old & new.csv", "b": "12ab/old & new.csv", "c": "34cd/other.csv", "d": ""}
    with world.together():
        for task_id, mark in marks.items():
            world.add_task("imported", task_id, metadata={"phospho_import": mark} if mark else {})
    pages: TestClient = world.open_pages()
    query = {"project": "imported", "period": "all", "where": "metadata.phospho_import=12ab/old & new.csv"}

    page = pages.get("/tasks", params=query).text
    assert "Import of <bdi>old &amp; new.csv</bdi>, 2 tasks" in page
    assert ">Import of old &amp; new.csv <span" in page
    assert [task["task_id"] for task in pages.get("/tasks.json", params=query).json()["tasks"]] == ["b", "a"]
    query["where"] = "metadata.phospho_import=34cd/other.csv"
    assert "Import of <bdi>other.csv</bdi>, 1 task<" in pages.get("/tasks", params=query).text
    for other in ("", "metadata.phospho_import!=34cd/other.csv", "metadata.plan=pro"):
        assert "Import of" not in pages.get("/tasks", params=query | {"where": other}).text


def test_labels_count_in_conditions_on_events(world: Any, pages: TestClient) -> None:
    world.add_label("conditions", "a", "x", "rejected")
    world.add_label("conditions", "c", "x", "confirmed")

    tasks = pages.get("/tasks.json", params={"where": "event=x"}).json()["tasks"]
    world.add("label_rows", LABEL | {"task_id": "a"})
    world.add("label_rows", LABEL | {"task_id": "c"})

    assert sorted(task["task_id"] for task in tasks) == ["b", "c"]


LABEL = {
    "project_id": "conditions",
    "event_name": "x",
    "revision": 9,
    "label": "",
    "created_at": "2026-01-01T12:00:00.000Z",
}


@pytest.mark.parametrize(
    ("where", "hint"),
    [
        ("version", "metadata.plan=pro"),
        ("verson=v1", "user, version, model"),
        ("metadata.=x", "known:"),
        ("=x", "version"),
    ],
)
def test_text_that_is_no_condition_is_refused_with_the_names(pages: TestClient, where: str, hint: str) -> None:
    refused = pages.get("/tasks.json", params={"where": where})

    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_where")
    assert hint in refused.json()["error"]["hint"]
    assert pages.get("/tasks.json", params={"where": "; ".join(["user=a"] * 11)}).status_code == 400


def test_backslash_makes_a_separator_part_of_a_value() -> None:
    values = [condition.values for condition in conditions_of(r"user=a\;b|c\|d\\; version=|x;")]

    assert values == [("a;b", "c|d\\"), ("", "x")]


def test_page_shows_each_condition_with_a_link_that_removes_it(pages: TestClient) -> None:
    page = pages.get("/tasks", params={"where": "version=v1|v2; metadata.plan!=<b>"}).text

    assert "version is v1 or v2" in page
    assert "metadata.plan is not &lt;b&gt;" in page
    assert 'href="/tasks?project=conditions&amp;where=version%3Dv1%7Cv2"' in page
    assert 'value="version=v1|v2; metadata.plan!=&lt;b&gt;"' in page
