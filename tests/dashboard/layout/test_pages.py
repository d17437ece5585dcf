"""The pages: the same data as their twins, safe against what clients log, and closed to those who may not see them."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest
from markupsafe import escape
from starlette.testclient import TestClient

from fixtures.html_pages import ATTACK, Tags

ODD_IDS = (
    "plain",
    "with/slash",
    "/starts/with/slash",
    "a//b",
    "ünïcödé 😀",
    "question?mark#hash&amp=1",
    "quote'\"<b>",
    "100%25",
    "plus+and space",
    "name.json",
    "back\\slash",
    "semi;colon",
    "line\nbreak",
)


@pytest.fixture
def pages(world: Any) -> TestClient:
    client: TestClient = world.open_pages()
    return client


def test_an_empty_project_says_how_to_log_the_first_task(pages: TestClient, project: str) -> None:
    text = pages.get("/sessions", params={"project": project}).text

    assert "curl -X POST http://127.0.0.1:8420/api/v1/events" in text
    assert f'project_id="{project}"' in text
    assert f'projectId: "{project}"' in text
    assert "pip install CLONE/producers/python" in text


def test_a_session_says_when_who_what_and_how_it_went(world: Any, pages: TestClient, project: str) -> None:
    world.add_task(project, "t1", input="book me a flight", user_id="ada", created_at="2026-01-01T10:00:00.000Z")
    world.add_task(project, "t2", input="thanks", user_id="ada", flag="success", created_at="2026-01-01T10:05:00.000Z")
    world.add_analysis(project, "t1", "flight", "flight", "hotel")
    world.add_analysis(project, "t2", "thanks", sentiment="negative")
    world.add_feedback(project, "t1", "failure")

    page = pages.get("/sessions.json", params={"project": project}).json()

    assert page["sessions"] == [
        {
            "session_id": "s-1",
            "first_task_at": "2026-01-01T10:00:00.000Z",
            "last_task_at": "2026-01-01T10:05:00.000Z",
            "preview": "book me a flight",
            "tasks": 2,
            "user_ids": ["ada"],
            "successes": 1,
            "failures": 1,
            "feedback": 1,
            "events": [
                {"name": "flight", "events": 2},
                {"name": "hotel", "events": 1},
                {"name": "thanks", "events": 1},
            ],
            "sentiments": {"negative": 1, "positive": 1},
            "languages": ["en"],
        }
    ]
    text = pages.get("/sessions", params={"project": project}).text
    for shown in ("book me a flight", "ada", "2 tasks", "flight ×2", "2026-01-01 10:05:00", "1 negative", "1 feedback"):
        assert shown in text


def test_a_transcript_shows_turns_with_what_was_found_in_them(world: Any, pages: TestClient, project: str) -> None:
    world.add_task(
        project, "t1", input="first?", output="one", model="m-1", tokens_in=5, tokens_out=7, latency_ms=1234.0,
        system_prompt="be brief", metadata={"plan": {"tier": "gold"}}, raw_input='{"messages":["raw"]}', flag="success",
    )  # fmt: skip
    world.add_task(project, "t2", input="second?", output="", created_at="2026-01-01T10:01:00.000Z")
    world.add_analysis(project, "t1", "flight")
    world.add_feedback(project, "t1", "failure", comment="not at all")

    session = pages.get("/sessions/s-1.json", params={"project": project}).json()["session"]
    text = pages.get("/sessions/s-1", params={"project": project}).text

    assert [(task["input"], task["flag"]) for task in session["task_list"]] == [("first?", "failure"), ("second?", "")]
    assert session["task_list"][0]["events"][0]["evidence"] == f"words of {project}"
    assert session["task_list"][0]["metadata"] == {"plan": {"tier": "gold"}}
    assert (session["tasks"], session["tokens_in"], session["models"]) == (2, 5, ["m-1"])
    for shown in (
        "first?",
        "one",
        "m-1",
        "5 → 7 tokens",
        "1,234 ms",
        "be brief",
        "not at all",
        "0.75",
        "positive +0.50",
    ):
        assert shown in text
    assert text.index("first?") < text.index("second?")
    assert "Metadata and raw JSON</a>" in text


def test_what_was_found_in_a_whole_session_stands_above_its_transcript(
    world: Any, pages: TestClient, project: str
) -> None:
    """And at its last task, where it can be confirmed or rejected; a rejected one stands there alone."""
    world.add_task(project, "t1", session_id="trip")
    world.add_task(project, "t2", session_id="trip", created_at="2026-01-01T10:00:01.000Z")
    event = {"id": "e", "name": "planned", "engine": "semantic", "scope": "session", "score": 0.8}
    world.add_analysis(project, "t2", session_id="trip", created_at="2026-01-01T10:00:01.000Z", events=[event])

    head, _, tasks = pages.get("/sessions/trip", params={"project": project}).text.partition('<ol class="tasks">')

    assert '<a class="chip" dir="auto" href="#task-2">planned</a>' in head
    assert "Semantic in the whole session" in tasks
    world.add_label(project, "t2", "planned", "rejected")
    assert "whole session" not in pages.get("/sessions/trip", params={"project": project}).text.partition("<ol")[0]


def test_a_task_logged_again_is_shown_once_as_it_is_now(world: Any, pages: TestClient, project: str) -> None:
    for revision, output in ((1, "partial"), (3, "complete"), (2, "late")):
        world.add_task(project, "t1", revision=revision, output=output)
    world.add_feedback(project, "t1", "success", revision=5)
    world.add_feedback(project, "t1", "failure", revision=4)

    session = pages.get("/sessions/s-1.json", params={"project": project}).json()["session"]
    summary = pages.get("/sessions.json", params={"project": project}).json()["sessions"][0]

    assert [(task["output"], task["flag"]) for task in session["task_list"]] == [("complete", "success")]
    assert (summary["tasks"], summary["feedback"], summary["successes"]) == (1, 1, 1)


def test_a_session_of_another_project_is_not_found(world: Any, pages: TestClient, project: str) -> None:
    world.add_task("theirs", "of-theirs", session_id="only-theirs")

    page = pages.get("/sessions/only-theirs", params={"project": project})
    twin = pages.get("/sessions/only-theirs.json", params={"project": project})

    assert (page.status_code, twin.status_code) == (404, 404)
    assert twin.json()["error"]["code"] == "unknown_session"
    assert "There is no session" in page.text


@pytest.mark.parametrize("session_id", ODD_IDS)
async def test_any_session_id_has_a_page_a_twin_and_a_link(world: Any, project: str, session_id: str) -> None:
    world.add_task(project, "t1", session_id=session_id)

    async with world.browser() as browser:
        listing = Tags((await browser.get("/sessions", params={"project": project})).text)
        page = await browser.get(listing.links("a", "/sessions/")[0])
        twin = await browser.get(Tags(page.text).links("link", "/sessions/")[0])

    assert page.headers["content-type"].startswith("text/html")
    assert escape(session_id) in page.text
    assert twin.json()["session"]["session_id"] == session_id


def test_pages_follow_each_other_without_a_gap_while_new_sessions_come(
    world: Any, pages: TestClient, project: str
) -> None:
    for number in range(7):
        at = f"2026-01-01T10:00:0{number // 2}.000Z"
        world.add_task(project, f"t{number}", session_id=f"s{number}", created_at=at)
    seen: list[str] = []
    cursor: str | None = ""

    while cursor is not None:
        page = pages.get("/sessions.json", params={"project": project, "limit": 2, "cursor": cursor}).json()
        seen += [session["session_id"] for session in page["sessions"]]
        world.add_task(
            project, f"new-{len(seen)}", session_id=f"new-{len(seen)}", created_at="2026-02-01T00:00:00.000Z"
        )
        cursor = page["next_cursor"]

    assert seen == ["s6", "s5", "s4", "s3", "s2", "s1", "s0"]


def test_a_long_transcript_comes_in_pages(world: Any, pages: TestClient, project: str) -> None:
    with world.together():
        for number in range(205):
            world.add_task(project, f"t{number:03}", input=f"turn {number}")

    first = pages.get("/sessions/s-1.json", params={"project": project}).json()
    rest = pages.get("/sessions/s-1.json", params={"project": project, "cursor": first["next_cursor"]}).json()

    assert (len(first["session"]["task_list"]), len(rest["session"]["task_list"])) == (200, 5)
    assert rest["next_cursor"] is None
    assert "Later tasks" in pages.get("/sessions/s-1", params={"project": project}).text


def test_sessions_are_filtered_by_event_and_by_words_in_the_url(world: Any, pages: TestClient, project: str) -> None:
    world.add_task(project, "t1", session_id="a", input="I want a FLIGHT")
    world.add_task(project, "t2", session_id="b", output="your flight is booked")
    world.add_task(project, "t3", session_id="c", input="100% of it_all")
    world.add_analysis(project, "t1", "wants flight & more", session_id="a")
    world.add_analysis(project, "t3", "thanks", session_id="c")

    def found(**query: str) -> set[str]:
        page = pages.get("/sessions.json", params={"project": project, **query}).json()
        return {session["session_id"] for session in page["sessions"]}

    assert found() == {"a", "b", "c"}
    assert found(q="flight") == {"a", "b"}
    assert found(q="0% of it_") == {"c"}
    assert found(q="%") == {"c"}
    assert found(event="wants flight & more") == {"a"}
    assert found(event="thanks", q="flight") == set()
    assert "No tasks match these filters" in pages.get("/sessions", params={"project": project, "q": "absent"}).text
    links = Tags(pages.get("/sessions", params={"project": project}).text).attributes
    assert any(
        value.endswith("event=wants+flight+%26+more&q=") or "wants+flight+%26+more" in value for *_, value in links
    )


def test_nothing_that_a_client_logs_can_run_in_a_page(world: Any, pages: TestClient, project: str) -> None:
    texts = ("input", "output", "system_prompt", "user_id", "version_id", "model", "raw_input", "raw_output", "source")
    world.add_task(
        project, ATTACK, session_id=ATTACK, metadata={"x": ATTACK, ATTACK.replace(".", ""): 1}, flag=ATTACK,
        **dict.fromkeys(texts, ATTACK),
    )  # fmt: skip
    world.add_analysis(project, ATTACK, ATTACK, session_id=ATTACK, language=ATTACK, sentiment=ATTACK)
    world.add_analysis(
        project, ATTACK, session_id=ATTACK, revision=2, language=ATTACK, sentiment=ATTACK,
        events=[{"id": ATTACK, "name": ATTACK, "engine": ATTACK, "scope": ATTACK, "score": 1, "evidence": ATTACK}],
    )  # fmt: skip
    world.add_feedback(project, ATTACK, ATTACK, comment=ATTACK, source=ATTACK, feedback_id=ATTACK)
    listing = pages.get("/sessions", params={"project": project, "event": ATTACK, "q": ATTACK[:50]})
    plain = pages.get("/sessions", params={"project": project})
    transcript = pages.get(Tags(plain.text).links("a", "/sessions/")[0])
    missing = pages.get("/sessions/" + "%3Cscript%3Ealert(1)%3C%2Fscript%3E", params={"project": project})

    for page in (listing, plain, transcript, missing):
        tags = Tags(page.text)
        scripts = [attribute for attribute in tags.attributes if attribute[0] == "script"]
        assert scripts == [("script", "src", "/static/pages.js"), ("script", "type", "module")]
        assert not [name for _, name, _ in tags.attributes if name.startswith("on") or name == "style"]
        assert not [value for _, name, value in tags.attributes if name in {"href", "src", "action"} and value[0] != "/"
                    and value[0] != "#"]  # fmt: skip
        assert "<img src=x" not in page.text
        assert "49" not in re.sub(r"[0-9a-f]{16,}|\d{3,}", "", page.text)
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
    assert transcript.status_code == 200
    assert transcript.text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= len(texts)


@pytest.mark.parametrize("path", ["/", "/tasks", "/tasks/ITEM", "/events", "/events/ITEM", "/users", "/versions"])
def test_every_page_escapes_what_clients_log(world: Any, pages: TestClient, project: str, path: str) -> None:
    texts = ("input", "output", "user_id", "version_id", "model", "source")
    world.add_task(project, ATTACK, session_id=ATTACK, metadata={"x": ATTACK}, **dict.fromkeys(texts, ATTACK))
    world.add_analysis(project, ATTACK, ATTACK, session_id=ATTACK, user_id=ATTACK, language=ATTACK, sentiment=ATTACK)
    world.add_label(project, ATTACK, ATTACK + "2", "confirmed")

    every_column = "output,events,sentiment,feedback,language,user,version,model,latency,tokens,session,time"
    query = {"project": project, "user": ATTACK, "q": ATTACK[:50]}
    query |= {"columns": every_column} if path == "/tasks" else {}
    page = pages.get(path.replace("ITEM", quote(quote(ATTACK, safe=""), safe="")), params=query)

    tags = Tags(page.text)
    assert page.status_code == 200
    assert (tags.mistakes, tags.open_tags) == ([], [])
    assert [value for tag, name, value in tags.attributes if (tag, name) == ("script", "src")][-1] == "/static/pages.js"
    assert not [name for _, name, _ in tags.attributes if name.startswith("on") or name == "style"]
    assert not [v for _, name, v in tags.attributes if name in {"href", "src", "action"} and v[0] not in "/#"]
    assert "&lt;script&gt;alert(1)" in page.text
    assert "<img src=x" not in page.text


def test_every_tag_of_a_page_is_closed(world: Any, pages: TestClient, project: str) -> None:
    empty = pages.get("/sessions", params={"project": project})
    world.add_task(project, "t1", flag="success", metadata={"a": 1}, system_prompt="x", raw_input="{}")
    world.add_analysis(project, "t1", "thanks")
    world.add_feedback(project, "t1", "failure")
    full = pages.get("/sessions", params={"project": project, "event": "thanks", "q": "hello"})

    for page in (empty, full, pages.get("/sessions/s-1", params={"project": project}), pages.get("/sessions/absent")):
        tags = Tags(page.text)
        assert (tags.mistakes, tags.open_tags) == ([], [])


def test_the_api_the_twin_and_the_page_say_the_same(world: Any, pages: TestClient, project: str) -> None:
    world.add_task(project, "t1", session_id="with/slash", input="the very same")
    client = world.client(world.registry.create_key(project).secret)

    listing = client.get("/api/v1/sessions").json()
    session = client.get("/api/v1/sessions/with%2Fslash").json()

    assert listing == pages.get("/sessions.json", params={"project": project}).json()
    assert session == pages.get("/sessions/with%2Fslash.json", params={"project": project}).json()
    assert client.get("/sessions.json").json() == listing


@pytest.mark.parametrize("path", ["/sessions", "/sessions.json", "/sessions/x", "/sessions/x.json"])
def test_an_open_page_answers_for_hosts_of_loopback_alone(world: Any, path: str) -> None:
    client = world.open_pages(allowed_hosts=("phospho.internal",))

    def status(host: str) -> int:
        return int(client.get(path, headers={"Host": host}).status_code)

    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8420", "0.0.0.0:8420"):
        assert status(host) == 421
    for host in ("127.0.0.1:8420", "localhost", "[::1]:8420", "phospho.internal"):
        assert status(host) in {200, 404}


def test_a_page_of_one_project_lists_no_other_in_its_switch(world: Any) -> None:
    page = world.client(world.keys["mine"]).get("/sessions").text
    switch = page[page.index('<select id="project"') : page.index("</select>")]

    options = [value for tag, name, value in Tags(switch).attributes if (tag, name) == ("option", "value")]

    assert options == ["mine"]


@pytest.mark.parametrize("query", ["cursor=%%%", "cursor=WzFd", "cursor=WyJ4IiwxXQ", "limit=0", "limit=501", "limit=x"])
def test_a_query_that_can_not_be_read_is_a_client_error(pages: TestClient, query: str) -> None:
    assert pages.get(f"/sessions?{query}").status_code == 400
    assert pages.get(f"/sessions.json?{query}").json()["error"]["code"] in {"invalid_cursor", "invalid_limit"}


def test_static_files_are_served_and_nothing_beside_them(pages: TestClient) -> None:
    assert pages.get("/static/phospho.css").headers["content-type"].startswith("text/css")
    assert pages.get("/static/pages.js").status_code == 200
    assert pages.get("/static/../app.py").status_code == 404
    assert pages.get("/static/%2e%2e/app.py").status_code == 404


def test_fields_for_words_of_any_script_find_their_direction(pages: TestClient, project: str) -> None:
    """An Arabic name is typed from right to left."""
    page = pages.get("/settings/keys", params={"project": project}).text
    (field,) = re.findall(r'<input[^>]* name="name"[^>]*>', page)
    assert 'dir="auto"' in field
