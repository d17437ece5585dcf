"""Imports in the browser: the file is mapped, checked as the gateway does, and logged."""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
from typing import Any
from urllib.parse import quote

import openpyxl
import pyarrow
import pytest
from pyarrow import parquet

from dashboard.imports.conftest import Browser

CSV = """question,answer,conversation,when,plan
Where is my order?,On its way,c1,2026-03-01T10:00:00Z,pro
I want a refund,,c1,2026-03-01T10:05:00Z,free
Hello,Hi,c2,yesterday,free
"""


async def test_upload_suggests_a_mapping_and_checks_each_row(world: Any, browser: Browser) -> None:
    answer = await browser.upload("chats.csv", CSV.encode())
    path = answer.headers["location"]
    run = await browser.ended(path)
    page = (await browser.client.get(path)).text

    assert answer.status_code == 303
    assert (run["kind"], run["state"], run["accepted"], run["rejected"]) == ("check", "done", 2, 1)
    assert run["reasons"][0]["line"] == 4
    assert "created_at 'yesterday' is neither Unix seconds nor ISO 8601" in run["reasons"][0]["reason"]
    # It sends the mapping as it stands in the form.
    assert 'form="mapping" name="action" value="import">Import 2 tasks</button>' in page
    assert '<form class="card form import" id="mapping"' in page
    assert '<span dir="auto">Where is my order?</span>' in page
    assert browser.logged == [], "a check stores nothing"


async def test_import_logs_the_mapped_rows_under_its_id(world: Any, browser: Browser) -> None:
    path = (await browser.upload("chats.csv", CSV.encode())).headers["location"]
    await browser.ended(path)

    await browser.act(path, "import", ["input", "output", "session_id", "created_at", ""])
    run = await browser.ended(path)

    first, second = browser.logged
    content = (await browser.client.get(path.replace("?", ".json?"))).json()
    assert (run["kind"], run["accepted"], run["rejected"]) == ("import", 2, 1)
    assert (run["first_at"], run["last_at"]) == ("2026-03-01T10:00:00.000Z", "2026-03-01T10:05:00.000Z")
    assert (first["input"], first["output"], first["session_id"]) == ("Where is my order?", "On its way", "c1")
    mark = first["phospho_import"]
    assert mark.endswith("/chats.csv")
    assert first["metadata"] == {"plan": "pro"}
    assert first["task_id"] != second["task_id"]
    assert f"metadata.phospho_import%3D{quote(mark, safe='')}" in content["tasks_path"]
    assert content["tasks_path"].replace("&", "&amp;") in (await browser.client.get(path)).text


async def test_second_import_of_a_file_logs_the_same_tasks(world: Any, browser: Browser) -> None:
    ids = []
    for _ in range(2):
        world.publisher.messages.clear()
        path = (await browser.upload("a.jsonl", b'{"input": "hi"}\n', modified_ms="1700000000000")).headers["location"]
        await browser.ended(path)
        await browser.act(path, "import", ["input"])
        await browser.ended(path)
        ids.append([(log["task_id"], log["client_created_at"]) for log in browser.logged])

    assert ids[0] == ids[1] != []
    assert ids[0][0][1] == 1_700_000_000.0


async def test_column_may_be_metadata_in_spite_of_its_name(world: Any, browser: Browser) -> None:
    path = (await browser.upload("a.csv", b"input,user_id\nhi,u1\n")).headers["location"]
    await browser.ended(path)
    await browser.act(path, "import", ["input", ""])
    await browser.ended(path)

    [log] = browser.logged
    assert "user_id" not in log
    assert log["metadata"]["original_user_id"] == "u1"


async def test_mapping_without_input_or_with_one_twice_is_refused(browser: Browser) -> None:
    path = (await browser.upload("a.csv", b"input,user_id\nhi,u1\n")).headers["location"]
    await browser.ended(path)

    for columns, message in ((["", ""], "No column is the input"), (["input", "input"], "are both the input")):
        answer = await browser.act(path, "check", columns)
        assert answer.status_code == 422
        assert message in answer.text


async def test_day_first_times_are_read_by_the_chosen_format(world: Any, browser: Browser) -> None:
    path = (await browser.upload("a.csv", b"input,created_at\nhi,05/03/2026 10:30\n")).headers["location"]
    assert (await browser.ended(path))["rejected"] == 1
    assert "%d/%m/%Y %H:%M (day first)" in (await browser.client.get(path)).text

    await browser.act(path, "import", ["input", "created_at"], date_format="%d/%m/%Y %H:%M")
    run = await browser.ended(path)

    assert (run["accepted"], run["first_at"]) == (1, "2026-03-05T10:30:00.000Z")


async def test_export_of_langfuse_needs_no_mapping(world: Any, browser: Browser) -> None:
    trace = {"id": "t1", "timestamp": "2026-03-01T10:00:00Z", "input": "hi", "output": "ho", "tags": []}
    answer = await browser.upload("traces.json", json.dumps({"data": [trace]}).encode())
    path = answer.headers["location"]
    run = await browser.ended(path)
    await browser.act(path, "import", [], format="langfuse")
    await browser.ended(path)

    assert run["accepted"] == 1
    assert [log["task_id"] for log in browser.logged] == ["t1"]


def workbook() -> bytes:
    book = openpyxl.Workbook()
    book.active.append(["Question", "Answer"])
    book.active.append(["Where?", "Here"])
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def table() -> bytes:
    content = io.BytesIO()
    parquet.write_table(pyarrow.table({"prompt": ["Where?"], "completion": ["Here"]}), content)
    return content.getvalue()


async def test_excel_parquet_and_gzip_are_read(browser: Browser) -> None:
    files = {"a.xlsx": workbook(), "a.parquet": table(), "a.csv.gz": gzip.compress(b"input\nhi\n")}
    for name, content in files.items():
        run = await browser.ended((await browser.upload(name, content)).headers["location"])
        assert (run["state"], run["accepted"]) == ("done", 1), name


def bomb() -> bytes:
    """Return a workbook of 2 MB whose sheet unpacks to 2 GB."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with zipfile.ZipFile(io.BytesIO(workbook())) as book:
            for entry in book.infolist():
                archive.writestr(entry.filename, book.read(entry))
        with archive.open("xl/media/zeros.bin", "w", force_zip64=True) as part:
            for _ in range(1100):
                part.write(bytes(1_000_000))
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.xlsx", b"PK\x03\x04 not a zip", "can&#39;t be read"),
        ("a.parquet", b"PAR1 not parquet PAR1", "can&#39;t be read"),
        ("a.csv", "frage;antwort".encode("utf-16"), "not UTF-8"),
        ("a.csv", "input,output\nGepäck,da\n".encode("latin-1"), "Row 2: not UTF-8; save the file as UTF-8"),
        ("a.xlsx", b"input,output\nhi,ho\n", "no .xlsx workbook. Save it as .xlsx or CSV"),
        (
            "a.csv",
            b"input,plan,input\nhi,a,b\n",
            "The columns 1 and 3 are both named &#39;input&#39;. Give each its own name",
        ),
        ("a.json", b"[" * 100_000, "The JSON array is cut off or damaged"),
        ("a.jsonl", b"", "no rows"),
        ("a.jsonl", b"\x1f\x8b\x08broken", "cut off or damaged"),
    ],
)
async def test_file_that_cannot_be_read_is_refused(browser: Browser, name: str, content: bytes, reason: str) -> None:
    answer = await browser.upload(name, content)

    assert answer.status_code == 422, answer.text
    assert reason in answer.text
    assert f"{reason}.." not in answer.text


async def test_rows_without_a_time_count_only_where_accepted(browser: Browser) -> None:
    lines = [{"input": "hi"}, {"input": "ho", "flag": "good"}, {"input": "hi", "created_at": 1.7e9}]
    path = (await browser.upload("a.jsonl", b"\n".join(json.dumps(line).encode() for line in lines))).headers[
        "location"
    ]
    run = await browser.ended(path)

    assert (run["accepted"], run["rejected"], run["undated"]) == (2, 1, 1)


async def test_import_has_an_entry_of_its_own_in_the_navigation(browser: Browser) -> None:
    path = (await browser.upload("a.jsonl", b'{"input": "hi"}')).headers["location"]
    for page in (await browser.client.get(path), await browser.client.get("/import", params=browser.query)):
        current = re.findall(r'<a href="([^"]*)" aria-current="page">', page.text)

        assert [each.partition("?")[0] for each in current] == ["/import"]


async def test_list_of_tasks_leads_to_the_import(world: Any, browser: Browser) -> None:
    page = (await browser.client.get("/tasks", params=browser.query)).text

    assert 'href="/import?project=' in page
    assert ">Import</a>" in page


async def test_workbook_that_unpacks_to_too_much_is_refused(browser: Browser) -> None:
    answer = await browser.upload("bomb.xlsx", bomb())

    assert answer.status_code == 422
    assert "unpacks to 1,100 MB" in answer.text


async def test_file_above_the_limit_is_refused(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phospho_dashboard.imports.pages.MAX_FILE_BYTES", 1000)

    answer = await browser.upload("a.csv", b"input\n" + b"hi\n" * 100_000)

    assert answer.status_code == 413
    assert "at most" in answer.text


async def test_upload_from_another_site_is_refused(browser: Browser) -> None:
    browser.client.headers["Sec-Fetch-Site"] = "cross-site"
    answer = await browser.client.post("/import", params=browser.query, files={"file": ("a.csv", b"input\nhi\n")})

    assert answer.status_code == 403


async def test_import_of_another_project_is_not_shown(world: Any, browser: Browser) -> None:
    path = (await browser.upload("a.csv", b"input\nhi\n")).headers["location"]

    answer = await browser.client.get(path.partition("?")[0], params={"project": "theirs"})

    assert answer.status_code == 404


async def test_file_is_removed_from_the_disk(browser: Browser) -> None:
    path = (await browser.upload("a.csv", b"input\nhi\n")).headers["location"]
    await browser.ended(path)

    answer = await browser.act(path, "remove", [])

    assert answer.status_code == 303
    assert (await browser.client.get(path)).status_code == 404


async def test_files_of_a_project_take_the_place_of_its_own_oldest(world: Any, browser: Browser) -> None:
    paths = []
    for number in range(4):
        path = (await browser.upload(f"{number}.jsonl", b'{"input": "hi"}\n')).headers["location"]
        await browser.ended(path)
        paths.append(path)

    assert [(await browser.client.get(path)).status_code for path in paths] == [404, 200, 200, 200]
