"""`phospho labels` writes what Argilla and Label Studio read, and reads what they write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Run
from cli.fake_server import FakeServer
from phospho_store.annotations.agreement import fleiss_kappa

TASK = {"task_id": "t/1", "input": "refund!", "output": "no", "events": [{"name": "refund", "score": 0.8, "label": ""}]}
# As the two tools export: with reviewers, a cancelled annotation, a draft, and one that nobody has labelled.
LABEL_STUDIO = [
    {
        "id": 1,
        "data": {"event": "refund", "task_id": f"t{number}"},
        "annotations": [
            {"completed_by": index, "was_cancelled": label == "", "result": [] if label == "" else [
                {"from_name": "label", "to_name": "input", "type": "choices", "value": {"choices": [label]}}]}
            for index, label in enumerate(labels)
        ],
    }
    for number, labels in enumerate([("confirmed", "confirmed"), ("rejected", "confirmed"), ("rejected", ""), ()])
]  # fmt: skip
ARGILLA = [
    {
        "id": "a",
        "status": "completed",
        "metadata": task["data"],
        "responses": {
            "label": [
                {"user_id": str(row["completed_by"]), "value": row["result"][0]["value"]["choices"][0]}
                for row in task["annotations"]
                if row["result"]
            ]
        },
    }
    for task in LABEL_STUDIO
]


@pytest.mark.parametrize("form", ["argilla", "label-studio"])
def test_labels_export_has_texts_and_the_score(run: Run, server: FakeServer, form: str) -> None:
    page = {"tasks": [{"task_id": "t/1"}], "next_cursor": None}
    server.answer_next("/api/v1/tasks?event=refund&period=30d&limit=100", 200, json.dumps(page).encode())
    server.answer_next("/api/v1/tasks/t%2F1", 200, json.dumps({"task": TASK}).encode())

    done = run("labels", "export", "refund", "--format", form)

    assert done.exit_code == 0, done.output
    [record] = json.loads(done.stdout)
    texts = record["data"] if form == "label-studio" else record["fields"] | record["metadata"]
    suggestion = record["predictions"][0] if form == "label-studio" else record["suggestions"]["label"]
    assert texts == {"input": "refund!", "output": "no", "event": "refund", "task_id": "t/1"}
    assert suggestion["score"] == 0.8


@pytest.mark.parametrize(("form", "content"), [("argilla", ARGILLA), ("label-studio", LABEL_STUDIO)])
def test_labels_import_stores_the_majority(
    run: Run, server: FakeServer, tmp_path: Path, form: str, content: Any
) -> None:
    (tmp_path / "reviewed.json").write_text(json.dumps(content))
    server.answer_next("/api/v1/labels", 201, b'{"labels": []}')

    done = run("labels", "import", str(tmp_path / "reviewed.json"), "--format", form)

    assert done.exit_code == 0, done.output
    assert server.requests[-1].document["labels"] == [
        {"event": "refund", "task_id": "t0", "label": "confirmed"},
        {"event": "refund", "task_id": "t2", "label": "rejected"},
    ]
    assert "2 labels stored. 1 tasks without a majority left out." in done.stdout
    assert "kappa): -0.33" in done.stdout


def test_labels_import_refuses_other_files(run: Run, tmp_path: Path) -> None:
    for text, message in (("{", "is not JSON"), ("{}", "list of records"), ('[{"data": {}}]', "no event and task_id")):
        (tmp_path / "other.json").write_text(text)
        done = run("labels", "import", str(tmp_path / "other.json"), "--format", "label-studio")
        assert (done.exit_code, message in done.output) == (1, True), done.output


def test_fleiss_kappa_is_agreement_beyond_chance() -> None:
    yes, no = "confirmed", "rejected"

    assert fleiss_kappa([(yes, yes), (no, no)]) == 1
    assert fleiss_kappa([(yes, no), (no, yes)]) == -1
    assert fleiss_kappa([(yes, yes, no), (no, no, no), (yes,)]) == pytest.approx((2 / 3 - 5 / 9) / (4 / 9))
    assert fleiss_kappa([(yes,), ()]) is fleiss_kappa([(yes, yes)]) is None
