"""Corrections, and events found beside the analyses of tasks: every page shows the very events of the view `events`."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

from phospho_store import confidence

DAYS = ("2026-01-01T10:00:00.000Z", "2026-01-02T10:00:00.000Z", "2026-01-09T10:00:00.000Z")
NAMES = ("asked", "denied", "near", "whole", "turn", "gone", "added", "twice")


@dataclass(frozen=True)
class Project:
    """A project, its pages, and the rows of the view `events` that one may compare them with."""

    world: Any
    pages: TestClient
    project_id: str

    def page(self, path: str, **query: str) -> dict[str, Any]:
        found: dict[str, Any] = self.pages.get(path, params={"project": self.project_id, **query}).json()
        return found

    def events(self, condition: str = "1") -> list[dict[str, Any]]:
        sql = f"SELECT * FROM events WHERE project_id = {{project:String}} AND ({condition}) ORDER BY id"
        return [*self.world.store.rows(sql, {"project": self.project_id})]

    def add_task(self, task_id: str, day: int, *names: str, **fields: Any) -> None:
        """Add a task and its analysis; `revision` orders it among those of its session."""
        shared = {"session_id": f"s-{day}", "created_at": DAYS[day], "user_id": f"user-{day}", "version_id": f"v{day}"}
        of_task = {name: fields.pop(name) for name in ("input", "model") if name in fields}
        revision = {"revision": fields.get("revision", 1)}
        self.world.add_task(self.project_id, task_id, **shared | revision | of_task)
        self.world.add_analysis(self.project_id, task_id, *names, **shared | fields)

    def add_candidates(self, task_id: str, day: int, *candidates: str, found: tuple[str, ...] = ()) -> None:
        """Add a task whose analysis was not sure of these; the content of each is its name and the task's."""
        unsure = [{**_named(task_id, name), "doubt": 0.5, "content": f"{name}-{task_id}"} for name in candidates]
        self.add_task(task_id, day, *found, candidates=unsure)

    def add_judgement(self, name: str, task_id: str, answer: str, version: int = 1) -> None:
        row = {"project_id": self.project_id, "name": name, "definition_version": version, "revision": 1}
        row |= {"content": f"{name}-{task_id}", "answer": answer, "score": 0.75, "judge": "llm", "value": 3.0}
        self.world.add("judgement_rows", row | {"category": "c", "created_at": DAYS[0]})

    def add_session_event(self, day: int, task_id: str, *names: str, turn: str = "", is_past: bool = False) -> None:
        """Add what was found in a session, or in one of its turns, as it is or as it was."""
        row = {"project_id": self.project_id, "session_id": f"s-{day}", "turn": turn, "revision": 1}
        row["state"] = 1 if is_past else self.state(f"s-{day}", turn)
        row |= {"task_id": task_id, "user_id": f"user-{day}", "version_id": f"v{day}", "created_at": DAYS[day]}
        events = [_named(task_id, name) | {"scope": "session", "evidence": "all of it"} for name in names]
        self.world.add("session_analysis_rows", row | {"events": events})

    def state(self, session_id: str, turn: str) -> int:
        """Return the state of a session, or of a turn with those before it: its sessions here have fewer than 20."""
        upto = "created_at, task_id) <= (SELECT created_at, task_id FROM task_rows FINAL WHERE project_id ="
        upto = f"({upto} {{project:String}} AND task_id = {{turn:String}} LIMIT 1)" if turn else "1"
        sql = "SELECT groupBitXor(sipHash64(task_id, revision)) AS state FROM task_rows FINAL"
        sql += f" WHERE project_id = {{project:String}} AND session_id = {{session:String}} AND {upto}"
        parameters = {"project": self.project_id, "session": session_id, "turn": turn}
        return int(self.world.store.rows(sql, parameters)[0]["state"])


def _named(task_id: str, name: str) -> dict[str, Any]:
    found = {"id": f"{task_id}-{name}", "name": name, "definition_version": 1}
    return found | {"engine": "keyword", "scope": "input", "score": 0.25}


def add_labels(project: Project) -> None:
    """Add what people said: of what was found in tasks and in sessions, and of what was not found at all."""
    for task_id, name, label in (
        ("a", "asked", "confirmed"),
        ("b", "asked", "rejected"),
        ("c", "added", "confirmed"),
        ("e", "turn", "rejected"),
        ("d", "whole", "confirmed"),
        ("bare", "added", "confirmed"),
        ("n", "near", "confirmed"),
        ("x", "denied", "confirmed"),
    ):
        project.world.add_label(project.project_id, task_id, name, label)


def add_judgements(project: Project) -> None:
    """Add judgements: one that denies, one that affirms, and one on an earlier version, which matches nothing."""
    project.add_judgement("denied", "x", "no")
    project.add_judgement("near", "n", "yes")
    project.add_judgement("near", "m", "yes", version=7)
    project.add_judgement("asked", "m", "no", version=7)


def add_session_events(project: Project) -> None:
    """Add what was found in sessions: as they are now, before a later task, and in turns, one of them logged again."""
    project.add_session_event(0, "d", "whole", "asked")
    project.add_session_event(1, "e", "gone", is_past=True)
    project.add_session_event(1, "e", "turn", "twice", turn="e")
    project.add_session_event(2, "m", "gone", turn="m", is_past=True)
    project.add_session_event(2, "m")


KINDS: dict[str, tuple[Callable[[Project], None], ...]] = {
    "nothing": (),
    "labels": (add_labels,),
    "judgements": (add_judgements,),
    "session events": (add_session_events,),
    "all of them": (add_labels, add_judgements, add_session_events),
}


@pytest.fixture(scope="module")
def projects(world: Any) -> dict[str, Project]:
    """Return, by the kind of corrections, a project with three sessions of three days."""
    pages = world.open_pages()
    made = {kind: Project(world, pages, f"p-{kind.replace(' ', '-')}") for kind in KINDS}
    for kind, project in made.items():
        world.registry.save_project(project.project_id)
        with world.together():
            _fill(project)
        for add in KINDS[kind]:
            add(project)
    return made


# Each kind alone is in the counts below; the other tests have it in `make chaos`.
@pytest.fixture(params=["all of them", *(pytest.param(kind, marks=pytest.mark.chaos) for kind in [*KINDS][:-1])])
def corrected(request: pytest.FixtureRequest, projects: dict[str, Project]) -> Project:
    return projects[request.param]


def _fill(made: Project) -> None:
    made.add_task("a", 0, "asked")
    made.add_task("b", 0, "asked", language="fr", sentiment="negative")
    made.add_task("c", 0, input="a zebra")
    made.add_task("d", 0, "asked", revision=5, model="m-1")
    made.add_task("e", 1, "asked", "twice", revision=2)
    made.add_candidates("x", 1, "denied", found=("denied",))
    made.add_candidates("n", 2, "near")
    made.add_candidates("m", 2, "near", "asked", found=("asked",))
    bare = {"session_id": "s-bare", "created_at": DAYS[2], "user_id": "user-2", "version_id": "v2"}
    made.world.add_task(made.project_id, "bare", **bare)


# Filters of the URL, and the condition on the view that says the same.
SCOPES = {
    "everything": ({}, "1"),
    "a span": ({"from": DAYS[1], "to": "2026-01-05"}, "toDate(created_at) = '2026-01-02'"),
    "a user": ({"user": "user-2"}, "user_id = 'user-2'"),
    "a version": ({"version": "v0"}, "version_id = 'v0'"),
    "a language": ({"language": "fr"}, "task_id = 'b'"),
    "a model": ({"model": "m-1"}, "task_id = 'd'"),
    "words": ({"q": "zebra"}, "task_id = 'c'"),
    **{f"the event {name}": ({"event": name}, name) for name in NAMES},
}


# An event that people added, one that a judge denied, and one found in a turn; the others are found like these.
EVENTS_ALWAYS_TESTED = ("the event added", "the event denied", "the event turn")


def scope_parameter(name: str) -> Any:
    is_always_tested = not name.startswith("the event") or name in EVENTS_ALWAYS_TESTED
    return pytest.param("all of them", name, marks=[] if is_always_tested else pytest.mark.chaos)


@pytest.mark.parametrize(
    ("kind", "narrowed"),
    [*map(scope_parameter, SCOPES), *((kind, "everything") for kind in KINDS if kind != "all of them")],
)
def test_counts_of_pages_are_those_of_the_view(projects: dict[str, Project], kind: str, narrowed: str) -> None:
    corrected = projects[kind]
    query, condition = SCOPES[narrowed]
    if "event" in query:
        ids = sorted({event["task_id"] for event in corrected.events() if event["name"] == condition})
        condition = f"task_id IN ({', '.join(map(repr, ['', *ids]))})"
    expected = corrected.events(condition)
    by_name = Counter(event["name"] for event in expected)
    sessions = {name: len({e["session_id"] for e in expected if e["name"] == name}) for name in by_name}

    dashboard = corrected.page("/dashboard.json", **query)
    listed = corrected.page("/events.json", **query)["events"]
    users = corrected.page("/users.json", **query)["users"]

    assert dashboard["totals"]["events"] == len(expected)
    assert sum(point["events"] for point in dashboard["over_time"]) == len(expected)
    assert {row["name"]: (row["events"], row["sessions"]) for row in dashboard["events"]} == {
        name: (count, sessions[name]) for name, count in by_name.items()
    }
    assert {row["name"]: row["events"] for row in listed} == by_name
    assert {row["user"]: row["events"] for row in users if row["events"]} == Counter(
        event["user_id"] for event in expected if event["user_id"]
    )
    if "event" in query:
        found = corrected.page("/tasks.json", **query)["tasks"]
        assert {task["task_id"] for task in found} == {event["task_id"] for event in expected}


@pytest.mark.parametrize("kind", KINDS)
def test_users_sql_reads_the_very_rows_and_types_of_the_views(projects: dict[str, Project], kind: str) -> None:
    """A project's own views leave out what it doesn't have: no row, column or type may differ."""
    corrected = projects[kind]
    world, parameters = corrected.world, {"project": corrected.project_id}
    client = world.client(world.registry.create_key(corrected.project_id).secret)
    for view in ("events", "sessions"):
        sql = f"SELECT * FROM {view} WHERE project_id = {{project:String}}"
        query = {"query": f"SELECT * FROM {view}", "format": "JSON"}
        expected = orjson.loads(world.store.raw(sql, "JSON", parameters))
        content = client.post("/api/v1/sql", json=query).json()
        assert content["meta"] == expected["meta"]
        assert sorted(content["data"], key=orjson.dumps) == sorted(expected["data"], key=orjson.dumps)

    number = len(corrected.events())
    for sql in (
        "SELECT count() AS events FROM events",
        "SELECT sum(n) FROM (SELECT count() AS n FROM tasks WHERE 0 UNION ALL SELECT count() FROM events)",
        "SELECT sum(events) FROM sessions",
        "SELECT (SELECT count() FROM events)",
        "SELECT count() FROM events AS e JOIN (SELECT DISTINCT id FROM events) AS same USING (id)",
        "SELECT count() FROM (WITH events AS (SELECT * FROM events) SELECT * FROM events)",
        "WITH named AS (SELECT * FROM events) SELECT count() FROM named",
        "SELECT sum(n) FROM (WITH task_rows AS (SELECT 1) SELECT count() AS n FROM events)",
    ):
        answer = client.post("/api/v1/sql", json={"query": sql, "format": "TSV"})
        assert (answer.status_code, answer.text.strip()) == (200, str(number)), sql


def test_lists_and_single_pages_show_the_events_of_the_view(corrected: Project) -> None:
    expected = corrected.events()
    said = ("id", "name", "engine", "scope", "score", "evidence", "judge", "value", "category", "label")

    def shown(task: dict[str, Any]) -> list[tuple[Any, ...]]:
        return sorted(tuple(e[name] for name in said) for e in task["events"] if e["label"] != "rejected")

    def of_view(task_id: str) -> list[tuple[Any, ...]]:
        return sorted(tuple(e[name] for name in said) for e in expected if e["task_id"] == task_id)

    tasks = corrected.page("/tasks.json")["tasks"]
    assert {task["task_id"]: shown(task) for task in tasks} == {
        task["task_id"]: of_view(task["task_id"]) for task in tasks
    }
    for session in corrected.page("/sessions.json")["sessions"]:
        session_id = session["session_id"]
        counted = Counter(event["name"] for event in expected if event["session_id"] == session_id)
        assert {row["name"]: row["events"] for row in session["events"]} == counted
        turns = corrected.page(f"/sessions/{session_id}.json")["session"]["task_list"]
        assert [shown(turn) for turn in turns] == [of_view(turn["task_id"]) for turn in turns]


@pytest.mark.parametrize("kind", [pytest.param("nothing", marks=pytest.mark.chaos), "all of them"])
def test_the_page_of_an_event_counts_what_the_view_does(projects: dict[str, Project], kind: str) -> None:
    corrected = projects[kind]
    events = corrected.events()
    for name in {event["name"] for event in events}:
        expected = [event for event in events if event["name"] == name]
        found = corrected.world.store.rows(
            "SELECT score, definition_version AS version FROM found_events"
            " WHERE project_id = {project:String} AND name = {name:String}",
            {"project": corrected.project_id, "name": name},
        )

        page = corrected.page(f"/events/{name}.json")

        assert page["totals"]["events"] == len(expected)
        assert page["totals"]["sessions"] == len({event["session_id"] for event in expected})
        assert sum(point["events"] for point in page["trend"]) == len(expected)
        assert {task["task_id"] for task in page["examples"]} == {event["task_id"] for event in expected}
        assert {row["from"]: row["events"] for row in page["scores"] if row["events"]} == Counter(
            int(row["score"] * 20) / 20 for row in found
        )
        assert sum(row["events"] for row in page["by_version"]) == len(found)


@pytest.mark.parametrize("kind", ["nothing", "all of them"])
def test_versions_compare_the_scores_of_found_events(
    projects: dict[str, Project], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confidence, "_FEWEST_VALUES", 1)
    page = projects[kind].page("/versions.json")
    sql = (
        "SELECT toString(version_id) AS version, toString(name) AS name, session_id,"
        " avg(score) AS mean FROM found_events WHERE project_id = {project:String} GROUP BY version, name, session_id"
    )
    rows = projects[kind].world.store.rows(sql, {"project": projects[kind].project_id})
    # What people rejected everywhere is on no page.
    shown = {event["name"] for event in projects[kind].events()}

    assert {
        (measure["name"].removeprefix("score of "), row["version"]): (round(one["estimate"], 4), one["n"])
        for measure in page["measures"]
        if measure["is_score"]
        for row, one in zip(page["versions"], measure["versions"], strict=True)
        if one
    } == {(row["name"], row["version"]): (round(row["mean"], 4), 1) for row in rows if row["name"] in shown}


def test_versions_and_exports_have_the_events_of_the_view(corrected: Project) -> None:
    expected = corrected.events()
    page = corrected.page("/versions.json")
    measures = {row["name"]: row for row in page["measures"] if row["is_event"]}
    versions = [row["version"] for row in page["versions"]]
    for name in {event["name"] for event in expected}:
        for version, cell in zip(versions, measures[name]["versions"], strict=True):
            having = {e["session_id"] for e in expected if (e["name"], e["version_id"]) == (name, version)}
            assert round(cell["estimate"] * cell["n"]) == len(having)

    query = {"project": corrected.project_id}
    lines = corrected.pages.get("/tasks.jsonl", params=query).text.splitlines()
    of_sessions = corrected.pages.get("/sessions.csv", params=query).text

    for task in map(orjson.loads, lines):
        assert task["events"] == sorted(e["name"] for e in expected if e["task_id"] == task["task_id"])
    for row in csv.DictReader(io.StringIO(of_sessions)):
        names = {e["name"] for e in expected if e["session_id"] == row["session_id"]}
        assert row["events"] == ", ".join(sorted(names))


def test_filters_offer_the_events_that_were_found_in_sessions_or_added(world: Any, project: str) -> None:
    made = Project(world, world.open_pages(), project)
    made.add_task("d", 0, revision=5)
    made.add_session_event(0, "d", "whole")
    world.add_label(project, "d", "added", "confirmed")

    text = made.pages.get("/tasks", params={"project": project}).text

    assert '<option value="whole"' in text or ">whole</option>" in text
    assert ">added</option>" in text
