"""Upstream's SDK 0.3.45, unmodified: what it logs is there once, and what it reads back is what it sent."""

from __future__ import annotations

from typing import Any

from fixtures.shapes import OneProcess

from .conftest import PROJECT_ID, OldSdk

CHUNK_TEXTS = ["Paris", ", ", "ribbit."]


def _sent_fields(sent: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: sent[name] for name in names}


def test_a_log_reads_back_as_it_was_sent(old_sdk: OldSdk, legacy: OneProcess) -> None:
    result = old_sdk("plain")
    sent, read = result["sent"], result["read"]

    assert _sent_fields(read, "id", "project_id", "session_id", "input", "output", "created_at") == {
        "id": sent["task_id"],
        "created_at": sent["client_created_at"],
        **_sent_fields(sent, "project_id", "session_id", "input", "output"),
    }
    extra = _sent_fields(sent, "user_id", "version_id", "log_anything_and_everything")
    assert read["metadata"] == sent["metadata"] | extra
    assert [event["event_name"] for event in read["events"]] == ["flight"]
    assert read["language"] == "en"
    assert result["silent"]["output"] is None
    assert legacy.number(f"SELECT count() FROM tasks WHERE task_id = '{sent['task_id']}'") == 1


def test_openai_objects_read_back_with_text_usage_and_the_objects(old_sdk: OldSdk, legacy: OneProcess) -> None:
    result = old_sdk("openai_objects")
    sent, read, strange = result["sent"], result["read"], result["strange"]

    assert (read["input"], read["output"]) == ("What is the capital of Fashion?", "Paris, ribbit.")
    assert (read["additional_input"], read["additional_output"]) == (sent["raw_input"], sent["raw_output"])
    assert read["metadata"] == {
        "prompt_tokens": 21,
        "completion_tokens": 5,
        "total_tokens": 26,
        "model": "gpt-4o-mini-2024-07-18",
        "system_prompt": "You are a helpful frog.",
        "version_id": "release-1",
    }
    assert (strange["input"], strange["output"]) == ("a complex object", "not a standard one")
    assert strange["additional_output"] == {"custom_output": "not a standard one"}
    columns = f"SELECT tokens_in * 100 + tokens_out FROM tasks WHERE task_id = '{sent['task_id']}'"
    assert legacy.number(columns) == 2105


def test_streams_arrive_as_one_task_when_they_end(old_sdk: OldSdk, legacy: OneProcess) -> None:
    result = old_sdk("streams")

    for heard, read in ((result["heard"], result["read"]), (result["heard_later"], result["read_later"])):
        assert heard == 4
        assert read["output"] == "Paris, ribbit."
        assert _texts(read) == CHUNK_TEXTS
        assert legacy.number(f"SELECT count() FROM tasks WHERE session_id = '{read['session_id']}'") == 1


def test_wrapped_functions_are_logged_whole_and_streamed(old_sdk: OldSdk, legacy: OneProcess) -> None:
    result = old_sdk("wraps")

    assert result["said"] == result["whole"]["output"] == result["piece"]["output"] == "Paris, ribbit."
    assert result["whole"]["metadata"]["more"] == "details"
    assert result["streamed"] == 4
    assert _texts(result["piece"]) == CHUNK_TEXTS
    for read in (result["whole"], result["piece"]):
        assert legacy.number(f"SELECT count() FROM tasks WHERE session_id = '{read['session_id']}'") == 1


def test_feedback_is_the_flag_of_the_task_from_then_on(old_sdk: OldSdk, legacy: OneProcess) -> None:
    result = old_sdk("feedback")
    before, after = result["before"], result["after"]

    assert (before["flag"], before["human_eval"]) == ("failure", None)
    assert (result["answer"]["flag"], result["answer"]["notes"]) == ("success", "It was good.")
    assert (after["flag"], after["human_eval"]["flag"], after["notes"]) == ("success", "success", "It was good.")
    assert after["last_eval"]["id"] == result["again"]["feedback_id"]
    assert legacy.number(f"SELECT count() FROM feedback WHERE task_id = '{after['id']}'") == 2


def test_a_session_has_its_tasks_in_order_within_one_second(old_sdk: OldSdk) -> None:
    result = old_sdk("sessions")
    got, tasks = result["got"], result["tasks"]

    assert [task["input"] for task in tasks] == ["Hello", "I want to book a flight", "Lisbon"]
    assert [(task["task_position"], task["is_last_task"]) for task in tasks] == [(1, False), (2, False), (3, True)]
    assert (got["session_length"], got["preview"]) == (3, "Hello -> Hi there")
    assert [event["event_name"] for event in got["events"]] == ["flight"]
    assert got["stats"]["most_common_language"] == "en"
    assert result["listed"] == result["made"] == got
    lines = result["transcript"]["transcript"].splitlines()
    assert lines == [
        "User: Hello",
        "Assistant: Hi there",
        "User: I want to book a flight",
        "Assistant: Where to?",
        "User: Lisbon",
    ]


def test_a_task_is_made_changed_and_found(old_sdk: OldSdk) -> None:
    result = old_sdk("tasks")
    first, changed = result["first"], result["changed"]

    assert (first["input"], first["output"]) == ("Made by hand", "And answered")
    assert (first["additional_input"], first["additional_output"]) == ({"temperature": 0.2}, {"finish_reason": "stop"})
    assert (first["data"], first["metadata"]["sender_id"]) == ({"ticket": 17}, "sender-1")
    assert changed["metadata"] == first["metadata"] | {"priority": "high"}
    assert (changed["flag"], changed["notes"], changed["last_eval"]["source"]) == ("failure", "Look again", "owner")
    assert changed["created_at"] == first["created_at"]
    # What the change answered is what is read afterwards, in a list and by itself.
    assert result["refreshed"] == changed
    assert result["found"] == [changed]
    assert result["nothing"] == []
    assert first["id"] in result["all"]


def test_the_project_shows_the_events_that_it_defines(old_sdk: OldSdk) -> None:
    project = old_sdk("tasks")["project"]

    events = project["settings"]["events"]
    assert project["id"] == PROJECT_ID
    assert {name: each["detection_engine"] for name, each in events.items()} == {
        "flight": "keyword_detection",
        "refund": "keyword_detection",
    }
    assert events["refund"]["keywords"] == "refund,money back"


def test_a_data_frame_is_read_evaluated_and_pushed(old_sdk: OldSdk) -> None:
    result = old_sdk("dataframe")

    assert sorted(row["task_id"] for row in result["evaluated"]) == sorted(result["sent"])
    assert {row["task_eval"] for row in result["evaluated"]} == {"success"}
    events = {row["task_input"]: row["event_name"] for row in result["evaluated"]}
    assert events == {"I want my money back, a refund": "refund", "Nothing at all": None, "A refund, please": "refund"}
    assert {row["session_length"] for row in result["evaluated"]} == {3}
    for place, (before, after) in enumerate(zip(result["evaluated"], result["pushed"], strict=True)):
        assert after == before | {"task_metadata": before["task_metadata"] | {"label": f"label-{place}"}}
    assert sorted(result["flat"]) == sorted(result["sent"])
    assert not [name for name in result["without"] if name.startswith(("event_", "session_"))]


def test_a_traced_call_stands_beside_the_log_that_was_made_of_it(old_sdk: OldSdk, legacy: OneProcess) -> None:
    result = old_sdk("tracer")
    sent = result["sent"]

    tasks = {task["id"]: task for task in result["tasks"]}
    logged = tasks.pop(sent["task_id"])
    (traced,) = tasks.values()
    assert (logged["output"], logged["metadata"]["plan"]) == ("Paris, ribbit.", "pro")
    assert (traced["output"], traced["metadata"]["plan"]) == ("Paris, ribbit.", "pro")
    assert traced["metadata"]["attributes"]["phospho.task_id"] == sent["task_id"]
    assert legacy.number("SELECT count() FROM tasks WHERE session_id = 'traced'") == 2


def _texts(read: dict[str, Any]) -> list[str]:
    """Return the texts of the chunks that were kept with a streamed task."""
    chunks = read["additional_output"]["raw_output"]
    texts = [chunk["choices"][0]["delta"]["content"] for chunk in chunks if chunk is not None]
    return [text for text in texts if text is not None]
