"""Dead letters in the API: who sees which, and what may be logged in the place of one."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

from phospho_dashboard.dead_letters.letters import DeadLetters
from phospho_dashboard.dead_letters.replay import replay_message
from phospho_web.problems import Problem

LOG = {"project_id": "mine", "task_id": "t", "session_id": "s", "input": "hello", "flag": "maybe"}
HEX = re.compile(r"[0-9a-f]{32}")


@pytest.fixture
def letter(world: Any) -> str:
    """A dead letter of `mine`: a log with a flag that nobody knows, as the gateway stamped it."""
    stamped = LOG | {"revision": 77, "received_at": "2025-12-31T00:00:00.000Z", "source": "v2"}
    return stored(world, "letter", orjson.dumps(stamped))


def stored(world: Any, dead_letter_id: str, payload: bytes, project_id: str = "mine", **more: str) -> str:
    world.add_dead_letter(dead_letter_id, project_id, payload, **more)
    world.publisher.messages.clear()
    return dead_letter_id


def replay(client: TestClient, letter: str, mended: dict[str, Any] | None = None) -> Any:
    body = {} if mended is None else {"payload": orjson.dumps(mended).decode()}
    return client.post(f"/api/v1/dead-letters/{letter}/replay", json=body)


def published(world: Any) -> list[dict[str, Any]]:
    return [orjson.loads(message.value) for message in world.publisher.messages]


def error(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_one_is_shown_byte_for_byte_and_as_text(world: Any, mine: TestClient) -> None:
    stored(world, "bytes", b"\xff{bad")

    content = mine.get("/api/v1/dead-letters/bytes").json()["dead_letter"]

    assert base64.b64decode(content["payload_base64"]) == b"\xff{bad"
    assert content["payload"] == "\ufffd{bad"
    assert (content["reason"], content["received_at"]) == ("invalid_json", "2026-01-01T10:00:00.000Z")
    listed = mine.get("/api/v1/dead-letters").json()["dead_letters"]
    assert {name: content[name] for name in listed[0] if name != "payload_start"}.items() <= content.items()


def test_as_it_came_it_keeps_its_place_among_the_writes_of_its_task(world: Any, mine: TestClient, letter: str) -> None:
    answer = replay(mine, letter)

    stamps = {"revision": 77, "received_at": "2025-12-31T00:00:00.000Z", "source": "v2"}
    assert (answer.status_code, answer.json()["task_id"], answer.json()["project_id"]) == (202, "t", "mine")
    assert published(world) == [LOG | stamps]
    assert world.publisher.messages[0].key == b"mine:s"


def test_mended_replay_is_a_new_write_without_the_gateways_fields(world: Any, mine: TestClient, letter: str) -> None:
    mended = LOG | {"flag": "success", "revision": 2**64 - 1, "received_at": "2200-01-01T00:00:00Z", "source": "forged"}

    assert replay(mine, letter, mended).status_code == 202

    assert published(world) == [
        LOG | {"flag": "success", "received_at": "2026-01-01T10:00:00.000Z", "source": "replay"}
    ]


def test_the_source_of_feedback_is_the_persons(world: Any, mine: TestClient, letter: str) -> None:
    feedback = {"kind": "feedback", "project_id": "mine", "task_id": "t", "score": 1, "source": "ann"}

    assert replay(mine, letter, feedback).status_code == 202
    assert published(world)[0]["source"] == "ann"


@pytest.mark.parametrize("project_id", ["theirs", "MINE", ["mine"], {"mine": 1}, 7, True])
def test_no_key_writes_to_another_project(world: Any, mine: TestClient, letter: str, project_id: object) -> None:
    answer = replay(mine, letter, LOG | {"project_id": project_id})

    assert answer.status_code in (403, 422)
    assert published(world) == []


def test_a_project_that_is_named_twice_is_read_once(world: Any, mine: TestClient, letter: str) -> None:
    twice = '{"project_id": "%s", "input": "x", "project_id": "%s"}'

    refused = mine.post(f"/api/v1/dead-letters/{letter}/replay", json={"payload": twice % ("mine", "theirs")})
    taken = mine.post(f"/api/v1/dead-letters/{letter}/replay", json={"payload": twice % ("theirs", "mine")})

    assert error(refused) == (403, "wrong_project")
    assert taken.status_code == 202
    assert world.publisher.messages[0].value.count(b"project_id") == 1
    assert published(world)[0]["project_id"] == "mine"


def test_replay_refuses_a_message_of_another_project_than_its_row(world: Any, mine: TestClient) -> None:
    stored(world, "crossed", orjson.dumps(LOG | {"project_id": "theirs"}))

    assert error(replay(mine, "crossed")) == (403, "wrong_project")
    assert published(world) == []


@pytest.mark.parametrize("project_id", [None, ""])
def test_a_message_without_a_project_gets_that_of_the_key(
    world: Any, mine: TestClient, letter: str, project_id: str | None
) -> None:
    replay(mine, letter, LOG | {"project_id": project_id})

    assert published(world)[0]["project_id"] == "mine"


def test_an_administrator_names_the_project_or_takes_that_of_the_letter(
    world: Any, admin: TestClient, letter: str
) -> None:
    stored(world, "of-nobody", b'{"input": "x"}', "")

    assert error(replay(admin, "of-nobody")) == (422, "project_required")
    assert replay(admin, "of-nobody", {"input": "x", "project_id": "theirs"}).json()["project_id"] == "theirs"
    headers = {"X-Phospho-Project": "mine"}
    answer = admin.post(f"/api/v1/dead-letters/{letter}/replay", json={"payload": '{"input": "x"}'}, headers=headers)
    assert answer.json()["project_id"] == "mine"


@pytest.mark.parametrize("mended", [None, {"input": "x"}, {"input": "x", "task_id": "", "event_id": None}])
def test_replay_without_an_id_is_one_task_however_often(
    world: Any, mine: TestClient, mended: dict[str, Any] | None
) -> None:
    stored(world, "no-id", b'{"project_id": "mine", "input": "x"}')

    answers = [replay(mine, "no-id", mended).json() for _ in range(2)]

    assert answers[0] == answers[1]
    assert HEX.fullmatch(answers[0]["task_id"])
    assert [message["task_id"] for message in published(world)] == [answers[0]["task_id"]] * 2


def test_an_event_id_is_the_id_of_the_task(world: Any, mine: TestClient, letter: str) -> None:
    assert replay(mine, letter, {"input": "x", "event_id": "e"}).json()["task_id"] == "e"


@pytest.mark.parametrize("payload", [b"\xff{bad", b"[1]", b'"text"', b"", b"[" * 100_000])
def test_what_is_no_json_object_is_not_sent_only_to_fail_again(world: Any, mine: TestClient, payload: bytes) -> None:
    stored(world, "broken", payload)

    answer = replay(mine, "broken")

    assert error(answer) == (422, "invalid_payload")
    assert "payload" in answer.json()["error"]["hint"]
    assert published(world) == []


def test_half_a_character_and_nan_travel_as_they_came(world: Any, mine: TestClient) -> None:
    stored(world, "half", b'{"project_id": "mine", "task_id": "h", "input": "\\ud83d", "metadata": {"x": NaN}}')

    assert replay(mine, "half").status_code == 202
    assert b"\\ud83d" in world.publisher.messages[0].value
    assert b"NaN" in world.publisher.messages[0].value


def test_what_no_topic_takes_is_refused(world: Any, mine: TestClient, letter: str) -> None:
    huge = '{"input": "\\ud83d%s"}' % ("é" * 3_000_000)

    answer = mine.post(f"/api/v1/dead-letters/{letter}/replay", json={"payload": huge})

    assert error(answer) == (413, "event_too_large")


def test_a_dead_letter_is_not_replayed_where_that_can_not_work(world: Any, mine: TestClient, letter: str) -> None:
    stored(world, "of-a-stage", b"{}", topic="phospho.tasks")
    stored(world, "of-others", b"{}", "theirs")
    without_publisher = world.client(world.keys["mine"], can_publish=False)

    assert error(replay(mine, "of-a-stage")) == (409, "not_replayable")
    assert error(replay(mine, "of-others")) == (404, "unknown_dead_letter")
    assert error(replay(mine, "absent")) == (404, "unknown_dead_letter")
    assert mine.get("/api/v1/dead-letters/of-others").status_code == 404
    assert error(replay(without_publisher, letter)) == (503, "no_publisher")
    assert mine.post(f"/api/v1/dead-letters/{letter}/replay", json={"payload": 1}).status_code == 422
    assert world.publisher.messages == []


def test_one_that_was_cut_to_fit_is_replayed_only_when_mended(letter: str) -> None:
    kept = {"source_topic": "phospho.raw-logs", "payload_base64": "e30=", "payload_bytes": 9_000_000}
    cut = {"dead_letter_id": letter, "project_id": "mine", "received_at": "2026-01-01T00:00:00.000Z", "revision": 1}

    with pytest.raises(Problem) as caught:
        replay_message(cut | kept | {"is_truncated": True}, None, "mine")

    assert (caught.value.status, caught.value.code) == (409, "truncated")
    assert replay_message(cut | kept | {"is_truncated": True}, '{"input": "hello"}', "mine").project_id == "mine"


def test_dead_letters_come_page_by_page_without_a_repetition(world: Any) -> None:
    world.registry.save_project("pages-of-letters")
    client = world.client(world.registry.create_key("pages-of-letters").secret)
    for index in range(5):
        world.add_dead_letter(f"letter-{index}", "pages-of-letters", b"x")
    seen: list[str] = []
    cursor: str | None = ""

    while cursor is not None:
        page = client.get("/api/v1/dead-letters", params={"limit": 2, "cursor": cursor}).json()
        seen += [letter["dead_letter_id"] for letter in page["dead_letters"]]
        cursor = page["next_cursor"]

    assert seen == ["letter-4", "letter-3", "letter-2", "letter-1", "letter-0"]


def test_only_an_administrator_sees_the_dead_letters_of_no_project(
    world: Any, mine: TestClient, admin: TestClient
) -> None:
    world.add_dead_letter("of-nobody", "", b"x")

    def listed(client: TestClient) -> set[str]:
        answer = client.get("/api/v1/dead-letters", headers={"X-Phospho-Project": "mine"})
        return {letter["dead_letter_id"] for letter in answer.json()["dead_letters"]}

    assert "of-nobody" in listed(admin)
    assert "of-nobody" not in listed(mine)
    assert admin.get("/api/v1/dead-letters/of-nobody").json()["dead_letter"]["payload"] == "x"
    assert mine.get("/api/v1/dead-letters/of-nobody").status_code == 404


def identified(world: Any, dead_letter_id: str, **fields: object) -> str:
    """A dead letter whose bytes name a task, as stages write it."""
    payload = orjson.dumps(LOG | {"task_id": dead_letter_id, "revision": 77} | fields)
    return stored(world, dead_letter_id, payload, item_kind="task", item_id=dead_letter_id, item_revision=77)


def test_mended_replay_keeps_the_task_that_it_leaves_out(world: Any, mine: TestClient) -> None:
    letter = identified(world, "kept")

    assert replay(mine, letter, {"input": "mended"}).json()["task_id"] == "kept"


@pytest.mark.parametrize("name", ["task_id", "event_id"])
def test_mended_replay_refuses_another_task(world: Any, mine: TestClient, name: str) -> None:
    letter = identified(world, f"own-{name}")

    assert error(replay(mine, letter, {"input": "mended", name: "another"})) == (422, "identity_changed")
    assert published(world) == []


def test_replay_and_drop_of_many_touch_those_that_wait_and_match(world: Any) -> None:
    world.registry.save_project("bulk")
    client = world.client(world.registry.create_key("bulk").secret)
    for number in range(3):
        world.add_dead_letter(f"deep-{number}", "bulk", b'{"input": "x"}', reason="too_deep")
    world.add_dead_letter("late", "bulk", b'{"input": "x"}', reason="too_deep", received_at="2026-02-01T10:00:00.000Z")
    world.add_dead_letter("of-a-stage", "bulk", b"{}", "phospho.tasks", reason="row_refused")
    world.publisher.messages.clear()

    late = client.post("/api/v1/dead-letters/replay", json={"reason": "too_deep", "since": "2026-01-15"})
    one = client.post("/api/v1/dead-letters/deep-0/drop")
    rest = client.post("/api/v1/dead-letters/replay", json={})
    dropped = client.post("/api/v1/dead-letters/drop", json={"reason": "row_refused"})

    assert (late.json()["replayed"], rest.json()["replayed"], dropped.json()["dropped"]) == (1, 2, 1)
    assert one.json()["status"] == "dropped"
    assert [failure["error"]["code"] for failure in rest.json()["failures"]] == ["not_replayable"]
    assert len(world.publisher.messages) == 3
    listed = client.get("/api/v1/dead-letters", params={"reason": "too_deep"}).json()["dead_letters"]
    assert {letter["dead_letter_id"]: letter["status"] for letter in listed} == {
        "late": "replayed",
        "deep-0": "dropped",
        "deep-1": "replayed",
        "deep-2": "replayed",
    }
    assert client.get("/api/v1/dead-letters", params={"status": "waiting"}).json()["dead_letters"] == []


def test_bulk_replay_goes_on_behind_its_cursor(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phospho_dashboard.dead_letters.bulk.MAX_AT_ONCE", 2)
    world.registry.save_project("cursors")
    client = world.client(world.registry.create_key("cursors").secret)
    for number in range(5):
        world.add_dead_letter(f"cursor-{number}", "cursors", b"broken")
    failed, cursor = [], ""

    while cursor is not None:
        answer = client.post("/api/v1/dead-letters/replay", json={"cursor": cursor}).json()
        failed.append(answer["failed"])
        cursor = answer["next_cursor"]

    assert failed == [2, 2, 1]


@pytest.mark.parametrize("fields", [{"reason": "nonsense"}, {"status": "gone"}, {"since": "yesterday"}, {"reason": 7}])
def test_selection_refuses_what_it_does_not_know(mine: TestClient, fields: dict[str, Any]) -> None:
    assert error(mine.post("/api/v1/dead-letters/drop", json=fields)) == (422, "invalid_field")


def test_viewers_replay_and_drop_nothing(world: Any) -> None:
    reader = world.client(world.registry.create_key("mine", scopes=["read"]).secret)

    for action in ("replay", "drop"):
        assert reader.post(f"/api/v1/dead-letters/{action}", json={}).status_code == 403


@pytest.mark.parametrize("action", ["replay", "drop"])
def test_bulk_actions_leave_the_letters_of_no_project(world: Any, admin: TestClient, action: str) -> None:
    project_id = f"own-{action}"
    world.registry.save_project(project_id)
    world.add_dead_letter(f"{project_id}-letter", project_id, b'{"input": "x"}')
    world.add_dead_letter(f"{project_id}-nobodys", "", b'{"input": "x", "project_id": "theirs"}')

    answer = admin.post(f"/api/v1/dead-letters/{action}", json={}, headers={"X-Phospho-Project": project_id})

    assert [answer.json()[name] for name in ("replayed", "dropped") if name in answer.json()] == [1]
    assert admin.get(f"/api/v1/dead-letters/{project_id}-nobodys").json()["dead_letter"]["status"] == "waiting"


def test_bulk_replay_reads_the_payloads_at_once(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world.registry.save_project("at-once")
    client = world.client(world.registry.create_key("at-once").secret)
    for number in range(5):
        world.add_dead_letter(f"at-once-{number}", "at-once", b'{"input": "x"}')
    reads = []
    with_payloads = DeadLetters.with_payloads

    def counting(letters: DeadLetters, projects: list[str], ids: Sequence[str]) -> list[dict[str, Any]]:
        reads.append(len(ids))
        return with_payloads(letters, projects, ids)

    monkeypatch.setattr(DeadLetters, "with_payloads", counting)

    assert client.post("/api/v1/dead-letters/replay", json={}).json()["replayed"] == 5
    assert reads == [5]
