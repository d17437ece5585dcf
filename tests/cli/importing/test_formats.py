"""Exports of other systems become the tasks that they were, and what is no task is said to be none."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Run
from cli.fake_server import FakeServer
from phospho_store.log_files.formats import FORMATS, recognised

CHAT = {
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Where is my order?"},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "track", "arguments": "{}"}}]},
        {"role": "tool", "content": "on its way"},
        {"role": "assistant", "content": "On its way."},
        {"role": "user", "content": [{"type": "text", "text": "Thanks"}]},
    ],
    "timestamp": "2026-03-01T10:00:00Z",
    "model": "gpt-4o",
}
GENERATION = {
    "id": "obs-1",
    "traceId": "trace-1",
    "type": "GENERATION",
    "name": "answer",
    "startTime": "2026-03-01T10:00:00.000Z",
    "endTime": "2026-03-01T10:00:01.250Z",
    "model": "gpt-4o",
    "input": [{"role": "user", "content": "Where is my order?"}],
    "output": {"role": "assistant", "content": "On its way."},
    "metadata": {"tier": "gold"},
    "usage": {"input": 12, "output": 5, "total": 17},
    "version": "v2",
}
BULK_GENERATION = {
    "id": "obs-2",
    "trace_id": "trace-1",
    "type": "GENERATION",
    "start_time": "2026-03-01 10:00:02.000000",
    "end_time": "2026-03-01 10:00:02.500000",
    "provided_model_name": "gpt-4o",
    "input": "And my refund?",
    "output": "Tomorrow.",
    "usage_details": {"input": 7, "output": 3},
    "session_id": "chat-1",
    "user_id": "u-1",
}
SPAN = GENERATION | {"id": "obs-3", "type": "SPAN", "name": "retrieve"}
TRACE = {
    "id": "trace-9",
    "timestamp": "2026-03-01T10:00:00.000Z",
    "input": "hello",
    "output": "hi",
    "sessionId": "chat-9",
    "userId": "u-9",
    "tags": ["prod"],
    "latency": 1.5,
}
RUN = {
    "id": "run-1",
    "name": "agent",
    "run_type": "chain",
    "inputs": {"question": "What is new?"},
    "outputs": {"answer": "Nothing."},
    "start_time": "2026-03-01T10:00:00.000000",
    "end_time": "2026-03-01T10:00:02.000000",
    "parent_run_id": None,
    "trace_id": "run-1",
    "session_id": "the-id-of-a-project",
    "extra": {"metadata": {"thread_id": "thread-1", "ls_model_name": "gpt-4o", "user_id": "u-1"}},
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "error": None,
}
FLAT = {
    "task_id": "t-1",
    "task_input": "Book a table",
    "task_output": "For how many?",
    "task_eval": "failure",
    "task_created_at": 1767225600,
    "task_metadata": {"model": "gpt-4o"},
    "session_id": "s-1",
    "session_length": 2,
    "event_name": "booking",
    "language": "en",
}


def exported(path: Path, *records: Any) -> str:
    path.write_text(json.dumps(records, indent=1), "utf-8")
    return str(path)


def test_langfuse_generation_is_a_task(server: FakeServer, run: Run, tmp_path: Path) -> None:
    result = run("import", exported(tmp_path / "observations.json", GENERATION, SPAN, BULK_GENERATION))

    assert result.exit_code == 0, result.output
    assert "2 tasks logged, 0 lines rejected, 1 record skipped" in result.stdout
    assert server.tasks["obs-1"] == {
        "task_id": "obs-1",
        "session_id": "trace-1",
        "version_id": "v2",
        "client_created_at": 1772359200.0,
        "input": [{"role": "user", "content": "Where is my order?"}],
        "output": {"role": "assistant", "content": "On its way."},
        "metadata": {
            "tier": "gold",
            "model": "gpt-4o",
            "tokens_in": 12,
            "tokens_out": 5,
            "latency_ms": 1250.0,
            "name": "answer",
            "langfuse_trace_id": "trace-1",
        },
    }
    second = server.tasks["obs-2"]
    assert (second["session_id"], second["user_id"], second["client_created_at"]) == ("chat-1", "u-1", 1772359202.0)
    assert (second["metadata"]["model"], second["metadata"]["tokens_in"]) == ("gpt-4o", 7)


def test_langfuse_trace_is_a_task(server: FakeServer, run: Run, tmp_path: Path) -> None:
    run("import", exported(tmp_path / "traces.json", TRACE))

    task = server.tasks["trace-9"]
    assert (task["input"], task["output"], task["session_id"], task["user_id"]) == ("hello", "hi", "chat-9", "u-9")
    assert task["metadata"] == {"tags": ["prod"], "latency_ms": 1500.0}


def test_langfuse_csv_export_is_read_cell_by_cell(server: FakeServer, run: Run, tmp_path: Path) -> None:
    with (tmp_path / "export.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(GENERATION))
        writer.writeheader()
        writer.writerow({k: v if isinstance(v, str) else json.dumps(v) for k, v in GENERATION.items()})

    assert run("import", "export.csv").exit_code == 0
    assert server.tasks["obs-1"]["input"] == GENERATION["input"]
    assert server.tasks["obs-1"]["metadata"]["tokens_out"] == 5


def test_langsmith_root_run_is_a_task_and_its_children_are_none(server: FakeServer, run: Run, tmp_path: Path) -> None:
    child = RUN | {"id": "run-2", "parent_run_id": "run-1", "run_type": "llm"}
    path = tmp_path / "runs.jsonl"
    path.write_text(f"{json.dumps(RUN)}\n{json.dumps(child)}\n")

    run("import", str(path))

    assert list(server.tasks) == ["run-1"]
    task = server.tasks["run-1"]
    assert (task["input"], task["output"]) == ("What is new?", "Nothing.")
    assert (task["session_id"], task["user_id"], task["client_created_at"]) == ("thread-1", "u-1", 1772359200.0)
    assert task["metadata"]["latency_ms"] == 2000.0
    assert (task["metadata"]["model"], task["metadata"]["tokens_in"]) == ("gpt-4o", 9)


@pytest.mark.parametrize(
    ("inputs", "read"),
    [
        ({"messages": [{"role": "user", "content": "a"}]}, [{"role": "user", "content": "a"}]),
        ({"messages": [[{"type": "human", "data": {"content": "a"}}]]}, [{"role": "user", "content": "a"}]),
        (
            {"messages": [[{"lc": 1, "id": ["langchain", "AIMessage"], "kwargs": {"content": "a"}}]]},
            [{"role": "assistant", "content": "a"}],
        ),
    ],
)
def test_langchain_messages_keep_their_roles(inputs: Any, read: Any) -> None:
    [event] = FORMATS["langsmith"].events_of(RUN | {"inputs": inputs})
    assert event is not None
    assert event["input"] == {"messages": read}


def test_langchain_generation_is_its_text() -> None:
    message = {"id": ["langchain", "AIMessage"], "kwargs": {"content": "the answer"}}
    for generation in ({"text": "the answer"}, {"text": "", "message": message}):
        [event] = FORMATS["langsmith"].events_of(RUN | {"outputs": {"generations": [[generation]]}})
        assert event is not None
        assert event["output"] == "the answer"


def test_flattened_upstream_tasks_are_one_task_each(server: FakeServer, run: Run, tmp_path: Path) -> None:
    run("import", exported(tmp_path / "tasks.json", FLAT, FLAT | {"event_name": "other"}))

    assert list(server.tasks) == ["t-1"]
    assert server.tasks["t-1"] == {
        "task_id": "t-1",
        "session_id": "s-1",
        "client_created_at": 1767225600.0,
        "input": "Book a table",
        "output": "For how many?",
        "flag": "failure",
        "metadata": {"model": "gpt-4o", "language": "en"},
    }


def test_import_reads_an_array_item_by_item_also_from_gzip(server: FakeServer, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "logs.json.gz"
    path.write_bytes(gzip.compress(json.dumps([{"task_id": f"t{n}", "input": "hello"} for n in range(900)]).encode()))

    assert run("import", str(path)).exit_code == 0
    assert len(server.tasks) == 900


def test_import_logs_a_truncated_array_up_to_the_cut(server: FakeServer, run: Run, tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_text('[{"task_id": "t1", "input": "a"}, {"task_id": "t2", "inp')

    result = run("import", "cut.json")

    assert result.exit_code != 0
    assert "The JSON array is cut off or damaged" in result.stderr
    assert list(server.tasks) == ["t1"]


def test_import_rejects_only_the_record_of_another_format(server: FakeServer, run: Run, tmp_path: Path) -> None:
    result = run("import", exported(tmp_path / "mixed.json", GENERATION, {"hello": "world"}, 5))

    assert result.exit_code == 1
    assert "line 2: not a record of Langfuse" in result.stderr
    assert "line 3: not a JSON object" in result.stderr
    assert list(server.tasks) == ["obs-1"]


def test_import_format_option_sets_the_format(server: FakeServer, run: Run, tmp_path: Path) -> None:
    path = exported(tmp_path / "odd.json", {"task_id": "t", "task_input": "hello", "input": "own"})

    run("import", path, "--format", "phospho")

    assert server.tasks["t"]["input"] == "own"


@pytest.mark.parametrize("is_document", [True, False])
def test_chat_is_a_session_of_its_questions(server: FakeServer, run: Run, tmp_path: Path, *, is_document: bool) -> None:
    """One object with messages, and lines of such objects; two equal chats are two sessions."""
    path = tmp_path / "chats.json"
    path.write_text(json.dumps(CHAT, indent=2) if is_document else f"{json.dumps(CHAT)}\n" * 2, "utf-8")

    result = run("import", str(path))

    assert result.exit_code == 0, result.output
    tasks = sorted(server.tasks.values(), key=lambda task: task["client_created_at"])
    assert len(tasks) == (2 if is_document else 4)
    assert len({task["session_id"] for task in tasks}) == len(tasks) / 2
    first, last = tasks[0], tasks[-1]
    assert (first["input"], first["system_prompt"], first["metadata"]) == (
        "Where is my order?",
        "Be kind.",
        {"model": "gpt-4o"},
    )
    assert first["output"].endswith("On its way.")
    assert (last["input"], "output" in last) == ("Thanks", False)
    assert (first["client_created_at"], last["client_created_at"]) == (1772359200.0, 1772359200.001)
    first_ids = set(server.tasks)
    run("import", str(path))
    assert set(server.tasks) == first_ids


def test_own_logs_are_of_no_other_format() -> None:
    assert recognised({"task_id": "t", "session_id": "s", "input": "a", "output": "b", "metadata": {}}) is None


def test_import_dry_run_shows_the_tasks_and_sends_nothing(server: FakeServer, run: Run, tmp_path: Path) -> None:
    result = run("import", exported(tmp_path / "export.json", GENERATION, SPAN, BULK_GENERATION), "--dry-run")

    assert not server.of("/api/v1/events/batch")
    assert "Format: Langfuse" in result.stdout
    assert "2 tasks, 2 sessions, 1 user" in result.stdout
    assert "Time range: 2026-03-01 10:00 to 2026-03-01 10:00 UTC" in result.stdout
    assert "Skipped: 1 record of no task" in result.stdout
    assert "And my refund?" in result.stdout
    assert "2 tasks would be logged" in result.stdout


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("odd", [None, 5, "", [], {}, "{", "[" * 300, float("inf"), {"a": {"b": [None]}}])
def test_formats_raise_nothing_for_odd_values(name: str, odd: Any) -> None:
    record = {"langfuse": GENERATION, "langsmith": RUN, "flattened": FLAT, "chats": CHAT}[name]
    for key in record:
        changed = record | {key: odd}
        if FORMATS[name].recognises(changed):
            FORMATS[name].events_of(changed)


@pytest.mark.parametrize(
    "odd",
    [
        {"extra": {"invocation_params": "gpt"}},
        {"outputs": {"generations": [[{"text": "", "message": {"kwargs": "x"}}]]}},
        {"inputs": {"messages": [[{"kwargs": ["x"]}]]}},
    ],
)
def test_langsmith_run_of_an_odd_shape_harms_only_itself(
    server: FakeServer, run: Run, tmp_path: Path, odd: dict[str, Any]
) -> None:
    run("import", exported(tmp_path / "runs.json", RUN | odd | {"id": "odd"}, RUN))

    assert "run-1" in server.tasks
