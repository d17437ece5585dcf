"""Filters: one parser, one meaning on every page, values that are bound and never part of the SQL."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from phospho_dashboard.queries import filters
from phospho_dashboard.queries.filters import Filters, Scope
from phospho_dashboard.queries.periods import Span
from phospho_schemas.messages import ProjectSettings
from phospho_web.problems import Problem

EVERY_FILTER = {
    "user": "ada", "version": "v1", "model": "m-1", "language": "en", "event": "thanks", "sentiment": "positive",
    "flag": "success", "q": "hello",
}  # fmt: skip
LISTS = {"/sessions.json": "sessions", "/tasks.json": "tasks", "/users.json": "users", "/versions.json": "versions"}


@pytest.fixture
def pages(world: Any) -> TestClient:
    client: TestClient = world.open_pages()
    return client


@pytest.fixture(scope="module")
def two_tasks(world: Any) -> str:
    """Return a project with a task that passes EVERY_FILTER, and one that passes none."""
    project = "two-tasks"
    world.registry.save_project(project)
    world.add_task(project, "yes", session_id="s-yes", user_id="ada", version_id="v1", model="m-1", input="Hello?")
    world.add_analysis(project, "yes", "thanks", session_id="s-yes", user_id="ada", version_id="v1")
    world.add_feedback(project, "yes", "success")
    world.add_task(project, "no", session_id="s-no", user_id="bob", version_id="v2", model="m-2", input="x", output="y")
    world.add_analysis(
        project, "no", session_id="s-no", user_id="bob", version_id="v2", language="fr", sentiment="negative"
    )
    return project


@pytest.mark.parametrize("name", sorted(EVERY_FILTER))
def test_each_filter_narrows_every_page(pages: TestClient, two_tasks: str, name: str) -> None:
    query = {"project": two_tasks, name: EVERY_FILTER[name]}

    for path, rows in LISTS.items():
        assert len(pages.get(path, params=query).json()[rows]) == 1, path
    totals = pages.get("/dashboard.json", params=query).json()["totals"]
    assert (totals["tasks"], totals["sessions"], totals["analysed_tasks"], totals["events"]) == (1, 1, 1, 1)
    assert pages.get("/events.json", params=query).json()["events"][0]["events"] == 1


def test_all_filters_at_once_leave_what_passes_each(pages: TestClient, two_tasks: str) -> None:
    for path, rows in LISTS.items():
        assert len(pages.get(path, params={"project": two_tasks}).json()[rows]) == 2, path
    tasks = pages.get("/tasks.json", params={"project": two_tasks, **EVERY_FILTER}).json()["tasks"]

    assert [task["task_id"] for task in tasks] == ["yes"]


def test_the_last_feedback_decides_and_an_unjudged_task_keeps_its_own_flag(
    world: Any, pages: TestClient, project: str
) -> None:
    world.add_task(project, "logged", flag="success")
    world.add_task(project, "overruled", flag="success")
    world.add_feedback(project, "overruled", "success", feedback_id="f1", revision=2)
    world.add_feedback(project, "overruled", "failure", feedback_id="f2", revision=3)

    def found(flag: str) -> list[str]:
        tasks = pages.get("/tasks.json", params={"project": project, "flag": flag}).json()["tasks"]
        return [task["task_id"] for task in tasks]

    assert (found("success"), found("failure")) == (["logged"], ["overruled"])


def test_an_event_is_found_as_people_corrected_it(world: Any, pages: TestClient, project: str) -> None:
    for task_id in ("found", "rejected", "added", "added too"):
        world.add_task(project, task_id, session_id=f"s-{task_id}")
        events = [] if task_id.startswith("added") else ["thanks"]
        world.add_analysis(project, task_id, *events, session_id=f"s-{task_id}")
    world.add_label(project, "rejected", "thanks", "rejected")
    world.add_label(project, "added", "thanks", "confirmed")
    world.add_label(project, "added too", "thanks", "confirmed")

    tasks = pages.get("/tasks.json", params={"project": project, "event": "thanks"}).json()["tasks"]
    [event] = pages.get("/events.json", params={"project": project}).json()["events"]
    by_view = world.store.rows("SELECT count() AS n FROM events WHERE project_id = {p:String}", {"p": project})

    assert {task["task_id"] for task in tasks} == {"found", "added", "added too"}
    assert (event["events"], event["sessions"]) == (3, 3)
    assert by_view == [{"n": 3}]
    assert pages.get("/dashboard.json", params={"project": project}).json()["totals"]["events"] == 3
    assert pages.get("/events/thanks.json", params={"project": project}).json()["totals"]["events"] == 3


def test_a_span_is_from_its_start_to_before_its_end(world: Any, pages: TestClient, project: str) -> None:
    for hour in (9, 10, 11):
        world.add_task(project, f"t{hour}", created_at=f"2026-01-01T{hour:02}:00:00.000Z")

    query = {"project": project, "from": "2026-01-01T09:00:00Z", "to": "2026-01-01T11:00:00Z"}
    page = pages.get("/tasks.json", params=query).json()

    assert [task["task_id"] for task in page["tasks"]] == ["t10", "t9"]
    assert (page["from"], page["to"], page["period"]) == ("2026-01-01T09:00:00.000Z", "2026-01-01T11:00:00.000Z", "")


@pytest.mark.parametrize(
    ("since", "until", "zone", "found"),
    [
        ("2026-11-28", "2026-11-28", "", ["t28"]),
        ("2026-11-27", "2026-11-29", "", ["t29", "t28", "t27"]),
        ("2026-11-28", "2026-11-28T12:00", "", []),
        ("2026-11-28", "2026-11-28", "Pacific/Auckland", ["t27"]),
        ("2026-11-28T01:00", "2026-11-28T01:01", "Pacific/Auckland", ["t27"]),
    ],
)
def test_span_includes_the_last_day_of_the_zone(
    world: Any, pages: TestClient, project: str, since: str, until: str, zone: str, found: list[str]
) -> None:
    for day in (27, 28, 29):
        world.add_task(project, f"t{day}", created_at=f"2026-11-{day}T12:00:00.000Z")
    pages.cookies.set("time_zone", zone)

    page = pages.get("/tasks.json", params={"project": project, "from": since, "to": until}).json()

    assert [task["task_id"] for task in page["tasks"]] == found
    assert page["time_zone"] == (zone or "UTC")


def test_zone_of_the_project_comes_before_the_browsers(world: Any, pages: TestClient, project: str) -> None:
    world.registry.save_project(project, settings=ProjectSettings(time_zone="Asia/Kolkata"))
    pages.cookies.set("time_zone", "Europe/Paris")

    assert pages.get("/tasks.json", params={"project": project}).json()["time_zone"] == "Asia/Kolkata"


@pytest.mark.parametrize("path", ["/tasks", "/tasks.json", "/tasks.csv", "/sessions.json", "/dashboard.json", "/"])
def test_unknown_filter_is_refused_with_the_names(pages: TestClient, two_tasks: str, path: str) -> None:
    refused = pages.get(path, params={"project": two_tasks, "user_id": "ada"})

    assert refused.status_code == 400
    assert "id you mean" in refused.text
    assert "sentiment" in refused.text


@pytest.mark.parametrize(
    ("path", "parameter"),
    [("/tasks.json", "columns"), ("/dashboard.json", "limit"), ("/events.json", "cursor"), ("/versions.json", "sort")],
)
def test_parameter_without_effect_is_refused(pages: TestClient, two_tasks: str, path: str, parameter: str) -> None:
    refused = pages.get(path, params={"project": two_tasks, parameter: "tasks"})

    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unknown_filter")


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/definitions.json", "known: name"),
        ("/definitions/diff.json", "known: name, version"),
        ("/settings/dead-letters.json", "known: cursor, limit"),
        ("/settings/webhooks.json", "takes no filters"),
        ("/filter-values.json", "known: filter, text"),
    ],
)
def test_twin_without_filters_refuses_unknown_parameters(
    pages: TestClient, project: str, path: str, known: str
) -> None:
    refused = pages.get(path, params={"project": project, "event": "refund"})

    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unknown_filter")
    assert known in refused.json()["error"]["hint"]


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("don't know", "I don\u2019t  know"),
        ("caf\u00e9", "un cafe\u0301"),
        ("prix 100", "prix\u00a0100"),
        ("STRASSE", "Stra\u00dfe 5"),
        ("stra\u00dfe", "STRASSE"),
        ("\u03bf\u03b4\u03bf\u03c2", "\u039f\u0394\u039f\u03a3 5"),
        ("istanbul", "\u0130stanbul"),
        ("refund", "\uff32\uff25\uff26\uff35\uff2e\uff24"),
        ("\uff32efund", "no refund"),
        ("my money", "My\nMONEY"),
        ("a\\b 'c' %", "x a\\b 'c' % y"),
    ],
)
def test_search_folds_texts_as_keywords_do(world: Any, pages: TestClient, phrase: str, text: str) -> None:
    world.registry.save_project("folded")
    world.add_task("folded", "searched", input=text, output="")

    def found(q: str) -> int:
        return len(pages.get("/tasks.json", params={"project": "folded", "q": q}).json()["tasks"])

    assert (found(phrase), found(phrase + "x")) == (1, 0)


def test_ids_are_compared_as_they_were_logged(world: Any, pages: TestClient, project: str) -> None:
    world.add_task(project, "spaced", user_id=" ada ", session_id="s-1")
    world.add_task(project, "plain", user_id="ada", session_id="s-2")

    tasks = pages.get("/tasks.json", params={"project": project, "user": " ada "}).json()["tasks"]

    assert [task["task_id"] for task in tasks] == ["spaced"]


def test_a_filter_that_is_an_attack_finds_nothing_and_breaks_nothing(pages: TestClient, two_tasks: str) -> None:
    attack = "' OR 1=1 -- \\' {project:String} %(tasks)s"

    for name in EVERY_FILTER:
        for path, rows in LISTS.items():
            answer = pages.get(path, params={"project": two_tasks, name: attack})
            if name in ("flag", "sentiment"):
                assert answer.status_code == 400, (path, name)
            else:
                assert (answer.status_code, answer.json()[rows]) == (200, []), (path, name)


@pytest.mark.parametrize(
    "query",
    [
        "period=2d", "from=yesterday", "to=x", "from=2026-01-02&to=2026-01-01", "q=" + "x" * 201,
        "user=" + "x" * 513, "sort=x", "flag=zz", "sentiment=zz",
    ],
)  # fmt: skip
def test_a_filter_that_can_not_be_read_is_a_client_error(pages: TestClient, query: str) -> None:
    answer = pages.get(f"/tasks.json?{query}")

    assert answer.status_code == 400
    assert answer.json()["error"]["code"].startswith("invalid_")
    assert pages.get(f"/tasks?{query}").status_code == 400


@pytest.mark.parametrize(
    ("query", "suggestion"),
    [
        ("period=7days", "7d"),
        ("sort=newst", "newest"),
        ("flag=sucess", "success"),
        ("sentiment=negativ", "negative"),
        ("where=usr=ada", "user"),
        ("usr=ada", "user"),
        ("since=2026-01-01", "from"),
        ("until=2026-01-01", "to"),
    ],
)
def test_value_that_is_nearly_one_is_refused_with_it(pages: TestClient, query: str, suggestion: str) -> None:
    error = pages.get(f"/tasks.json?{query}").json()["error"]
    assert error["hint"].startswith(f"did you mean {suggestion!r}? known: ")


def test_filter_that_is_like_no_other_is_refused_without_a_guess(pages: TestClient) -> None:
    error = pages.get("/tasks.json?page=2").json()["error"]
    assert error["hint"].startswith("known: ")


@pytest.mark.parametrize("path", ["/tasks", "/sessions"])
def test_a_column_that_there_is_not_is_a_client_error(pages: TestClient, two_tasks: str, path: str) -> None:
    refused = pages.get(path, params={"project": two_tasks, "columns": "time,zzz"})

    assert refused.status_code == 400
    assert "There is no column" in refused.text


def test_a_name_that_nobody_has_used_finds_nothing(pages: TestClient, two_tasks: str) -> None:
    assert pages.get("/tasks", params={"project": two_tasks, "event": "zzz"}).status_code == 200


def test_filters_survive_the_way_into_a_url_and_back() -> None:
    filters = Filters(since="2026-01-01", until="2026-01-02", **EVERY_FILTER)

    assert Filters.from_query(filters.query()) == filters
    assert filters.query()["from"] == "2026-01-01"
    assert Filters.from_query({}).query() == {}


def test_a_period_comes_before_a_span_of_ones_own() -> None:
    assert Filters.from_query({"period": "7d", "from": "2026-01-01"}) == Filters(period="7d")


@pytest.mark.parametrize("most", [1000, 0])
def test_a_phrase_in_few_tasks_and_one_in_many_are_counted_alike(
    pages: TestClient, two_tasks: str, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(filters, "MAX_IDS", most)
    query = {"project": two_tasks, "q": "hello", "event": "thanks"}

    assert pages.get("/dashboard.json", params=query).json()["totals"]["events"] == 1
    assert pages.get("/events/thanks.json", params=query).json()["examples"][0]["task_id"] == "yes"


def test_values_are_bound_and_never_written_into_the_sql() -> None:
    scope = Scope("p", Filters(**dict.fromkeys(EVERY_FILTER, "SECRET")), Span(1, 2))

    assert "SECRET" not in scope.tasks() + scope.analyses()
    assert scope.parameters()["q"] == "SECRET"


def test_every_link_of_a_page_keeps_its_filters(pages: TestClient, two_tasks: str) -> None:
    text = pages.get("/", params={"project": two_tasks, "version": "v1", "period": "all"}).text

    for path in ("/sessions", "/tasks", "/events", "/users", "/versions"):
        assert f'href="{path}?project={two_tasks}&amp;period=all&amp;version=v1"' in text


def test_a_filter_that_is_too_long_names_itself() -> None:
    with pytest.raises(Problem) as caught:
        Filters.from_query({"model": "x" * 513})
    assert caught.value.code == "invalid_model"
