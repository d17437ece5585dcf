"""`phospho import`: every line of a file logged once, whatever happens on the way."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import openpyxl
import pyarrow
import pytest
from pyarrow import parquet

from cli.conftest import Run
from cli.fake_server import FakeServer
from phospho_cli.client.address import Address
from phospho_cli.client.failures import Unreachable
from phospho_cli.client.http import Client, RetryPolicy
from phospho_cli.importing.upload import Upload
from phospho_store.log_files.counts import LineCounts
from phospho_store.log_files.log_file import LogLine

BATCH = "/api/v1/events/batch"


def written(path: Path, *events: Any) -> str:
    path.write_text("".join(f"{event if isinstance(event, str) else json.dumps(event)}\n" for event in events), "utf-8")
    return str(path)


def log(number: int, **more: Any) -> dict[str, Any]:
    return {"task_id": f"t{number}", "session_id": "s", "input": f"hello {number}", "client_created_at": 1e9} | more


def test_import_logs_every_line_as_it_is(server: FakeServer, run: Run, tmp_path: Path) -> None:
    events = [log(number, flag="success", metadata={"model": "m"}, anything="else") for number in range(1203)]

    result = run("import", written(tmp_path / "logs.jsonl", *events))

    assert result.exit_code == 0, result.output
    assert server.tasks == {event["task_id"]: event for event in events}
    assert "1,203 tasks logged, 0 lines rejected" in result.stdout


def test_import_reads_gzip_under_any_name(server: FakeServer, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "logs"
    path.write_bytes(gzip.compress(json.dumps(log(1)).encode()))

    assert run("import", str(path)).exit_code == 0
    assert list(server.tasks) == ["t1"]


def test_import_logs_the_same_tasks_the_second_time(server: FakeServer, run: Run, tmp_path: Path) -> None:
    """Lines without an id or a time, equal ones among them, get the same ones again."""
    same = {"input": "hello"}
    path = written(tmp_path / "logs.jsonl", same, same, {"session_id": "s", "input": "hello"}, same)

    run("import", path)
    first = dict(server.tasks)
    run("import", path, "--concurrency", "1", "--batch-size", "1")

    assert len(first) == 4
    assert server.tasks == first


def test_import_keeps_a_lines_id_when_the_file_grows_or_moves(server: FakeServer, run: Run, tmp_path: Path) -> None:
    run("import", written(tmp_path / "a.jsonl", {"input": "one"}, {"input": "two"}))
    first = set(server.tasks)
    run("import", written(tmp_path / "b.jsonl", {"input": "one"}, {"input": "two"}, {"input": "three"}))

    assert first < set(server.tasks)
    assert len(server.tasks) == 3


def test_import_gives_the_files_time_to_a_task_without_one(server: FakeServer, run: Run, tmp_path: Path) -> None:
    path = written(tmp_path / "logs.jsonl", {"input": "one"})
    os.utime(path, (1e9, 1e9))

    run("import", path)

    assert [task["client_created_at"] for task in server.tasks.values()] == [1e9]


def test_import_writes_the_later_line_of_a_task_later(server: FakeServer, run: Run, tmp_path: Path) -> None:
    lines = [log(number % 7, output=str(number)) for number in range(700)]

    run("import", written(tmp_path / "logs.jsonl", *lines), "--batch-size", "10", "--concurrency", "8")

    assert {task["output"] for task in server.tasks.values()} == {str(number) for number in range(693, 700)}


def test_import_reports_bad_lines_and_logs_the_others(server: FakeServer, run: Run, tmp_path: Path) -> None:
    path = written(tmp_path / "logs.jsonl", log(1), "{broken", "[1]", log(2), {"output": "x"}, "", log(3, flag="maybe"))

    result = run("import", path)

    assert result.exit_code == 1
    assert set(server.tasks) == {"t1", "t2"}
    assert "line 2: not JSON" in result.stderr
    assert "line 3: not a JSON object" in result.stderr
    assert "line 5: no input" in result.stderr
    assert "line 7: The flag is unknown. Use success or failure." in result.stderr
    assert "2 tasks logged, 4 lines rejected" in result.stdout


def test_import_prints_a_reason_once_and_only_the_first_ten(run: Run, tmp_path: Path) -> None:
    result = run("import", written(tmp_path / "logs.jsonl", *["no"] * 25, *(f"{'1' * n} x" for n in range(1, 16))))

    assert "line 1 and 24 more: not JSON" in result.stderr
    assert result.stderr.count("not JSON") == 10
    assert "and 6 more rejected lines" in result.stderr


def test_import_stops_after_too_many_bad_lines(server: FakeServer, run: Run, tmp_path: Path) -> None:
    result = run("import", written(tmp_path / "logs.jsonl", *["no"] * 5, log(1)), "--max-errors", "5")

    assert result.exit_code == 1
    assert "5 lines were rejected; the import stopped there" in result.stderr
    assert server.tasks == {}


def test_import_rejects_only_the_huge_line(server: FakeServer, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "logs.jsonl.gz"
    lines = (json.dumps(log(1)), json.dumps(log(2, output="x" * 10_000_000)), json.dumps(log(3)))
    path.write_bytes(gzip.compress("\n".join(lines).encode(), 1))

    result = run("import", str(path))

    assert result.exit_code == 1
    assert set(server.tasks) == {"t1", "t3"}
    assert "line 2: the line is longer than 9,900,000 bytes" in result.stderr


def test_import_limits_the_bytes_of_a_request(server: FakeServer, run: Run, tmp_path: Path) -> None:
    events = [log(number, output="x" * 1_500_000) for number in range(4)]

    run("import", written(tmp_path / "logs.jsonl", *events), "--concurrency", "1")

    assert len(server.tasks) == 4
    assert max(len(request.body) for request in server.of(BATCH)) < 4_100_000


def test_import_logs_a_broken_gzip_file_up_to_the_break(server: FakeServer, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "logs.jsonl.gz"
    whole = gzip.compress("".join(json.dumps(log(n, output=os.urandom(40).hex())) + "\n" for n in range(3000)).encode())
    path.write_bytes(whole[: len(whole) // 2])

    result = run("import", str(path))

    assert result.exit_code == 1
    assert "cut off or damaged" in result.stderr
    assert 500 < len(server.tasks) < 3000
    assert run("import", str(path), "--dry-run").exit_code == 1


def test_import_skips_a_byte_order_mark(server: FakeServer, run: Run, tmp_path: Path) -> None:
    (tmp_path / "logs.jsonl").write_bytes(b"\xef\xbb\xbf" + json.dumps(log(1)).encode() + b"\r\n")

    assert run("import", "logs.jsonl").exit_code == 0
    assert set(server.tasks) == {"t1"}


def test_import_mapping_takes_the_files_own_names(server: FakeServer, run: Run, tmp_path: Path) -> None:
    path = written(tmp_path / "logs.jsonl", {"id": "t1", "question": "Why?", "answer": "So.", "input": "a form"})

    run("import", path, "-m", "input=question", "-m", "output=answer", "-m", "task_id=id")

    task = server.tasks["t1"]
    assert (task["input"], task["output"]) == ("Why?", "So.")
    assert not {"question", "answer", "id"} & set(task)


def test_import_refuses_a_malformed_mapping(run: Run, tmp_path: Path) -> None:
    result = run("import", written(tmp_path / "logs.jsonl", log(1)), "-m", "input")

    assert result.exit_code == 2
    assert "is not of the form input=question" in result.stderr


def test_import_refuses_a_mistyped_field_of_a_mapping(run: Run, tmp_path: Path) -> None:
    result = run("import", written(tmp_path / "logs.jsonl", log(1)), "-m", "topic=answer", "-m", "outptu=answer")

    assert result.exit_code == 2
    assert "There is no field 'outptu'. Did you mean 'output'?" in result.stderr


def test_import_asks_for_the_input_where_no_key_is_like_it(run: Run, tmp_path: Path) -> None:
    result = run("import", written(tmp_path / "logs.jsonl", {"a": 1, "b": 2}))

    assert "no input. Keys: a, b. Name the key: --mapping input=KEY" in result.stderr


def test_import_reads_csv_by_its_header(server: FakeServer, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "logs.csv"
    path.write_text(
        "task_id,input,output,client_created_at,flag,model,tokens_in,metadata\n"
        't1,"two\nlines, and a ""quote""",yes,1767226784.5,success,m,12,"{""team"": ""a""}"\n'
        "t2,hello,,2026-01-01T00:19:44+00:00,,,,\n",
        "utf-8",
    )

    assert run("import", str(path)).exit_code == 0
    assert server.tasks["t1"] == {
        "task_id": "t1",
        "input": 'two\nlines, and a "quote"',
        "output": "yes",
        "client_created_at": 1767226784.5,
        "flag": "success",
        "metadata": {"team": "a", "model": "m", "tokens_in": 12},
    }
    assert server.tasks["t2"] == {"task_id": "t2", "input": "hello", "client_created_at": 1767226784.0}


def test_import_rejects_csv_lines_one_by_one(server: FakeServer, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "logs.csv.gz"
    text = b"task_id,input,client_created_at\nt1,ok,1e9\nt2,too,2,many\nt3,\xff,3\nt4,ok,yesterday\nt5,ok,1e9\n"
    path.write_bytes(gzip.compress(text))

    result = run("import", str(path))

    assert result.exit_code == 1
    assert set(server.tasks) == {"t1", "t5"}
    assert "line 3: 4 columns, but the header has 3" in result.stderr
    assert "line 4: not UTF-8" in result.stderr
    assert "line 5: client_created_at 'yesterday' is neither" in result.stderr


@pytest.mark.parametrize("time", ["2031-01-01T00:00:00Z", "1969-05-05T00:00:00Z", "45000", "-5"])
def test_import_refuses_an_implausible_time(server: FakeServer, run: Run, tmp_path: Path, time: str) -> None:
    """The server would store the moment of the import instead."""
    (tmp_path / "logs.csv").write_text(f"input,created_at\nhello,{time}\n", "utf-8")
    value = time if "T" in time else int(time)
    written(tmp_path / "logs.jsonl", {"input": "hello", "created_at": value})

    for name in ("logs.csv", "logs.jsonl"):
        for options in ([], ["--dry-run"]):
            result = run("import", name, *options)

            assert result.exit_code == 1
            reason = f"created_at '{time}' is before the year 2000 or in the future; give ISO 8601"
            assert reason in result.stderr
    assert not server.tasks


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'"a"b,c\n1,2\n', "The header of the file is not CSV"),
        (b'{"input":"a","output":"b"}\n', "The header of the file is not CSV"),
        ("Frage,Größe\na,b\n".encode("latin-1"), "Save the file as CSV in UTF-8"),
        ("input,output\na,b\n".encode("utf-16"), "Save the file as CSV in UTF-8"),
    ],
)
def test_import_says_that_a_header_is_unreadable(run: Run, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "logs.csv").write_bytes(content)

    result = run("import", "logs.csv")

    assert result.exit_code == 1
    assert message in result.stderr


def test_import_strips_the_blanks_of_a_header(server: FakeServer, run: Run, tmp_path: Path) -> None:
    (tmp_path / "logs.csv").write_text("task_id, input \nt1,hello\n", "utf-8")

    assert run("import", "logs.csv").exit_code == 0
    assert server.tasks["t1"]["input"] == "hello"


def test_import_logs_the_same_csv_tasks_the_second_time(server: FakeServer, run: Run, tmp_path: Path) -> None:
    (tmp_path / "logs.csv").write_text("question,answer\nWhy?,So.\nWhy?,So.\n", "utf-8")

    for _ in range(2):
        run("import", "logs.csv", "-m", "input=question", "-m", "output=answer")

    assert len(server.tasks) == 2


@pytest.mark.parametrize(
    "line",
    [
        '{"input": "a", "task_id": "", "event_id": ""}',
        '{"input": "a", "metadata": {"big": 123456789012345678901234567890}}',
    ],
)
def test_import_leaves_odd_values_to_the_server(server: FakeServer, run: Run, tmp_path: Path, line: str) -> None:
    assert run("import", written(tmp_path / "logs.jsonl", line)).exit_code == 0
    assert len(server.tasks) == 1


@pytest.mark.parametrize("value", ["1e400", "[" * 300 + "]" * 300])
def test_import_rejects_values_that_json_lacks(server: FakeServer, run: Run, tmp_path: Path, value: str) -> None:
    result = run("import", written(tmp_path / "logs.jsonl", f'{{"input": {value}}}', log(1)))

    assert "1 task logged, 1 line rejected" in result.stdout, result.output


@pytest.mark.parametrize("cell", ["nan", "inf", "1e300", "-1e300"])
def test_import_keeps_cells_that_are_no_plain_numbers(server: FakeServer, run: Run, tmp_path: Path, cell: str) -> None:
    (tmp_path / "logs.csv").write_text(f"task_id,input,tokens_in\nt1,hello,{cell}\n", "utf-8")

    assert run("import", "logs.csv").exit_code == 0
    assert str(server.tasks["t1"]["metadata"]["tokens_in"]).replace("+", "") == cell


def test_import_dry_run_sends_nothing(server: FakeServer, run: Run, tmp_path: Path) -> None:
    result = run("import", written(tmp_path / "logs.jsonl", log(1), "no"), "--dry-run")

    assert result.exit_code == 1
    assert not server.of(BATCH)
    assert "1 task would be logged, 1 line rejected" in result.stdout
    assert "phospho_import" not in result.stdout


# What the gateway makes of each line is its own test; here a dry run has to say the same.
LINES: dict[str, tuple[dict[str, Any], str]] = {
    "good": ({}, ""),
    "flag": ({"flag": "good"}, "flag is neither success nor failure"),
    "time": ({"created_at": "yesterday"}, "created_at is not a time"),
    "long id": ({"session_id": "s" * 600}, "session_id has 600 characters"),
    "NUL": ({"task_id": "x\0y"}, "task_id holds a NUL character"),
    "metadata": ({"metadata": [1]}, "metadata is a list"),
    "another project": ({"project_id": "theirs"}, "this API key belongs to another project"),
    "its own project": ({"project_id": "mine"}, ""),
    "milliseconds": ({"client_created_at": 1_700_000_000_000}, ""),
    "text": ({"client_created_at": "2023-11-14T22:13:20Z"}, ""),
    "expired": (
        {"created_at": "2019-11-14T22:13:20Z"},
        "the task is older than the 2000 days that the project mine keeps",
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_import_dry_run_checks_as_the_gateway(server: FakeServer, run: Run, tmp_path: Path, name: str) -> None:
    fields, reason = LINES[name]
    server.projects = {"mine": {"project_id": "mine", "retention_days": 2000}}

    result = run("import", written(tmp_path / "logs.jsonl", {"input": "a"} | fields), "--dry-run")

    assert result.exit_code == bool(reason), result.output
    assert (f"line 1: {reason}" in result.stderr) if reason else "1 task would be logged" in result.stdout
    assert not server.of(BATCH)


@pytest.mark.parametrize("time", [{"client_created_at": 1_700_000_000_000}, {"created_at": 1_700_000_000_000}])
def test_import_reads_times_in_milliseconds(server: FakeServer, run: Run, tmp_path: Path, time: Any) -> None:
    run("import", written(tmp_path / "logs.jsonl", {"task_id": "t1", "input": "a"} | time))

    assert [server.tasks["t1"].get(name) for name in time] == [1_700_000_000]


@pytest.mark.parametrize(
    ("time", "reason"),
    [
        (
            "03/11/2025",
            "may be day or month first; give --date-format '%d/%m/%Y' (day first) or --date-format '%m/%d/%Y'",
        ),
        ("25.12.2025 14:30", "is not ISO 8601; give --date-format '%d.%m.%Y %H:%M' (day first)"),
    ],
)
def test_import_asks_for_the_date_format(server: FakeServer, run: Run, tmp_path: Path, time: str, reason: str) -> None:
    (tmp_path / "logs.csv").write_text(f"input,created_at\nhello,{time}\n", "utf-8")
    written(tmp_path / "logs.jsonl", {"input": "hello", "created_at": time})

    for name in ("logs.csv", "logs.jsonl"):
        assert f"created_at '{time}' {reason}" in run("import", name).stderr
    assert not server.tasks


def test_import_reads_times_by_the_date_format(server: FakeServer, run: Run, tmp_path: Path) -> None:
    (tmp_path / "logs.csv").write_text("input,created_at\nhello,03/11/2025 12:00\nodd,soon\n", "utf-8")
    written(tmp_path / "logs.jsonl", {"input": "hi", "created_at": "03/11/2025 12:00"})

    result = run("import", "logs.csv", "--date-format", "%d/%m/%Y %H:%M")
    run("import", "logs.jsonl", "--date-format", "%d/%m/%Y %H:%M")

    assert {task["created_at"] for task in server.tasks.values()} == {1762171200.0}
    assert "line 3: created_at 'soon' is not of the form '%d/%m/%Y %H:%M'" in result.stderr


def test_import_prints_the_time_and_a_link_to_its_tasks(server: FakeServer, run: Run, tmp_path: Path) -> None:
    lines = [log(1, client_created_at=1_700_000_000), log(2, client_created_at=1_700_086_400.5)]

    result = run("import", written(tmp_path / "logs.jsonl", *lines))

    assert "Time range: 2023-11-14 22:13 to 2023-11-15 22:13 UTC" in result.stdout
    [mark] = server.imports
    assert re.fullmatch(r"[0-9a-f]{12}/logs\.jsonl", mark)
    where = quote_plus(f"metadata.phospho_import={mark}")
    assert f"Tasks of this import: {server.base_url}/tasks?period=all&where={where}" in result.stdout


def test_import_marks_its_tasks_without_changing_their_ids(server: FakeServer, run: Run, tmp_path: Path) -> None:
    lines = [{"input": "a", "client_created_at": 1e9}, log(2, metadata={"plan": "pro"})]
    run("import", written(tmp_path / "old.jsonl", *lines))
    before = dict(server.tasks)

    run("import", written(tmp_path / "a; b|c.jsonl", *lines))

    assert len(before) == 2
    assert server.tasks == before
    assert {mark.partition("/")[2] for mark in server.imports} == {"old.jsonl", "a_ b_c.jsonl"}


def test_import_replaces_the_mark_of_an_earlier_import(server: FakeServer, run: Run, tmp_path: Path) -> None:
    metadata = {"phospho_import": "0/other.csv", "plan": "pro"}
    run("import", written(tmp_path / "export.jsonl", log(1, metadata=metadata)))
    assert server.tasks["t1"]["metadata"] == {"plan": "pro"}
    assert {mark.partition("/")[2] for mark in server.imports} == {"export.jsonl"}


def test_import_of_the_same_file_sends_the_same_events(server: FakeServer, run: Run, tmp_path: Path) -> None:
    file = written(tmp_path / "logs.jsonl", log(1), log(2))
    run("import", file)
    before = dict(server.tasks)
    run("import", file)
    assert server.tasks == before
    assert len(server.imports) == 1


def test_import_suggests_the_mapping(run: Run, tmp_path: Path) -> None:
    line = {"Question": "Why?", "answer": "So.", "thread-id": "s", "my key": 1}

    result = run("import", written(tmp_path / "logs.jsonl", line))

    assert "line 1: no input. Keys: Question, answer, thread-id, my key." in result.stderr
    assert "Try --mapping input=Question --mapping output=answer --mapping session_id=thread-id" in result.stderr


def test_import_suggests_a_conversation_for_the_input(run: Run, tmp_path: Path) -> None:
    for key in ("conversation", "conversations", "Dialogue"):
        result = run("import", written(tmp_path / "logs.jsonl", {key: "Human: hi"}))

        assert f"Try --mapping input={key}" in result.stderr


CONVERSATIONS: dict[str, Any] = {
    "roles": {"conversation": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]},
    "ShareGPT": {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "ho"}]},
    "JSON in a text": {"dialog": '[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]'},
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_import_reads_chats_under_other_keys(server: FakeServer, run: Run, tmp_path: Path, name: str) -> None:
    result = run("import", written(tmp_path / "logs.jsonl", CONVERSATIONS[name] | {"topic": "x"}))

    (task,) = server.tasks.values()
    assert result.exit_code == 0, result.output
    assert (task["input"], task["output"], task["metadata"]) == ("hi", "ho", {"topic": "x"})


NESTED = {
    "array": "[" * 100_000,
    "objects over lines": '{"a": {\n' + '"a": {\n' * 100_000,
    "record of an array": '[{"input": "hi"}, ' + '{"a": [' * 50_000,
    "brackets of a text": '[{"input": "' + '\\"[{' * 2000 + '"}, ' + "[" * 100_000,
}


@pytest.mark.parametrize("name", NESTED)
def test_import_ends_where_deep_json_is_cut_off(run: Run, tmp_path: Path, name: str) -> None:
    """The time of the parser grows with the square of the depth."""
    result = run("import", written(tmp_path / "logs.json", NESTED[name]))

    assert result.exit_code == 1
    assert "The JSON array is cut off or damaged" in result.stderr


@pytest.mark.parametrize("depth", [300, 1_000, 1_001, 200_000])
@pytest.mark.parametrize("document", ["[%s]", '{"data": [\n%s]}'])
def test_import_rejects_only_the_record_that_is_deep(
    server: FakeServer, run: Run, tmp_path: Path, depth: int, document: str
) -> None:
    good = [json.dumps({"input": f'{number} \\" [{{'}) for number in range(600)]
    deep = [
        '{"input": "deep", "a": ' + '{"]\\"": [1, ' * (depth // 2) + '{"b": [[], "}"]}' + "]}" * (depth // 2) + "}",
        '{"input": "deep", "a": ' + "[" * depth + "]" * depth + ', "b": [1]}',
    ]
    records = [*good[:300], deep[0], *good[300:500], deep[1], *good[500:]]

    result = run("import", written(tmp_path / "logs.json", document % ", ".join(records)))

    assert sorted(task["input"] for task in server.tasks.values()) == sorted(json.loads(line)["input"] for line in good)
    assert "line 301 and 1 more: it can't be sent as JSON" in result.stderr


def test_import_reads_texts_of_brackets_over_chunks(server: FakeServer, run: Run, tmp_path: Path) -> None:
    """A quote, a bracket and an escape lie on every border of the parser's chunks."""
    texts = [("x" * offset) + '"[\\{' * 20_000 for offset in range(4)]

    result = run("import", written(tmp_path / "logs.json", json.dumps([{"input": text} for text in texts])))

    assert result.exit_code == 0, result.output
    assert sorted(task["input"] for task in server.tasks.values()) == sorted(texts)


def test_import_rejects_metadata_of_a_cell_that_is_too_deep(run: Run, tmp_path: Path) -> None:
    (tmp_path / "logs.csv").write_text("input,metadata\nhi," + "[" * 100_000 + "\n")

    result = run("import", "logs.csv")

    assert "line 2: the column metadata is not a JSON object" in result.stderr


def test_import_refuses_two_columns_of_one_field(server: FakeServer, run: Run, tmp_path: Path) -> None:
    rows = (["input", "plan ", "plan", "plan"], ["hi", "pro", "free", ""])
    book = openpyxl.Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    book.save(tmp_path / "logs.xlsx")
    (tmp_path / "logs.csv").write_text("\n".join(map(",".join, rows)) + "\n")
    (tmp_path / "twice.csv").write_text("input, input\nhi,ho\n")
    for name in ("logs.csv", "logs.xlsx"):
        result = run("import", name, "-m", "user_id=plan")

        assert result.exit_code == 1
        assert "Error: The columns 2, 3 and 4 are all named 'plan'.\n  Give each its own name" in result.stderr
    assert "The columns 1 and 2 are both named 'input'." in run("import", "twice.csv").stderr
    assert not server.tasks


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (",input,,", ["column_1", "column_3", "column_4"]),
        (",input,column_1,", ["column_1_2", "column_1", "column_4"]),
        ("notes,input,notes,notes", ["notes", "notes_2", "notes_3"]),
        ("notes,input,notes,notes_2", ["notes", "notes_3", "notes_2"]),
    ],
)
def test_import_gives_each_column_its_own_name(
    server: FakeServer, run: Run, tmp_path: Path, header: str, names: list[str]
) -> None:
    (tmp_path / "logs.csv").write_text(f"{header}\n0,hi,2,3\n")

    assert run("import", "logs.csv").exit_code == 0
    [task] = server.tasks.values()
    assert task["metadata"] == dict(zip(names, "023", strict=True))


@pytest.mark.usefixtures("own_engine")
def test_import_reads_bytes_of_parquet(server: FakeServer, run: Run, tmp_path: Path) -> None:
    """Bytes are base64 by the type of their column, but text in our own fields, whose mark some writers leave out."""
    rows = {"input": [b"Gep\xc3\xa4ck", b"Gep\xe4ck"], "hash": [b"\xff\x00", b"\x01"], "list": [[b"\xfe"], [b"a"]]}
    parquet.write_table(pyarrow.table(rows), tmp_path / "logs.parquet")

    result = run("import", "logs.parquet")

    (task,) = server.tasks.values()
    assert task["input"] == "Gepäck"
    assert (task["hash"], task["list"]) == ("/wA=", ["/g=="])
    assert "line 2: 'input' holds bytes that are no UTF-8 text" in result.stderr


@pytest.mark.usefixtures("own_engine")
def test_import_tells_bytes_of_parquet_by_type(server: FakeServer, run: Run, tmp_path: Path) -> None:
    inner = pyarrow.struct([("b", pyarrow.binary()), ("s", pyarrow.string())])
    columns = {
        "input": pyarrow.array(["a", "b"]),
        "blob": pyarrow.array([b"abcd", b"\xff\xfe"], pyarrow.binary()),
        "fixed": pyarrow.array([b"ab", b"cd"], pyarrow.binary(2)),
        "both": pyarrow.array([{"b": b"abcd", "s": "abcd"}, None], inner),
        "rows": pyarrow.array([[{"b": b"abcd", "s": "abcd"}], []], pyarrow.list_(inner)),
        "named": pyarrow.array([[("k", b"abcd")], []], pyarrow.map_(pyarrow.string(), pyarrow.binary())),
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "logs.parquet")

    assert run("import", "logs.parquet").exit_code == 0

    first, second = sorted(server.tasks.values(), key=lambda task: task["input"])
    assert (first["blob"], second["blob"]) == ("YWJjZA==", "//4=")
    assert (first["fixed"], second["fixed"]) == ("YWI=", "Y2Q=")
    assert first["both"] == {"b": "YWJjZA==", "s": "abcd"}
    assert first["rows"] == [first["both"]]
    assert first["named"] == {"k": "YWJjZA=="}


@pytest.mark.usefixtures("own_engine")
def test_import_reads_long_numbers_beside_bytes(server: FakeServer, run: Run, tmp_path: Path) -> None:
    """A number of more than 64 bits in a row with bytes ended the whole import."""
    prices = [Decimal(10**30), Decimal(2**64 - 1), Decimal(5)]
    columns = {
        "input": ["a", "b", "c"],
        "blob": [b"\xff\xfe", b"\xff", None],
        "price": pyarrow.array(prices, pyarrow.decimal128(38, 0)),
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "logs.parquet")

    assert run("import", "logs.parquet").exit_code == 0
    assert {task["input"]: task["price"] for task in server.tasks.values()} == {"a": 1e30, "b": 2**64 - 1, "c": 5}


def test_import_counts_undated_tasks_only_where_logged(server: FakeServer, run: Run, tmp_path: Path) -> None:
    lines = [{"input": "hi"}, {"input": "ho", "flag": "good"}, log(1)]
    for arguments in ([], ["--dry-run"]):
        result = run("import", written(tmp_path / "logs.jsonl", *lines), *arguments)

        assert "Records without created_at: 1." in result.stderr


def test_import_dry_run_counts_the_keys_of_the_file(run: Run, tmp_path: Path) -> None:
    lines = [{"input": "hi"}, log(1)]

    result = run("import", written(tmp_path / "logs.jsonl", *lines), "--dry-run")

    assert "Keys: input (2), task_id (1), session_id (1), client_created_at (1)\n" in result.stdout


def test_import_names_the_nearest_key_to_a_wrong_mapping(run: Run, tmp_path: Path) -> None:
    result = run("import", written(tmp_path / "logs.jsonl", {"question": "Why?"}), "-m", "input=qestion")

    assert "no 'qestion'" in result.stderr
    assert "Did you mean 'question'?" in result.stderr


def test_import_fails_for_a_file_without_records(run: Run, tmp_path: Path) -> None:
    for dry_run in ([], ["--dry-run"]):
        result = run("import", written(tmp_path / "logs.jsonl"), *dry_run)

        assert result.exit_code == 1
        assert "holds no records" in result.stderr


ROWS = [
    {"question": "Why?", "answer": "So.", "at": "2024-01-01T10:00:00", "tokens_in": 3},
    {"question": "Who?", "answer": None, "at": "2024-01-02T10:00:00", "tokens_in": None},
]


def write_parquet(path: Path) -> None:
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)


def write_excel(path: Path) -> None:
    book = openpyxl.Workbook()
    book.worksheets[0].append(list(ROWS[0]))
    for row in ROWS:
        book.worksheets[0].append([*list(row.values())[:2], datetime.fromisoformat(str(row["at"])), row["tokens_in"]])
    book.save(path)


FILES: dict[str, Callable[[Path], object]] = {
    "logs.parquet": write_parquet,
    "logs.xlsx": write_excel,
    "pretty.json": lambda path: path.write_text("\n".join(json.dumps(row, indent=2) for row in ROWS)),
    "wrapped.json": lambda path: path.write_text(json.dumps({"total": 2, "data": ROWS})),
    "wrapped-pretty.json": lambda path: path.write_text(json.dumps({"data": ROWS}, indent=2)),
    "semicolons.csv": lambda path: path.write_text(
        "question;answer;at;tokens_in\nWhy?;So.;2024-01-01T10:00:00;3\nWho?;;2024-01-02 10:00:00;\n"
    ),
}


@pytest.mark.usefixtures("own_engine")
@pytest.mark.parametrize("name", FILES)
def test_import_reads_the_same_tasks_from_every_format(server: FakeServer, run: Run, tmp_path: Path, name: str) -> None:
    FILES[name](tmp_path / name)

    result = run("import", name, "-m", "input=question", "-m", "output=answer", "-m", "created_at=at")

    assert result.exit_code == 0, result.output
    tasks = sorted(server.tasks.values(), key=lambda task: str(task["input"]))
    assert [(task["input"], task.get("output")) for task in tasks] == [("Who?", None), ("Why?", "So.")]
    assert "Time range: 2024-01-01 10:00 to 2024-01-02 10:00 UTC" in result.stdout
    assert [task.get("metadata", task).get("tokens_in") for task in tasks] == [None, 3]


@pytest.mark.usefixtures("own_engine")
@pytest.mark.parametrize(
    ("name", "head"),
    [("a.parquet", b"PAR1 and no more"), ("a.xlsx", b"PK\x03\x04 and no more"), ("a.xls", b"\xd0\xcf\x11\xe0")],
)
def test_import_says_that_a_table_is_damaged(run: Run, tmp_path: Path, name: str, head: bytes) -> None:
    (tmp_path / name).write_bytes(head)

    result = run("import", name)

    assert result.exit_code == 1
    assert "file can't be read" in result.stderr
    assert "Traceback" not in result.output


def test_import_waits_for_a_busy_server(server: FakeServer, run: Run, tmp_path: Path) -> None:
    server.refuse_next(BATCH, 429)
    server.hang_up_next(BATCH)
    server.refuse_next(BATCH, 503)

    assert run("import", written(tmp_path / "logs.jsonl", log(1))).exit_code == 0
    assert set(server.tasks) == {"t1"}


def test_import_sends_a_refused_batch_in_halves(server: FakeServer, run: Run, tmp_path: Path) -> None:
    server.refuse_next(BATCH, 413, "The body is too large.", "Send less.", times=3)

    result = run("import", written(tmp_path / "logs.jsonl", *map(log, range(4))), "--concurrency", "1")

    assert result.exit_code == 1
    assert len(server.tasks) == 3
    assert "line 1: The body is too large. Send less." in result.stderr


def test_import_ends_with_a_refused_key(server: FakeServer, run: Run, tmp_path: Path) -> None:
    lines = map(log, range(5000))
    result = run("import", written(tmp_path / "logs.jsonl", *lines), "--batch-size", "5", PHOSPHO_API_KEY="ph_other")

    assert result.exit_code == 1
    assert "The API key is not known." in result.stderr
    assert "ph_other" not in result.output


def test_import_fails_at_once_without_a_server(run: Run, tmp_path: Path, closed_url: str) -> None:
    result = run("import", written(tmp_path / "logs.jsonl", log(1)), PHOSPHO_BASE_URL=closed_url)

    assert result.exit_code == 3
    assert "phospho up" in result.stderr


def test_upload_ends_when_the_server_stays_away(closed_url: str) -> None:
    """`add` raises what ended the lane, instead of waiting for room for ever."""
    upload = Upload(
        Client(Address(closed_url)),
        LineCounts(),
        threads=2,
        max_batch_events=1,
        retries=RetryPolicy(retries=1, first_wait_s=0),
    )

    def send_all() -> None:
        with upload:
            for number in range(10_000):
                upload.add(LogLine(number, str(number), b"{}"))

    with pytest.raises(Unreachable):
        send_all()


def test_import_refuses_a_response_that_is_not_the_apis(server: FakeServer, run: Run, tmp_path: Path) -> None:
    server.answer_next(BATCH, 200, b"<html>Welcome</html>")

    result = run("import", written(tmp_path / "logs.jsonl", log(1)))

    assert result.exit_code == 1
    assert "0 tasks logged" in result.stdout


def test_import_logs_real_conversations_unchanged(server: FakeServer, run: Run, request: pytest.FixtureRequest) -> None:
    path = request.config.rootpath.parent / "shared/data/sgd-dev.jsonl.gz"
    if not path.exists():
        pytest.skip("shared/data is not beside the project")

    result = run("import", str(path))

    assert result.exit_code == 0
    assert "19,384 tasks logged, 0 lines rejected" in result.stdout
    with gzip.open(path) as lines:
        assert server.tasks == {event["task_id"]: event for event in map(json.loads, lines)}


def test_import_leads_to_definitions_where_there_are_none(server: FakeServer, run: Run, tmp_path: Path) -> None:
    path = written(tmp_path / "logs.jsonl", {"input": "Hi"})

    first = run("import", path)
    server.definitions["refund"] = {"name": "refund"}
    second = run("import", path)

    assert f"Next, choose events to detect: {server.base_url}/definitions/library" in first.stdout
    assert "Next" not in second.stdout
