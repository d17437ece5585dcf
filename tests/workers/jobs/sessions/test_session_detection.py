"""Detection in sessions and turns, without a store."""

from __future__ import annotations

from fixtures.matches import found_matches
from phospho_schemas.ids import event_id
from phospho_schemas.messages import ProjectSettings
from phospho_workers.detection.definitions import compile_definitions
from phospho_workers.detection.text.sides import MESSAGE_BREAK
from phospho_workers.jobs.sessions.session_detection import MAX_TRANSCRIPT_CHARACTERS, SessionDetection, transcript
from workers.detection.tasks import keywords, regex, task


def detection(*definitions: object) -> SessionDetection:
    return SessionDetection(compile_definitions(list(definitions)))  # type: ignore[arg-type]


TALK = [
    task("I want a refund", "Which order?", task_id="t1"),
    task("Number five", "It is on its way", task_id="t2"),
    task("thanks", "You are welcome", task_id="t3"),
]


def test_transcript_has_the_messages_and_no_role_labels() -> None:
    assert transcript(TALK[:2]) == MESSAGE_BREAK.join(
        ["I want a refund", "Which order?", "Number five", "It is on its way"]
    )
    assert len(transcript([task("x" * 999, task_id=str(n)) for n in range(1000)])) == MAX_TRANSCRIPT_CHARACTERS


def test_event_of_a_whole_session_keeps_its_id_at_a_later_last_task() -> None:
    found = detection(regex("ended", "thanks", scope="session"))
    [event] = found.detect_in_session(TALK)
    [later] = found.detect_in_session([*TALK, task("bye", task_id="t4")])
    assert (event["name"], event["scope"]) == ("ended", "session")
    assert event["id"] == later["id"]


def test_detect_in_session_reads_the_last_task_for_its_definitions() -> None:
    found = detection(keywords("thanks", "thanks", is_last_task=True), keywords("refund", "refund", is_last_task=True))
    [event] = found.detect_in_session(TALK)
    assert (event["name"], event["scope"], event["id"]) == ("thanks", "task", event_id("shop", "t3", "thanks"))


def test_detect_in_turn_reads_the_context_of_each_definition() -> None:
    found = detection(
        keywords("one", "refund", context_turns=1, scope="input"),
        keywords("two", "refund", context_turns=2, scope="input"),
        keywords("answer", "welcome", context_turns=2, scope="input"),
    )
    assert [event["name"] for event in found.detect_in_turn(TALK)] == ["two"]
    assert [event["name"] for event in found.detect_in_turn(TALK[:2])] == ["one", "two"]
    assert found.context_turns == 2


def test_session_detection_skips_definitions_of_single_tasks() -> None:
    compiled = compile_definitions([keywords("plain", "refund"), keywords("whole", "refund", scope="session")])
    assert [event["name"] for event in SessionDetection(compiled).detect_in_session(TALK)] == ["whole"]
    assert [hit.definition.name for hit in found_matches(compiled, ["a refund"], "input")[0]] == ["plain"]


def test_session_detection_is_empty_where_events_are_off() -> None:
    off = ProjectSettings(detect_events=False)
    compiled = compile_definitions([keywords("whole", "refund", scope="session")], settings=off)
    assert not SessionDetection(compiled).reads_session_ends
