"""Explore shows any metric by any dimension; its SQL, run by a person, has the same numbers."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from starlette.testclient import TestClient

from fixtures.html_pages import ATTACK, check_page
from phospho_dashboard.explore.charts import CHARTS
from phospho_dashboard.explore.shown_sql import written_out
from phospho_dashboard.settings import Price, Prices
from phospho_store.sql.metrics import DIMENSIONS, METRICS

PRICES = Prices("EUR", {"large": Price(2.0, 8.0)})
PERIOD = {"from": "2026-01-01", "to": "2026-01-12"}
ODD = "it's \\ {event:String}\n'; --"


@pytest.fixture(scope="module")
def project(world: Any) -> str:
    """Return a project of 24 tasks in twelve days, in which what clients name is odd."""
    project_id = "explored"
    world.registry.save_project(project_id)
    with world.together():
        for number in range(24):
            at = f"2026-01-{1 + number // 2:02}T{number:02}:30:00.000Z"
            shared = {"session_id": f"s{number // 2}", "created_at": at, "user_id": ATTACK if number % 3 else ODD}
            shared |= {"version_id": ("v1", "v2", ODD)[number % 3]}
            numbers = {"tokens_in": number, "latency_ms": 100.0 * number}
            metadata = {"plan": "pro" if number % 4 else "free", "price": number}
            flag = "success" if number % 6 == 0 else "failure" if number % 6 == 1 else ""
            model = "large" if number % 2 else "small"
            world.add_task(project_id, f"t{number}", **shared, **numbers, metadata=metadata, flag=flag, model=model)
            names = ["refund"] * (number % 2 == 0) + [ODD] * (number % 3 == 0)
            world.add_analysis(project_id, f"t{number}", *names, **shared, theme=f"theme-{number % 2}")
    world.add_label(project_id, "t1", "refund", "confirmed")
    world.add_label(project_id, "t2", "refund", "rejected")
    return project_id


@pytest.fixture(scope="module")
def key(world: Any, project: str) -> str:
    return str(world.registry.create_key(project).secret)


@pytest.fixture
def priced(world: Any) -> TestClient:
    client: TestClient = world.open_pages(prices=PRICES)
    return client


def _rows_of_sql(client: TestClient, key: str, sql: str) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {key}"}
    answer = client.post("/api/v1/sql", json={"query": sql}, headers=headers)
    assert answer.status_code == 200, (answer.text, sql)
    return list(answer.json()["data"])


def test_sql_has_the_numbers_of_the_chart(priced: TestClient, project: str, key: str) -> None:
    """Each metric once, with dimensions, filters and forms in turn, through the guard of users' SQL."""
    filters = [{}, {"q": "HELLO from"}, {"user": ODD}, {"event": ODD}, {"flag": "success"}, {"model": "large"}]
    filters.append({"where": "event!=refund; metadata.plan=pro; language=en"})
    dimensions = ["", *DIMENSIONS]
    for number, metric in enumerate(METRICS):
        query = {"project": project, **PERIOD, "metric": metric, "about": "price" if "metadata" in metric else ""}
        query |= {"by": dimensions[number % len(dimensions)], "by_key": "plan"}
        query |= {"chart": ("table", "line")[number % 4 > 1]}
        twin = priced.get("/explore.json", params=query | filters[number % len(filters)]).json()
        rows = _rows_of_sql(priced, key, twin["sql"])
        if query["chart"] == "line":
            points = [
                pair for point in twin["over_time"] for pair in zip(point["numbers"], point["cases"], strict=True)
            ]
        else:
            points = [(row["number"], row["cases"]) for row in twin["rows"] or [twin["total"]]]
        # A time without tasks has a point and no row.
        shown = sorted(pair for pair in points if pair[1])
        assert sorted((row[metric], row["cases"]) for row in rows if row["cases"]) == shown, (metric, query["by"])
        assert shown or metric == "cost"


def test_page_shows_each_form_and_links_to_its_tasks(priced: TestClient, project: str) -> None:
    query = {"project": project, **PERIOD, "metric": "event_rate", "by": "event"}
    for chart in CHARTS:
        page = priced.get("/explore", params=query | {"chart": chart})
        check_page(page)
        assert page.status_code == 200
    twin = priced.get("/explore.json", params=query | {"chart": "table"}).json()
    assert [(row["number"], row["cases"]) for row in twin["rows"]] == [(0.5, 24), (8 / 24, 24)]
    page = priced.get("/explore", params=query | {"chart": "table"})
    assert "/tasks?project=explored&amp;from=2026-01-01&amp;to=2026-01-12&amp;event=refund" in page.text
    assert priced.get("/tasks.json", params={"project": project, **PERIOD, "event": "refund"}).json()["tasks"]


def test_explore_asks_for_what_is_missing(world: Any, pages: TestClient, project: str) -> None:
    def missing(**query: str) -> str:
        page = pages.get("/explore", params={"project": project, **PERIOD, **query})
        check_page(page)
        return str(pages.get("/explore.json", params={"project": project, **PERIOD, **query}).json()["missing"])

    assert missing(metric="metadata_mean") == "Enter the metadata key of the number"
    assert missing(by="metadata") == "Enter the metadata key to break down by"
    assert "--prices" in missing(metric="cost")
    for name, value in (("metric", "x"), ("by", "x"), ("interval", "x"), ("chart", "x"), ("about", "x" * 600)):
        answer = pages.get("/explore.json", params={"project": project, name: value})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, f"invalid_{name}")
    world.registry.save_project("unexplored")
    assert "data-waiting" in pages.get("/explore?project=unexplored").text


def test_interval_grows_with_the_period(priced: TestClient, project: str) -> None:
    def read(**query: str) -> tuple[str, int, bool]:
        twin = priced.get("/explore.json", params={"project": project, **query}).json()
        return (
            twin["interval"],
            sum(point["numbers"][0] for point in twin["over_time"]),
            twin["is_shorter_than_allowed"],
        )

    assert read(**PERIOD) == ("day", 24, False)
    assert read(**PERIOD, interval="week") == ("week", 24, False)
    assert read(**PERIOD, interval="month") == ("month", 24, False)
    assert read(**PERIOD, interval="hour") == ("hour", 24, False)
    assert read(**PERIOD, interval="5min") == ("hour", 24, True)
    assert read(**{"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T03:00:00Z"})[0] == "5min"


def test_csv_and_grafana_have_the_chart(priced: TestClient, project: str) -> None:
    query = {"project": project, **PERIOD, "metric": "tasks", "by": "version", "chart": "table"}
    file = priced.get("/explore.csv", params=query)
    rows = list(csv.reader(io.StringIO(file.text)))
    assert rows[0] == ["value", "tasks", "cases"]
    assert sorted(row[0] for row in rows[1:]) == sorted(["v1", "v2", ODD])
    panel = priced.get("/explore.json", params=query | {"chart": "line"}).json()["grafana"]
    assert (panel["type"], panel["targets"][0]["queryType"]) == ("timeseries", "timeseries")
    assert "$__timeFilter_ms(created_at)" in panel["targets"][0]["rawSql"]
    assert "toDateTime64" not in panel["targets"][0]["rawSql"]


def test_literals_are_not_read_again() -> None:
    sql = "SELECT {a:String}, {b:Array(String)}, {c:UInt32}, {d:Array(Float64)}"
    values = {"a": "{c:UInt32}'\\\n", "b": ["x'", "y"], "c": 3, "d": [0.5]}
    assert written_out(sql, values) == "SELECT '{c:UInt32}\\'\\\\\\n', ['x\\'', 'y'], 3, [0.5]"
