"""Exports: what is filtered, whole, of one's own project, in formats that other programs read."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from pyarrow import parquet
from starlette.testclient import TestClient

from dashboard.conftest import MINE
from phospho_dashboard.analytics import exports


@pytest.fixture
def pages(world: Any) -> TestClient:
    client: TestClient = world.open_pages()
    return client


def export(pages: TestClient, path: str, project: str, **query: str) -> bytes:
    answer = pages.get(path, params={"project": project, **query})
    assert answer.status_code == 200, answer.text
    return answer.content


def test_tasks_as_csv_json_lines_and_parquet_hold_the_same_rows(world: Any, pages: TestClient, project: str) -> None:
    world.add_task(project, "a", input='say "hi",\nthen go', output="ü 😀", metadata={"plan": "gold"}, tokens_in=5)
    world.add_task(project, "b", input="second", flag="success")
    world.add_analysis(project, "a", "thanks", "refund")
    world.add_feedback(project, "b", "failure")

    rows = list(csv.DictReader(io.StringIO(export(pages, "/tasks.csv", project).decode())))
    lines = [orjson.loads(line) for line in export(pages, "/tasks.jsonl", project).splitlines()]
    parquet_file = export(pages, "/tasks.parquet", project)

    assert [row["task_id"] for row in rows] == [line["task_id"] for line in lines] == ["a", "b"]
    assert rows[0]["input"] == lines[0]["input"] == 'say "hi",\nthen go'
    assert (rows[0]["output"], rows[0]["events"], lines[0]["events"]) == (
        "ü 😀",
        "refund, thanks",
        ["refund", "thanks"],
    )
    assert (lines[0]["created_at"], lines[0]["tokens_in"]) == ("2026-01-01T10:00:00.000Z", 5)
    assert [row["flag"] for row in rows] == ["", "failure"]
    assert orjson.loads(lines[0]["metadata"]) == {"plan": "gold"}
    assert (parquet_file[:4], parquet_file[-4:]) == (b"PAR1", b"PAR1")


def test_metadata_is_read_as_it_was_logged(world: Any, pages: TestClient, mine: TestClient) -> None:
    """Of what a column of JSON can't hold, every reader has the text."""
    text = '{"a.b":1,"a":{"b":null},"n":123456789012345678901234567890}'
    logged = json.loads(text)
    world.add_task(MINE, "a", metadata={"a": {"b": 1}, "n": 1.0}, metadata_text=text)
    world.add_task(MINE, "b", metadata={"plan": "gold"})

    [row, plain] = csv.DictReader(io.StringIO(export(pages, "/tasks.csv", MINE).decode()))
    [line, _] = map(json.loads, export(pages, "/tasks.jsonl", MINE).splitlines())
    assert row["metadata"] == line["metadata"] == text
    assert json.loads(plain["metadata"]) == {"plan": "gold"}
    table = parquet.read_table(io.BytesIO(export(pages, "/tasks.parquet", MINE)))
    assert table["metadata"].to_pylist()[0] == text
    assert mine.get("/api/v1/tasks/a").json()["task"]["metadata"] == logged
    [first, second] = mine.get("/api/v1/sessions/s-1").json()["session"]["task_list"]
    assert (first["metadata"], second["metadata"]) == (logged, {"plan": "gold"})
    assert "123456789012345678901234567890" in pages.get("/tasks/a", params={"project": MINE}).text
    query = "SELECT metadata_text FROM tasks WHERE project_id = {p:String} ORDER BY task_id"
    assert [json.loads(row["metadata_text"]) for row in world.store.rows(query, {"p": MINE})] == [
        logged,
        {"plan": "gold"},
    ]


def test_sessions_are_exported_with_what_their_tasks_add_up_to(world: Any, pages: TestClient, project: str) -> None:
    for task_id in ("a", "b"):
        world.add_task(project, task_id, user_id="u", tokens_in=2)
        world.add_analysis(project, task_id, "thanks")

    [line] = export(pages, "/sessions.jsonl", project).splitlines()

    session = orjson.loads(line)
    assert (session["session_id"], session["tasks"], session["tokens_in"]) == ("s-1", 2, 4)
    assert (session["user_ids"], session["events"]) == (["u"], ["thanks"])


def test_a_session_in_a_file_is_what_it_is_on_the_page(world: Any, pages: TestClient, project: str) -> None:
    """A filter chooses sessions; what is said of one counts all of its tasks."""
    for number, event in enumerate(("refund", "other", "other")):
        at = f"2026-01-0{1 + number}T10:00:00.000Z"
        world.add_task(project, f"t{number}", created_at=at, tokens_in=100, user_id=f"u{number}")
        world.add_analysis(project, f"t{number}", event, created_at=at)
    world.add_task(project, "elsewhere", session_id="s-2")

    for query in ({"event": "refund"}, {"from": "2026-01-03"}, {"user": "u1"}):
        [found] = pages.get("/sessions.json", params={"project": project, **query}).json()["sessions"]
        [line] = map(orjson.loads, export(pages, "/sessions.jsonl", project, **query).splitlines())

        assert (line["session_id"], line["tasks"], line["tokens_in"]) == ("s-1", 3, 300)
        told = ("tasks", "user_ids", "first_task_at", "last_task_at")
        assert [line[name] for name in told] == [found[name] for name in told]
        assert line["events"] == sorted(event["name"] for event in found["events"]) == ["other", "refund"]


def test_times_of_text_files_are_in_the_zone_of_the_project(world: Any, pages: TestClient, project: str) -> None:
    world.add_task(project, "t", created_at="2026-07-01T23:30:00.000Z")
    pages.cookies.set("time_zone", "Europe/Paris")

    [row] = csv.DictReader(io.StringIO(export(pages, "/tasks.csv", project).decode()))

    assert row["created_at"].startswith("2026-07-02T01:30:00.000")
    assert row["created_at"].endswith("+0200")
    assert datetime.fromisoformat(row["created_at"]) == datetime(2026, 7, 1, 23, 30, tzinfo=UTC)


def test_users_are_exported_with_the_numbers_of_their_page(world: Any, pages: TestClient, project: str) -> None:
    for task_id, user in (("a", "ada"), ("b", "ada"), ("c", "=bob"), ("d", "")):
        world.add_task(project, task_id, user_id=user, session_id=f"s-{task_id}", tokens_in=3, tokens_out=4)
    world.add_analysis(project, "a", "thanks", "refund", user_id="ada")
    world.add_analysis(project, "b", "thanks", user_id="ada")

    lines = [orjson.loads(line) for line in export(pages, "/users.jsonl", project).splitlines()]
    content = pages.get("/users.json", params={"project": project}).json()["users"]
    rows = list(csv.DictReader(io.StringIO(export(pages, "/users.csv", project).decode())))

    names = ("tasks", "sessions", "tokens", "first_task_at", "last_task_at", "positive", "negative")
    assert {line["user_id"]: [line[name] for name in names] for line in lines} == {
        user["user"]: [user[name] for name in names] for user in content
    }
    assert {line["user_id"]: line["events_found"] for line in lines} == {"ada": 3, "=bob": 0}
    assert [row["user_id"] for row in rows] == ["'=bob", "ada"]
    assert rows[1]["events"] == "refund, thanks"
    assert "/users.csv" in pages.get("/users", params={"project": project}).text


def test_an_export_has_the_filters_of_its_page_and_one_project(world: Any, pages: TestClient, project: str) -> None:
    world.add_task(project, "a", model="m-1")
    world.add_task(project, "b", model="m-2")
    world.add_task("theirs", "c", model="m-1")

    lines = export(pages, "/tasks.jsonl", project, model="m-1").splitlines()

    assert [orjson.loads(line)["task_id"] for line in lines] == ["a"]
    assert world.client(world.keys["mine"]).get("/tasks.csv", params={"project": project}).status_code == 403
    assert world.client().get("/tasks.csv").status_code == 401


def test_events_are_exported_as_people_corrected_them(world: Any, pages: TestClient, project: str) -> None:
    world.add_task(project, "a")
    world.add_analysis(project, "a", "thanks", "refund")
    world.add_label(project, "a", "refund", "rejected")
    world.add_label(project, "a", "praise", "confirmed")

    [line] = export(pages, "/tasks.jsonl", project).splitlines()

    assert orjson.loads(line)["events"] == ["praise", "thanks"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠A"])
def test_no_cell_of_csv_is_a_formula(world: Any, pages: TestClient, project: str, text: str) -> None:
    world.add_task(project, "a", input=text, user_id=text)

    [row] = csv.DictReader(io.StringIO(export(pages, "/tasks.csv", project).decode(), newline=""))

    assert (row["input"], row["user_id"]) == ("'" + text, "'" + text)


def test_a_cell_of_csv_without_a_value_is_empty(world: Any, pages: TestClient, project: str) -> None:
    world.add_task(project, "a")

    [row] = csv.DictReader(io.StringIO(export(pages, "/tasks.csv", project).decode()))

    assert {row[name] for name in ("latency_ms", "tokens_in", "tokens_out", "sentiment_score")} == {""}


def test_more_rows_than_an_export_has_are_refused_with_what_to_do(
    world: Any, pages: TestClient, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "MAX_ROWS", 1)
    world.add_task(project, "a")
    world.add_task(project, "b")

    answer = pages.get("/tasks.csv", params={"project": project})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "too_many_rows")
    assert "shorter period" in answer.json()["error"]["hint"]


def test_an_export_of_nothing_is_an_empty_file(pages: TestClient, project: str) -> None:
    assert export(pages, "/tasks.csv", project).count(b"\n") == 1
    assert export(pages, "/tasks.jsonl", project) == b""
