"""Acting on tasks: labels, flags and notes, by the API with a key and from the pages with a form."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

from fixtures.html_pages import ATTACK, check_page
from phospho_schemas.messages import EventDefinition

_NUMBERS = itertools.count()
ODD_IDS = ("plain", "with/slash", "..", "a b&c=d#e?f", "ünïcödé", "line\nbreak", "name.json", "x" * 512)


@pytest.fixture
def project(world: Any) -> str:
    """Return a project with one task in which detection has found `flight`."""
    project_id = f"annotations-{next(_NUMBERS)}"
    world.registry.save_project(project_id)
    world.define(project_id, "hotel")
    world.add_task(project_id, "t1", input="a flight, please")
    world.add_analysis(project_id, "t1", "flight")
    return project_id


@pytest.fixture
def api(world: Any, project: str) -> TestClient:
    client: TestClient = world.client(world.registry.create_key(project).secret)
    return client


@pytest.fixture
def pages(world: Any) -> TestClient:
    client: TestClient = world.open_pages(can_publish=True)
    client.headers["Sec-Fetch-Site"] = "same-origin"
    return client


def act(pages: TestClient, project: str, path: str, task_id: str = "t1", **fields: str) -> Any:
    """Send a form as the page of a session does."""
    page = pages.get("/sessions/s-1", params={"project": project})
    token = re.search(r'name="form_token" value="([0-9a-f]{64})"', page.text)
    assert token is not None
    fixed = {"form_token": token[1], "project": project, "task_id": task_id, "next": "/tasks"}
    return pages.post(path, data=fixed | fields)


def events(client: TestClient, project: str, task_id: str = "t1") -> dict[str, tuple[str, str]]:
    """Return engine and label of each event that a task shows."""
    task = client.get(f"/tasks/{task_id}.json", params={"project": project}).json()["task"]
    return {event["name"]: (event["engine"], event["label"]) for event in task["events"]}


def test_what_may_be_added_is_what_is_defined_at_this_moment(world: Any, pages: TestClient, project: str) -> None:
    """`flight` was found in another task, and is not defined: a label on it would be refused."""
    world.add_task(project, "t2", input="hello")

    def offered() -> list[str]:
        text = pages.get("/tasks/t2", params={"project": project}).text
        return re.findall("<option>([^<]+)</option>", text)

    assert offered() == ["hotel"]
    world.define(project, "train")
    assert offered() == ["hotel", "train"]
    for name in offered():
        assert act(pages, project, "/annotations/label", "t2", event=name, label="confirmed").status_code == 303


def test_an_event_of_a_whole_session_is_added_at_its_last_task_alone(
    world: Any, pages: TestClient, api: TestClient, project: str
) -> None:
    definition = EventDefinition(
        project_id=project, name="happy end", description="All is well", scope="session", created_at=datetime.now(UTC)
    )
    world.registry.save_definition(definition)
    world.add_task(project, "t2", created_at="2026-01-01T10:05:00.000Z")

    def offered(path: str) -> list[str]:
        return re.findall("<option>([^<]+)</option>", pages.get(path, params={"project": project}).text)

    def added(*task_ids: str, label: str = "confirmed") -> Any:
        labels = [{"event": "happy end", "task_id": task_id, "label": label} for task_id in task_ids]
        return api.post("/api/v1/labels", json={"labels": labels})

    assert offered("/tasks/t1") == ["hotel"]
    assert offered("/tasks/t2") == ["hotel", "happy end"]
    assert offered("/sessions/s-1") == ["hotel", "hotel", "happy end"]
    refused = added("t2", "t1")
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "not_the_last_task")
    assert act(pages, project, "/annotations/label", "t1", event="happy end", label="confirmed").status_code == 422
    assert events(pages, project, "t2") == {}
    assert added("t2").status_code == 201
    assert events(pages, project, "t2") == {"happy end": ("person", "confirmed")}
    world.add_task(project, "t3", created_at="2026-01-01T10:06:00.000Z")
    assert added("t2", label="").status_code == 201


def test_an_event_is_confirmed_rejected_and_taken_back(pages: TestClient, api: TestClient, project: str) -> None:
    def label(value: str) -> int:
        body = {"labels": [{"event": "flight", "task_id": "t1", "label": value}]}
        return api.post("/api/v1/labels", json=body).status_code

    assert label("confirmed") == 201
    assert events(pages, project) == {"flight": ("keyword", "confirmed")}
    assert label("rejected") == 201
    assert events(pages, project) == {"flight": ("keyword", "rejected")}
    assert label("") == 201
    assert events(pages, project) == {"flight": ("keyword", "")}
    assert label("perhaps") == 422


def test_a_label_is_what_sql_sees(api: TestClient) -> None:
    def found() -> list[str]:
        answer = api.post("/api/v1/sql", json={"query": "SELECT name FROM events ORDER BY name", "format": "TSV"})
        return answer.text.split()

    labels = [
        {"event": "flight", "task_id": "t1", "label": "rejected", "comment": "only asks"},
        {"event": "hotel", "task_id": "t1", "label": "confirmed"},
    ]
    assert found() == ["flight"]
    assert api.post("/api/v1/labels", json={"labels": labels}).status_code == 201
    assert found() == ["hotel"]


def test_labels_are_all_stored_or_none(api: TestClient) -> None:
    good = {"event": "flight", "task_id": "t1", "label": "confirmed"}

    for bad, status, code in (
        ({**good, "event": "absent"}, 422, "unknown_event"),
        ({**good, "task_id": "absent"}, 404, "unknown_task"),
        ({"event": "flight", "task_id": "t1"}, 422, "invalid_label"),
        ({"task_id": "t1", "label": "confirmed"}, 422, "invalid_label"),
        ("x", 422, "invalid_label"),
    ):
        answer = api.post("/api/v1/labels", json={"labels": [good, bad]})
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert api.post("/api/v1/labels", json={"labels": []}).status_code == 422
    assert api.post("/api/v1/labels", json={"labels": [good] * 1001}).status_code == 422
    assert api.get("/api/v1/labels").json() == {"labels": [], "next_cursor": None}


def test_a_field_that_no_label_has_is_an_error(api: TestClient) -> None:
    told = {"value": 3.5, "category": "late", "comment": "x"}
    label = {"event": "flight", "task_id": "t1", "label": "confirmed", **told}

    refused = api.post("/api/v1/labels", json={"labels": [label | {"note": "late"}]})

    assert (refused.status_code, refused.json()["error"]["message"]) == (422, "unknown field 'note'")
    assert "comment" in refused.json()["error"]["hint"]
    assert api.post("/api/v1/labels", json={"labels": [label]}).status_code == 201
    [kept] = api.get("/api/v1/labels").json()["labels"]
    assert {name: kept[name] for name in told} == told


def test_labels_are_listed_in_pages(world: Any, api: TestClient, project: str) -> None:
    for number in range(5):
        world.add_task(project, f"n{number}")
    labels = [{"event": "hotel", "task_id": f"n{number}", "label": "rejected"} for number in range(5)]
    api.post("/api/v1/labels", json={"labels": labels})
    seen: list[str] = []
    cursor: str | None = ""

    while cursor is not None:
        page = api.get("/api/v1/labels", params={"event": "hotel", "limit": 2, "cursor": cursor}).json()
        seen += [label["task_id"] for label in page["labels"]]
        cursor = page["next_cursor"]

    assert sorted(seen) == [f"n{number}" for number in range(5)]
    assert api.get("/api/v1/labels", params={"event": "flight"}).json()["labels"] == []


def test_a_label_of_another_projects_task_is_refused(world: Any, api: TestClient) -> None:
    world.add_task("theirs", "of-theirs")
    body = {"labels": [{"event": "flight", "task_id": "of-theirs", "label": "confirmed"}]}

    assert api.post("/api/v1/labels", json=body).status_code == 404
    assert api.post("/api/v1/labels", json=body, headers={"X-Phospho-Project": "theirs"}).status_code == 403


def test_the_forms_of_a_page_do_the_same(pages: TestClient, project: str) -> None:
    confirmed = act(pages, project, "/annotations/label", event="flight", label="confirmed")
    added = act(pages, project, "/annotations/label", event="hotel", label="confirmed")

    assert (confirmed.status_code, confirmed.headers["location"], added.status_code) == (303, "/tasks", 303)
    assert events(pages, project) == {"flight": ("keyword", "confirmed"), "hotel": ("person", "confirmed")}
    text = pages.get("/sessions/s-1", params={"project": project}).text
    assert "Undo label" in text
    assert 'name="next" value="/sessions/s-1?project=' in text


def test_a_label_says_who_gave_it(world: Any, pages: TestClient, api: TestClient, project: str) -> None:
    act(pages, project, "/annotations/label", event="flight", label="confirmed")
    assert api.get("/api/v1/labels").json()["labels"][0]["created_by"] == "local user"


def test_a_flag_is_a_feedback_like_any(world: Any, pages: TestClient, project: str) -> None:
    world.publisher.messages.clear()

    assert act(pages, project, "/annotations/flag", flag="failure", comment="wrong day").status_code == 303
    assert act(pages, project, "/annotations/flag", flag="meh").status_code == 422
    assert act(pages, project, "/annotations/flag", "absent", flag="failure").status_code == 404

    [message] = world.publisher.messages
    raw = orjson.loads(message.value)
    said = {name: raw[name] for name in ("kind", "project_id", "task_id", "flag", "score", "comment", "source")}
    assert said == {
        "kind": "feedback",
        "project_id": project,
        "task_id": "t1",
        "flag": "failure",
        "score": 0,
        "comment": "wrong day",
        "source": "local user",
    }
    assert message.key.startswith(f"{project}:".encode())


def test_a_process_that_can_not_publish_says_so(world: Any, project: str) -> None:
    pages = world.open_pages(can_publish=False)
    pages.headers["Sec-Fetch-Site"] = "same-origin"

    assert act(pages, project, "/annotations/flag", flag="failure").status_code == 503


def test_a_note_is_written_shown_and_deleted(pages: TestClient, api: TestClient, project: str) -> None:
    assert act(pages, project, "/annotations/note", text="look at\r\nthis").status_code == 303
    made = api.post("/api/v1/tasks/t1/notes", json={"text": "and at that"})
    assert made.status_code == 201

    def notes() -> list[tuple[str, str]]:
        task = pages.get("/tasks/t1.json", params={"project": project}).json()["task"]
        return [(note["text"], note["created_by"]) for note in task["notes"]]

    assert notes() == [("look at\nthis", "local user"), ("and at that", "api key")]
    note_id = made.json()["note"]["note_id"]
    assert act(pages, project, "/annotations/delete-note", note_id=note_id).status_code == 303
    assert notes() == [("look at\nthis", "local user")]
    assert api.delete(f"/api/v1/tasks/t1/notes/{note_id}").status_code == 404
    assert api.post("/api/v1/tasks/t1/notes", json={"text": " "}).status_code == 422
    assert api.post("/api/v1/tasks/absent/notes", json={"text": "x"}).status_code == 404
    assert api.post("/api/v1/tasks/t1/notes", json={"text": "x" * 10_001}).status_code == 422


@pytest.mark.parametrize("task_id", ODD_IDS)
def test_a_task_of_any_id_can_be_acted_on(world: Any, pages: TestClient, project: str, task_id: str) -> None:
    world.add_task(project, task_id)

    assert act(pages, project, "/annotations/label", task_id, event="hotel", label="confirmed").status_code == 303
    assert act(pages, project, "/annotations/note", task_id, text="noted").status_code == 303
    label = world.store.rows(
        "SELECT task_id FROM labels WHERE project_id = {p:String} AND task_id = {t:String}",
        {"p": project, "t": task_id},
    )
    assert label == [{"task_id": task_id}]


@pytest.mark.parametrize("next_path", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_no_form_leads_away_from_here(pages: TestClient, project: str, next_path: str) -> None:
    answer = act(pages, project, "/annotations/label", event="flight", label="confirmed", next=next_path)

    assert answer.headers["location"] == "/"


def test_nothing_that_people_say_can_run_in_a_page(world: Any, pages: TestClient, project: str) -> None:
    world.define(project, ATTACK[:128])
    world.add_task(project, ATTACK)
    act(pages, project, "/annotations/note", ATTACK, text=ATTACK)
    act(pages, project, "/annotations/label", ATTACK, event=ATTACK[:128], label="confirmed")
    world.add_feedback(project, ATTACK, "failure", comment=ATTACK, source=ATTACK)

    for path in ("/sessions/s-1", f"/sessions/s-1?q={ATTACK}"):
        page = pages.get(path, params={"project": project} if "?" not in path else None)
        if page.status_code == 200:
            assert page.text.count("&lt;script&gt;alert(1)") >= 5
        check_page(page)
    for path in ("/annotations/label", "/annotations/note", "/annotations/flag", "/annotations/delete-note"):
        check_page(act(pages, project, path, ATTACK, event=ATTACK, label=ATTACK, flag=ATTACK, note_id=ATTACK))


def test_a_viewer_sees_no_form_that_they_may_not_send(world: Any, project: str) -> None:
    client = world.signed_in("viewer")

    text = client.get("/sessions/s-1", params={"project": project}).text

    assert "flight" in text
    assert "/annotations/" not in text
