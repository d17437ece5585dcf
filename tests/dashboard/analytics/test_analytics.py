"""The numbers of the pages: what they count, how they are cut, and that no replay changes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from fixtures.html_pages import Tags
from phospho_dashboard.analytics import overview
from phospho_dashboard.settings import Price, Prices
from phospho_schemas.messages import EventDefinition

PRICES = Prices("USD", {"m-1": Price(1.0, 2.0)})


@pytest.fixture
def pages(world: Any) -> TestClient:
    client: TestClient = world.open_pages(prices=PRICES)
    return client


@pytest.fixture
def unmerged(world: Any) -> Iterator[Sequence[str]]:
    """Return the tables of facts, whose parts stay as they were inserted: no merge hides a row that is there twice."""
    tables = ("task_rows", "analysis_rows", "feedback_rows", "label_rows")
    for table in tables:
        world.store.command(f"SYSTEM STOP MERGES {table}")
    yield tables
    for table in tables:
        world.store.command(f"SYSTEM START MERGES {table}")


def add_conversation(world: Any, project: str, inserted_at: str = "2026-01-03T00:00:00.000Z") -> None:
    """
    Add two sessions of two days: three tasks, two users, two versions, one judged success and one failure.

    Told again with another `inserted_at` it is a replay, which the table can't know for the insert that it has had.
    """
    facts = {"model": "m-1", "tokens_in": 1_000_000, "tokens_out": 500_000, "inserted_at": inserted_at}
    of_ada = {"user_id": "ada", "version_id": "v1", "inserted_at": inserted_at}
    of_bob = {"session_id": "s-2", "user_id": "bob", "version_id": "v2", "created_at": "2026-01-02T10:00:00.000Z"}
    of_bob["inserted_at"] = inserted_at
    world.add_task(project, "a", latency_ms=100.0, flag="success", **facts | of_ada)
    world.add_task(project, "b", latency_ms=300.0, **facts | of_ada)
    world.add_task(project, "c", model="m-2", tokens_in=10, **of_bob)
    world.add_analysis(project, "a", "thanks", **of_ada)
    world.add_analysis(project, "b", "thanks", "refund", sentiment="negative", **of_ada)
    world.add_analysis(project, "c", language="fr", sentiment="", sentiment_score=None, **of_bob)
    world.add_feedback(project, "b", "failure", inserted_at=inserted_at)


def define(world: Any, project: str, name: str) -> None:
    now = datetime.now(UTC)
    world.registry.save_definition(
        EventDefinition(project_id=project, name=name, engine="keyword", keywords=["thx"], created_at=now)
    )


def test_the_dashboard_counts_each_thing_once(world: Any, pages: TestClient, project: str) -> None:
    add_conversation(world, project)

    page = pages.get("/dashboard.json", params={"project": project}).json()

    totals = page["totals"]
    assert (totals["tasks"], totals["sessions"], totals["users"], totals["events"]) == (3, 2, 2, 3)
    assert (totals["successes"], totals["failures"], totals["success_rate"]) == (1, 1, 0.5)
    assert (totals["positive"], totals["neutral"], totals["negative"]) == (1, 0, 1)
    assert (totals["latency_p50_ms"], totals["latency_p99_ms"]) == (100.0, 300.0)
    assert (totals["tokens_in"], totals["tokens_out"], totals["cost"]) == (2_000_010, 1_000_000, 4.0)
    assert [(row["name"], row["events"], row["sessions"]) for row in page["events"]] == [
        ("thanks", 2, 1),
        ("refund", 1, 1),
    ]
    assert [(row["model"], row["tasks"], row["cost"]) for row in page["models"]] == [("m-1", 2, 4.0), ("m-2", 1, None)]
    assert [(row["version"], row["tasks"]) for row in page["versions"]] == [("v1", 2), ("v2", 1)]
    assert [(row["user"], row["tasks"]) for row in page["users"]] == [("ada", 2), ("bob", 1)]
    assert {row["language"]: row["tasks"] for row in page["languages"]} == {"en": 2, "fr": 1}


def test_the_bars_of_languages_sum_up(world: Any, pages: TestClient, project: str) -> None:
    languages = ["en", "en", "en", "fr", "fr", "de", "de", "", "", "it", "it", "nl", "pt"]
    for number, language in enumerate(languages):
        world.add_analysis(project, f"t{number}", language=language)
        world.add_task(project, f"t{number}")

    text = pages.get("/", params={"project": project}).text

    listed = text.split('id="languages-title"')[1].split("</section>")[0]
    rows = re.findall(r'<(a|span) class="part".*?>([^<>]+)</span><span class="number">(\d+)<', listed)
    assert rows == [
        ("a", "English", "3"),
        ("span", "unknown", "2"),
        ("a", "German", "2"),
        ("a", "French", "2"),
        ("a", "Italian", "2"),
        ("span", "other", "2"),
    ]


def test_the_cost_is_that_of_every_model_with_a_price(
    world: Any, pages: TestClient, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many models have more tasks."""
    monkeypatch.setattr(overview, "MAX_ROWS", 1)
    world.add_task(project, "a", model="m-1", tokens_in=1_000_000)
    for task_id in ("b", "c"):
        world.add_task(project, task_id, model="busy", tokens_in=5)

    page = pages.get("/dashboard.json", params={"project": project}).json()

    assert [row["model"] for row in page["models"]] == ["busy"]
    assert page["totals"]["cost"] == 1.0


def test_what_happened_over_time_adds_up_to_the_totals(world: Any, pages: TestClient, project: str) -> None:
    add_conversation(world, project)

    page = pages.get("/dashboard.json", params={"project": project}).json()

    for name in ("tasks", "events", "successes", "failures", "positive", "negative", "tokens_in"):
        assert sum(point[name] for point in page["over_time"]) == page["totals"][name], name
    assert sum(point["sessions"] for point in page["over_time"]) == 2
    empty = [point for point in page["over_time"] if not point["tasks"]]
    assert empty
    assert {point["success_rate"] for point in empty} == {None}
    starts = [point["start_at"] for point in page["over_time"]]
    assert starts[1:] == [point["end_at"] for point in page["over_time"]][:-1]


def test_a_point_of_a_chart_leads_to_the_tasks_behind_it(world: Any, pages: TestClient, project: str) -> None:
    add_conversation(world, project)
    page = pages.get("/dashboard.json", params={"project": project}).json()
    point = next(point for point in page["over_time"] if point["tasks"] == 2)

    text = pages.get("/", params={"project": project}).text
    span = {"from": point["start_at"], "to": point["end_at"]}
    tasks = pages.get("/tasks.json", params={"project": project, **span}).json()["tasks"]

    assert f"from={point['start_at'].replace(':', '%3A')}" in text
    assert {task["task_id"] for task in tasks} == {"a", "b"}


@pytest.mark.parametrize("query", [{"period": "30d"}, {"from": "1900-01-01"}, {"period": "all"}])
def test_each_bar_has_as_many_tasks_as_the_list_that_it_leads_to(
    world: Any, pages: TestClient, project: str, query: dict[str, str]
) -> None:
    now = datetime.now(UTC)
    start = now - timedelta(days=30)
    times = [start - timedelta(seconds=60), start + timedelta(seconds=60), now, now + timedelta(hours=1)]
    for number, at in enumerate([*times, now + timedelta(days=300)]):
        world.add_task(project, f"t{number}", created_at=at.isoformat(timespec="milliseconds"))

    page = pages.get("/dashboard.json", params={"project": project, **query}).json()

    points = [point for point in page["over_time"] if point["tasks"]]
    spans = [{"from": point["start_at"], "to": point["end_at"]} for point in points]
    lists = [pages.get("/tasks.json", params={"project": project, **span}).json()["tasks"] for span in spans]
    assert [len(tasks) for tasks in lists] == [point["tasks"] for point in points]
    assert sum(point["tasks"] for point in points) == page["totals"]["tasks"]


def test_a_replay_in_any_order_changes_no_number(
    world: Any, pages: TestClient, project: str, unmerged: Sequence[str]
) -> None:
    add_conversation(world, project)
    world.add_label(project, "b", "refund", "rejected")
    paths = ("/dashboard.json", "/sessions.json", "/tasks.json", "/events.json", "/users.json", "/versions.json")

    def numbers() -> list[dict[str, Any]]:
        content = [pages.get(path, params={"project": project}).json() for path in paths]
        content[0].pop("freshness")
        return content

    before = numbers()
    add_conversation(world, project, inserted_at="2026-02-02T00:00:00.000Z")
    world.add_task(project, "a", revision=0, user_id="somebody else", latency_ms=9e9)
    after_replay = numbers()
    for table in unmerged:
        world.store.command(f"SYSTEM START MERGES {table}")
        world.store.command(f"OPTIMIZE TABLE {table} FINAL")

    assert after_replay == before
    assert numbers() == before


def test_an_old_project_opens_with_its_data_in_view(world: Any, pages: TestClient, project: str) -> None:
    world.add_task(project, "old", created_at="2020-05-05T10:00:00.000Z")

    page = pages.get("/dashboard.json", params={"project": project}).json()

    assert (page["period"], page["totals"]["tasks"]) == ("all", 1)


def test_an_event_has_its_trend_its_scores_and_examples(world: Any, pages: TestClient, project: str) -> None:
    add_conversation(world, project)
    world.registry.save_definition(
        EventDefinition(
            project_id=project, name="thanks", engine="keyword", keywords=["thx"], created_at=datetime.now(UTC)
        )
    )

    page = pages.get("/events/thanks.json", params={"project": project}).json()

    assert page["totals"] == {"tasks": 3, "events": 2, "sessions": 1, "all_sessions": 2}
    assert sum(point["events"] for point in page["trend"]) == 2
    assert [row["events"] for row in page["scores"] if row["events"]] == [2]
    assert next(row["from"] for row in page["scores"] if row["events"]) == 0.75
    assert {task["task_id"] for task in page["examples"]} == {"a", "b"}
    assert page["definition"]["version"] == 1
    assert page["by_version"] == [{"definition_version": 1, "engine": "keyword", "events": 2, "mean_score": 0.75}]
    assert '<td class="number">0.75</td>' in pages.get("/events/thanks", params={"project": project}).text
    assert pages.get("/events/nonsense.json", params={"project": project}).status_code == 404


def test_an_event_of_whole_sessions_is_a_share_of_sessions_with_its_words(
    world: Any, pages: TestClient, project: str
) -> None:
    add_conversation(world, project)
    definition = EventDefinition(
        project_id=project, name="happy end", description="All is well", scope="session", created_at=datetime.now(UTC)
    )
    world.registry.save_definition(definition)
    sql = "SELECT groupBitXor(sipHash64(task_id, revision)) AS state FROM task_rows FINAL"
    sql += " WHERE project_id = {project:String} AND session_id = 's-2'"
    [present] = world.store.rows(sql, {"project": project})
    event = {"id": "e", "name": "happy end", "definition_version": 1, "engine": "semantic", "scope": "session"}
    row = {"project_id": project, "session_id": "s-2", "turn": "", "revision": 1, "task_id": "c", **present}
    found = [event | {"score": 0.8, "evidence": "thanks, all is well"}]
    world.add("session_analysis_rows", row | {"created_at": "2026-01-02T10:00:00.000Z", "events": found})

    text = pages.get("/events/happy%20end", params={"project": project}).text

    assert "Matching tasks" not in text
    assert "50.0 % of 2 sessions" in text
    assert '<q dir="auto">thanks, all is well</q>' in text
    assert f'href="/sessions/s-2?project={project}"' in text


def test_the_page_of_a_new_version_says_what_the_one_before_found(world: Any, pages: TestClient, project: str) -> None:
    add_conversation(world, project)
    define(world, project, "thanks")

    def page() -> str:
        text: str = pages.get("/events/thanks", params={"project": project}).text
        return text

    assert "come from version" not in page()
    [known] = world.registry.definitions(project)
    world.registry.save_definition(known.model_copy(update={"keywords": ["thank you"]}))
    assert "Events of older tasks come from version 1." in page()
    assert f'<a href="/definitions/backfill?project={project}&amp;name=thanks">Run version 2 on' in page()


def test_a_definition_that_found_nothing_is_listed_with_zero(world: Any, pages: TestClient, project: str) -> None:
    world.registry.save_definition(
        EventDefinition(
            project_id=project, name="never", engine="keyword", keywords=["x"], created_at=datetime.now(UTC)
        )
    )

    [event] = pages.get("/events.json", params={"project": project}).json()["events"]

    assert (event["name"], event["events"], event["last_at"]) == ("never", 0, None)
    assert pages.get("/events/never", params={"project": project}).status_code == 200


def test_a_task_has_a_page_with_its_neighbours(world: Any, pages: TestClient, project: str) -> None:
    for minute, task_id in enumerate(("first", "with/slash.json", "last")):
        world.add_task(project, task_id, created_at=f"2026-01-01T10:0{minute}:00.000Z", raw_input='{"raw": true}')

    page = pages.get("/tasks/first.json", params={"project": project}).json()
    text = pages.get("/tasks/first", params={"project": project}).text

    assert (page["task"]["task_id"], page["previous"], page["next"]) == ("first", "", "with/slash.json")
    assert "/tasks/with%2Fslash.json?" in text
    assert "&#34;raw&#34;: true" in text
    assert pages.get("/tasks/absent", params={"project": project}).status_code == 404


@pytest.mark.parametrize("sort", ["newest", "oldest", "slowest", "tokens"])
def test_tasks_follow_each_other_without_a_gap_in_every_order(
    world: Any, pages: TestClient, project: str, sort: str
) -> None:
    with world.together():
        for number in range(9):
            at = f"2026-01-0{1 + number // 3}T10:00:00.000Z"
            world.add_task(project, f"t{number}", created_at=at, latency_ms=float(number % 4), tokens_in=number % 3)
    seen: list[str] = []
    cursor: str | None = ""

    while cursor is not None:
        query = {"project": project, "limit": "2", "cursor": cursor, "sort": sort}
        page = pages.get("/tasks.json", params=query).json()
        seen += [task["task_id"] for task in page["tasks"]]
        cursor = page["next_cursor"]

    assert sorted(seen) == [f"t{number}" for number in range(9)]
    if sort in ("newest", "oldest"):
        days = [int(task_id[1:]) // 3 for task_id in seen]
        assert days == sorted(days, reverse=sort == "newest")


def test_what_is_shown_of_sessions_is_chosen_in_the_url(world: Any, pages: TestClient, project: str) -> None:
    for place in range(2):
        world.add_task(project, f"t{place}", session_id=f"s{place}", user_id="ada")
        world.add_analysis(project, f"t{place}", "thanks", language="fr", session_id=f"s{place}")
    query = {"project": project, "columns": ["languages", "users"], "limit": 1}

    usual = pages.get("/sessions", params={"project": project}).text
    text = pages.get("/sessions", params=query).text  # type: ignore[arg-type]

    assert "event=thanks" in usual
    assert "Language of the input" not in usual
    assert "Language of the input" in text
    assert "event=thanks" not in text
    [more] = Tags(text).links("a", "/sessions?")[-1:]
    assert "columns=users%2Clanguages" in more
    assert "Language of the input" in pages.get(more).text


def test_the_columns_of_tasks_are_chosen_in_the_url(world: Any, pages: TestClient, project: str) -> None:
    world.add_task(project, "a", version_id="v-shown", output="hidden output")

    text = pages.get("/tasks", params={"project": project, "columns": ["time", "version"]}).text

    assert "v-shown" in text
    assert "hidden output" not in text
    assert '<input type="hidden" name="columns" value="version,time">' in text


def test_versions_are_told_apart_only_where_the_difference_is_sure(world: Any, pages: TestClient, project: str) -> None:
    with world.together():
        for number in range(60):
            for version in ("v1", "v2"):
                name, session = f"{version}-{number}", f"s-{version}-{number}"
                events = ["refund"] if version == "v2" and number % 10 < 9 else []
                even = ["hello"] if number % 2 else []
                world.add_task(project, name, session_id=session, version_id=version, model="m-1", tokens_in=1000)
                world.add_analysis(project, name, *events, *even, session_id=session, version_id=version)

    page = pages.get("/versions.json", params={"project": project, "base": "v1"}).json()

    measures = {measure["name"]: measure["versions"] for measure in page["measures"]}
    assert [row["version"] for row in page["versions"]] == ["v1", "v2"]
    assert (page["base"], measures["refund"][1]["estimate"], measures["refund"][1]["n"]) == ("v1", 0.9, 60)
    assert (measures["refund"][1]["direction"], measures["hello"][1]["direction"]) == ("higher", "open")
    assert measures["refund"][0]["direction"] == ""
    assert measures["cost"][0]["estimate"] == pytest.approx(0.001)
    assert measures["sentiment"][0]["estimate"] == pytest.approx(0.5)
    assert "higher" in pages.get("/versions", params={"project": project, "base": "v1"}).text


def test_users_are_sorted_and_paged(world: Any, pages: TestClient, project: str) -> None:
    add_conversation(world, project)

    first = pages.get("/users.json", params={"project": project, "limit": "1"}).json()
    rest = pages.get("/users.json", params={"project": project, "cursor": first["next_cursor"]}).json()

    assert [user["user"] for user in first["users"] + rest["users"]] == ["ada", "bob"]
    assert (first["users"][0]["top_events"], first["users"][0]["events"]) == (["thanks", "refund"], 3)
    assert rest["next_cursor"] is None


def test_every_page_has_a_twin_and_the_api_the_same_content(world: Any, pages: TestClient, project: str) -> None:
    add_conversation(world, project)
    client = world.client(world.registry.create_key(project).secret)
    paths = {
        "/dashboard.json": "/dashboard", "/sessions.json": "/sessions", "/tasks.json": "/tasks",
        "/tasks/a.json": "/tasks/a", "/events.json": "/event-stats", "/events/thanks.json": "/event-stats/thanks",
        "/users.json": "/users", "/versions.json": "/versions",
    }  # fmt: skip

    for twin, of_api in paths.items():
        by_key = client.get(f"/api/v1{of_api}").json()
        assert by_key.keys() == pages.get(twin, params={"project": project}).json().keys()
        assert by_key["project_id"] == project
        assert client.get(twin).status_code == 200
        assert world.client().get(f"/api/v1{of_api}").status_code == 401


@pytest.mark.parametrize("path", ["/", "/sessions", "/tasks", "/users", "/versions"])
def test_an_empty_page_says_what_to_do_next(world: Any, pages: TestClient, project: str, path: str) -> None:
    empty = pages.get(path, params={"project": project}).text
    world.add_task(project, "a", created_at="2020-01-01T00:00:00.000Z")
    filtered = pages.get(path, params={"project": project, "model": "absent", "period": "30d"}).text

    assert "curl -X POST" in empty
    assert "No tasks match these filters" in filtered
    assert "Clear filters" in filtered
    assert "Show all time" in filtered


def test_the_dashboard_shows_no_zero_for_what_was_not_logged(world: Any, pages: TestClient, project: str) -> None:
    world.add_task(project, "a", created_at="2026-01-01T00:00:00.000Z")
    bare = pages.get("/", params={"project": project, "period": "all"}).text

    assert 'id="latency"' not in bare
    assert "No task has a latency" in bare
    assert "No task has feedback" in bare
    assert "none logged" in bare
    assert "no definitions yet" in bare

    add_conversation(world, project)
    define(world, project, "thanks")
    full = pages.get("/", params={"project": project, "period": "all"}).text
    assert 'id="latency"' in full
    assert 'id="success"' in full
    assert "none logged" not in full


def test_charts_come_from_an_installed_package_and_may_be_kept(pages: TestClient) -> None:
    answer = pages.get("/static/chart.js")

    assert "Chart.js v4" in answer.text[:200]
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "max-age" in answer.headers["cache-control"]
    assert answer.headers["content-encoding"] == "gzip"
