"""`phospho themes evaluate`: themes on labelled logs of any kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from phospho_cli import main
from phospho_workers.detection.evaluation.themes import evaluate, read_topics
from workers.detection.themes.requests import NEW_REQUESTS, mixed

LONG = "the parcel never came and nobody answers the phone " * 4_000


def written(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def run(tmp_path: Path, logs: list[dict[str, Any]], labels: list[dict[str, Any]], *options: str) -> Result:
    files = ("--logs", written(tmp_path / "logs", logs), "--labels", written(tmp_path / "labels", labels))
    return CliRunner().invoke(main, ["themes", "evaluate", *map(str, files), *options])


def tasks_of(texts: list[str]) -> list[dict[str, Any]]:
    return [{"task_id": f"t{n}", "input": text} for n, text in enumerate(texts)]


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    pairs = mixed()
    for number, text in enumerate(NEW_REQUESTS):
        pairs.insert(16 * number, (text, "haircut"))
    labels = [{"task_id": f"t{n}", "topic": topic} for n, (_, topic) in enumerate(pairs)]
    answer = run(tmp_path_factory.mktemp("themes"), tasks_of([text for text, _ in pairs]), labels, "--json")
    assert answer.exit_code == 0, answer.output
    assert "Add a new topic, 5 of 5" in answer.stderr
    figures: dict[str, Any] = json.loads(answer.stdout)
    return figures


def test_evaluation_has_agreement_baselines_and_stability(figures: dict[str, Any]) -> None:
    assert figures["ami"] > 0.3
    assert 0 < figures["baselines"]["k_means_of_static_embeddings_with_true_k"]["ami"] <= 1
    assert len(figures["seeds"]) == 3
    assert figures["stability"]["windows"] == 10
    assert figures["stability"]["mean"] > 0.9
    assert figures["stream_microseconds_per_task"] > 0


def test_injected_topic_is_found_named_and_reported(figures: dict[str, Any]) -> None:
    injection = figures["injection"]
    assert injection["of"] == injection["eligible"] == injection["kept_ids"] == 5
    [haircut] = [result for result in injection["topics"] if result["topic"] == "haircut"]
    assert {name: haircut[name] for name in ("found", "named", "reported")} == dict.fromkeys(
        ("found", "named", "reported"), True
    )


def test_evaluation_reads_few_odd_tasks(tmp_path: Path) -> None:
    languages = (
        "où est mon colis numéro {}",
        "quiero devolver los zapatos {}",
        "我的包裹在哪里 {}",
        "ما هي الأسعار {}",
    )
    texts = [languages[n % 4].format(n) for n in range(60)] + [LONG, "", "🙂", "a\nb\x00c"]
    logs = [*tasks_of(texts), {"task_id": "none", "input": None}, {"task_id": 7, "input": 8, "output": "x"}]
    labels = [{"task_id": f"t{n}", "topic": f"topic {n}"} for n in range(60)]
    labels += [{"task_id": "t0", "topic": None}, {"task_id": "elsewhere", "topic": "x"}, {"task_id": 7, "topic": 3}]
    answer = run(tmp_path, logs, labels, "--seeds", "1")
    assert answer.exit_code == 0, answer.output
    labelled = read_topics(tmp_path / "logs", tmp_path / "labels")
    assert (labelled.without_task, labelled.without_text) == (1, 2)
    figures = evaluate(labelled, seeds=1)
    assert figures is not None
    assert (figures["labelled"], figures["topics"]) == (60, 60)
    assert figures["injection"]["of"] == 0


@pytest.mark.parametrize(
    ("logs", "labels", "message"),
    [
        ([{"task_id": "a", "input": "x"}], [{"task_id": "b", "topic": "t"}], "labels no task"),
        ([{"task_id": "a", "input": "x"}], [{"task_id": "a", "topic": "t"}], "Give at least 50"),
        ([{"task_id": "a"}], [{"task_id": "a", "topic": "t"}], "line 1 must be an object with input, task_id"),
        ([{"task_id": "a", "input": "x"}], [{"task_id": "a"}], "line 1 must be an object with task_id, topic"),
        ([], [], "labels no task"),
    ],
)
def test_evaluation_refuses_files_with_a_reason(
    tmp_path: Path, logs: list[dict[str, Any]], labels: list[dict[str, Any]], message: str
) -> None:
    answer = run(tmp_path, logs, labels)
    assert answer.exit_code != 0
    assert message in answer.output
