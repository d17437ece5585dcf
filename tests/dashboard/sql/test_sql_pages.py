"""The SQL page: queries run, explained, saved and downloaded, by those who may."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from fixtures.html_pages import ATTACK, check_page
from phospho_dashboard.sql.examples import EXAMPLES
from phospho_store.store import DATABASE
from phospho_store.view_columns import VIEW_REFERENCES

PATH = "/sql"


def run(client: TestClient, project: str, path: str = PATH, **fields: str) -> Any:
    """Send the page's form, and follow to the page that it leads to."""
    page = client.get(PATH, params={"project": project})
    token = re.search(r'name="form_token" value="([0-9a-f]{64})"', page.text)
    assert token is not None
    data = {"form_token": token[1], **fields}
    return client.post(path, params={"project": project}, data=data, follow_redirects=True)


@pytest.fixture
def api(world: Any, project: str) -> TestClient:
    return world.client(world.registry.create_key(project, "key").secret)  # type: ignore[no-any-return]


def test_reference_has_the_columns_of_the_views(world: Any) -> None:
    query = "SELECT table, name, type FROM system.columns WHERE database = {name:String} ORDER BY table, position"
    columns: dict[str, list[tuple[str, str]]] = {}
    for row in world.store.rows(query, {"name": DATABASE}):
        columns.setdefault(row["table"], []).append((row["name"], row["type"]))

    for view in VIEW_REFERENCES.values():
        assert [(column.name, column.type) for column in view.columns] == columns[view.name], view.name


def test_describe_and_show_name_columns_and_views(mine: TestClient) -> None:
    def names(sql: str, **fields: str) -> list[str]:
        answer = mine.post("/api/v1/sql", json={"query": sql, **fields})
        assert answer.status_code == 200, answer.text
        return [row["name"] for row in answer.json()["data"]]

    for sql in ("DESCRIBE tasks", " desc table `tasks`; ", "SHOW COLUMNS FROM tasks"):
        assert names(sql) == [column.name for column in VIEW_REFERENCES["tasks"].columns]
    assert names("SHOW TABLES") == list(VIEW_REFERENCES)
    csv_text = mine.post("/api/v1/sql", json={"query": "DESCRIBE notes", "format": "CSVWithNames"}).text
    assert csv_text.splitlines()[0] == '"name","type","comment"'
    for sql in (
        "DESCRIBE task_rows",
        "DESCRIBE tasks; SELECT 1",
        "SHOW CREATE TABLE tasks",
        "DESCRIBE url('http://x')",
    ):
        assert mine.post("/api/v1/sql", json={"query": sql}).status_code == 400, sql


@pytest.mark.parametrize(
    ("sql", "message", "hint"),
    [
        ("SELECT\n  usr_id\nFROM tasks", "line 2: there is no column usr_id", "did you mean user_id?"),
        ("SELECT t.modl FROM tasks AS t", "line 1: there is no column modl", "did you mean model?"),
        ("SELECT user_id\nFORM tasks WHERE (a", "line 2, column 18: a bracket has no", "close it"),
        ("SELECT a\nFROM tasks WEHRE b = 1", "line 2, column 18: this is not valid SQL", "did you mean WHERE?"),
        ("SELECT user_id, count() FROM tasks", "line 1: user_id is neither grouped", "add user_id to GROUP BY"),
        ("SELECT cuont() FROM tasks", "the function cuont() is not allowed", "did you mean count()?"),
        ("SELECT 1 FROM tsks", "line 1: there is no view tsks", "did you mean tasks? the views are"),
        ("WITH x AS (SELECT 1 AS amount) SELECT amont FROM x", "line 1: there is no column", "did you mean amount?"),
    ],
)
def test_error_names_line_and_similar_name(mine: TestClient, sql: str, message: str, hint: str) -> None:
    answer = mine.post("/api/v1/sql", json={"query": sql})

    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(message)
    assert answer.json()["error"]["hint"].startswith(hint)


def test_page_shows_the_result_as_chart_and_table(world: Any, pages: TestClient, project: str) -> None:
    world.add_task(project, "t-1", model="a", latency_ms=5.5, input=ATTACK)
    world.add_task(project, "t-2", model="b", created_at="2026-01-02T10:00:00.000Z")
    check_page(pages.get(PATH, params={"project": project}))

    sql = "SELECT toDate(created_at) AS day, count() AS tasks, any(input) AS text FROM tasks GROUP BY day ORDER BY day"
    shown = run(pages, project, query=sql)

    check_page(shown)
    assert shown.url.params["query"] == sql
    assert '<figure data-chart="line"' in shown.text
    assert shown.text.count('data-value="1"') == 2
    assert re.search(r'title="String" data-undrawn>text', shown.text)
    assert "data-chart" not in run(pages, project, query=sql, chart="none").text
    many = run(pages, project, query="SELECT number FROM numbers(501)").text
    assert "first 500 rows" in many
    assert "<td" not in many
    failed = run(pages, project, query="SELECT nme FROM events")
    assert failed.status_code == 400
    assert "did you mean name?" in failed.text.lower()
    long = run(pages, project, query=f"SELECT count() AS n FROM tasks WHERE input != '{'x' * 7_000}'")
    assert (long.status_code, long.url.params.get("query")) == (200, None)
    assert ">2</th>" in re.sub(r"\s+", " ", long.text)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run(mine: TestClient, name: str) -> None:
    answer = mine.post("/api/v1/sql", json={"query": EXAMPLES[name]})

    assert answer.status_code == 200, answer.text


def test_result_is_downloaded_without_formulas(pages: TestClient, project: str) -> None:
    sql = "SELECT '=1+1' AS text, -5 AS number, [1, 2] AS list, if(1, NULL, 'x') AS nothing, '\"a\", b' AS quoted"

    file = run(pages, project, "/sql.csv", query=sql)

    assert "attachment" in file.headers["content-disposition"]
    assert list(csv.reader(io.StringIO(file.text)))[1] == ["'=1+1", "-5", "[1,2]", "", '"a", b']
    assert run(pages, project, "/sql.parquet", query=sql).content[:4] == b"PAR1"
    assert run(pages, project, "/sql.csv", query="SELECT 1 FROM task_rows").status_code == 400


def test_saved_queries_replace_by_name_and_are_removed(
    world: Any, pages: TestClient, api: TestClient, project: str
) -> None:
    saved = run(pages, project, "/sql/save", name=ATTACK, query="SELECT 1 AS first", chart="none")
    run(pages, project, "/sql/save", name=ATTACK, query="SELECT 2 AS second")

    check_page(saved)
    [row] = api.get("/api/v1/saved-queries").json()["saved_queries"]
    assert (row["name"], row["sql"], row["chart"]) == (ATTACK, "SELECT 2 AS second", "auto")
    assert saved.url.params["saved"] == row["query_id"]
    assert "second" in pages.get(PATH, params={"project": project, "saved": row["query_id"]}).text
    assert pages.get(PATH, params={"project": "theirs", "saved": row["query_id"]}).status_code == 404
    assert "attachment" not in run(pages, project, "/sql/save", name="", query="SELECT 1").headers
    posted = api.post("/api/v1/saved-queries", json={"name": "Second", "sql": "SELECT 1", "chart": "bar"})
    assert posted.status_code == 200, posted.text
    assert api.post("/api/v1/saved-queries", json={"name": "x", "sql": " "}).status_code == 422
    actions = [entry["action"] for entry in api.get("/api/v1/audit").json()["audit"]]
    assert actions == ["POST /api/v1/saved-queries", "POST /sql/save", "POST /sql/save"]
    twin = pages.get("/sql.json", params={"project": project}).json()
    assert [query["name"] for query in twin["saved_queries"]] == [ATTACK, "Second"]
    run(pages, project, "/sql/remove", query_id=row["query_id"])
    assert api.delete(f"/api/v1/saved-queries/{posted.json()['saved_query']['query_id']}").status_code == 204
    assert api.get("/api/v1/saved-queries").json()["saved_queries"] == []


def test_a_viewer_runs_queries_and_saves_none(world: Any, project: str) -> None:
    viewer = world.signed_in("viewer")

    assert run(viewer, project, query="SELECT 42 AS n").status_code == 200
    assert run(viewer, project, "/sql/save", name="x", query="SELECT 1").status_code == 403
    assert "Save query" not in viewer.get(PATH, params={"project": project}).text
