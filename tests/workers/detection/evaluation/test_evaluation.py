"""`phospho evaluate`: definitions on labelled logs, scored as scikit-learn would."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from click.testing import CliRunner

from phospho_cli import main
from phospho_workers.detection.learning.metrics import average_precision, f1_score

DEFINITIONS = """
definitions:
  - {name: weather, scope: input, description: The user asks about the weather}
  - {name: refund, scope: input, engine: keyword, keywords: [money back]}
  - {name: sorry, scope: output, description: The assistant apologises}
  - {name: never, description: The user speaks of Byzantine coinage}
"""
TURNS = [
    ("will it rain tomorrow", "Yes.", ["weather"]),
    ("how warm is it outside", "20 degrees.", ["weather"]),
    ("is it sunny in Rome", "It is.", ["weather"]),
    ("do I need an umbrella", "Sorry about that, yes.", ["weather", "sorry"]),
    ("I want my money back", "I apologise for the trouble.", ["refund", "sorry"]),
    ("money back now", "We are sorry.", ["refund", "sorry"]),
    ("hello", "Hi!", []),
    ("book a table", "Done.", []),
    ("who are you", "A bot.", []),
    ("play some jazz", "Playing.", []),
]


@pytest.fixture
def files(tmp_path):
    names = ["weather", "refund", "sorry", "never"]
    logs = [{"task_id": f"t{n}", "input": said, "output": answer} for n, (said, answer, _) in enumerate(TURNS)]
    labels = [
        {"task_id": f"t{n}", "positive": shown, "negative": [name for name in names if name not in shown]}
        for n, (*_, shown) in enumerate(TURNS)
    ]
    labels[6]["negative"] = []
    (tmp_path / "definitions.yaml").write_text(DEFINITIONS)
    with gzip.open(tmp_path / "logs.jsonl.gz", "wt") as file:
        file.write("\n".join(map(json.dumps, logs)))
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, labels)))
    return tmp_path


def evaluate(files, *options, labels="labels.jsonl"):
    arguments = ["--definitions", files / "definitions.yaml", "--logs", files / "logs.jsonl.gz"]
    arguments += ["--labels", files / labels, *options]
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


def test_report_means_are_over_events_with_positives(files) -> None:
    report = json.loads(evaluate(files, "--json").stdout)
    assert report.keys() == {"mean_average_precision", "macro_f1", "tasks_per_s", "events"}
    assert report["events"]["refund"] == {"average_precision": 1.0, "f1": 1.0, "positives": 2}
    assert report["events"]["never"] == {"average_precision": None, "f1": None, "positives": 0}
    of_events = [one for one in report["events"].values() if one["positives"]]
    assert report["mean_average_precision"] == pytest.approx(np.mean([one["average_precision"] for one in of_events]))
    assert report["macro_f1"] == pytest.approx(np.mean([one["f1"] for one in of_events]), abs=1e-4)
    assert report["tasks_per_s"] > 0


def test_an_ambiguous_task_is_left_out(files) -> None:
    lines = [json.loads(line) for line in (files / "labels.jsonl").read_text().splitlines()]
    lines[0]["positive"], lines[0]["negative"] = [], []
    (files / "fewer.jsonl").write_text("\n".join(map(json.dumps, lines)))
    report = json.loads(evaluate(files, "--json", labels="fewer.jsonl").stdout)
    assert report["events"]["weather"]["positives"] == 3


def test_the_table_names_the_events_and_their_mean(files) -> None:
    lines = evaluate(files).stdout.splitlines()
    assert lines[0].split("\t") == ["event", "average_precision", "f1", "positives"]
    assert [line.split("\t")[0] for line in lines[1:-1]] == ["weather", "refund", "sorry", "never", "mean"]
    assert lines[-1].endswith("tasks/s")


def test_few_shot_reports_spread_and_is_repeatable(files) -> None:
    first = json.loads(evaluate(files, "--json", "--shots", "2", "--seeds", "2").stdout)
    assert len(first["mean_average_precisions"]) == 2
    assert first["spread"] == pytest.approx(np.std(first["mean_average_precisions"]), abs=1e-4)
    again = evaluate(files, "--shots", "2", "--seeds", "2").stdout
    assert f"Mean average precision {first['mean_average_precision']} ± {first['spread']}" in again


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ('{"task_id": "other", "positive": [], "negative": []}', "labels no task"),
        ('{"task_id": "t1", "positive": []}', "line 1 must be an object with negative, positive, task_id"),
        ("\nnot json", "line 2 is not JSON"),
        ('{"task_id": "t1", "positive": "weather", "negative": []}', "line 1: positive must be a list of names"),
        ('{"task_id": "t1", "positive": [], "negative": [1]}', "line 1: negative must be a list of names"),
        ('{"task_id": "t1", "positive": ["a"], "negative": ["a"]}', "line 1: a is in positive and in negative"),
    ],
)
def test_a_file_that_can_not_be_evaluated_is_named_with_its_line(files, labels: str, message: str) -> None:
    (files / "bad.jsonl").write_text(labels)
    result = evaluate(files, labels="bad.jsonl")
    assert result.exit_code == 1
    assert message in result.stderr


def test_a_definition_that_no_engine_takes_is_refused(files) -> None:
    (files / "definitions.yaml").write_text("definitions: [{name: x, engine: regex, pattern: '('}]")
    result = evaluate(files)
    assert result.exit_code == 2
    assert "RE2 can't take the pattern" in result.stderr


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ("description: a refund, scope: session", "needs those around it"),
        ("description: a refund, context_turns: 2", "needs those around it"),
        ("description: a refund, is_last_task: true", "needs those around it"),
        ("description: a refund, engine: llm", "asks no language model"),
    ],
)
def test_what_can_not_be_scored_on_tasks_is_refused_by_name(files, fields: str, reason: str) -> None:
    """It printed the share of positives as average precision, and counted in the means."""
    (files / "definitions.yaml").write_text(f"definitions: [{{name: odd, {fields}}}]")
    result = evaluate(files)
    assert result.exit_code == 2
    assert "odd: evaluate" in result.stderr
    assert reason in result.stderr


def test_a_name_that_no_label_has_is_told(files) -> None:
    (files / "definitions.yaml").write_text(DEFINITIONS.replace("name: weather", "name: wether"))
    result = evaluate(files, "--json")
    assert "Warning: no label for wether; there are labels for never, refund, sorry, weather." in result.stderr
    assert json.loads(result.stdout)["events"]["wether"]["positives"] == 0


def test_an_event_with_too_few_tasks_to_teach_is_told(files) -> None:
    result = evaluate(files, "--json", "--shots", "2", "--seeds", "1")
    assert [line for line in result.stderr.splitlines() if line.startswith("Warning")] == [
        "Warning: of the tasks that show refund, 1 train it, not 2; the others are the test.",
        "Warning: of the tasks that show sorry, 1 train it, not 2; the others are the test.",
    ]


def test_a_task_that_was_logged_again_is_the_same_task(files) -> None:
    logged = gzip.decompress((files / "logs.jsonl.gz").read_bytes()).decode().splitlines()
    stale = json.dumps(json.loads(logged[0]) | {"input": "hello"})
    with gzip.open(files / "logs.jsonl.gz", "wt") as file:
        file.write("\n".join([stale, *logged, *logged]))
    report = json.loads(evaluate(files, "--json").stdout)
    assert report["events"]["weather"]["positives"] == 4
    assert report["events"]["weather"]["average_precision"] == 1.0


def test_a_long_run_says_how_far_it_is(files, monkeypatch) -> None:
    monkeypatch.setattr("phospho_cli.client.output._PLAIN_INTERVAL_S", 0.0)
    lines = evaluate(files, "--shots", "1", "--seeds", "2").stderr.splitlines()
    assert lines[-1] == "Evaluating: 100 %, 40 of 40 analyses"


def test_average_precision_is_scikit_learns() -> None:
    """The first example of its documentation, and one of equal scores."""
    scores = np.array([0.1, 0.4, 0.35, 0.8])
    assert average_precision(scores, np.array([False, False, True, True])) == pytest.approx(0.8333333)
    assert average_precision(np.zeros(4), np.array([True, False, False, False])) == pytest.approx(0.25)


def test_f1_of_nothing_is_0() -> None:
    nothing, all_of_it = np.zeros(3, dtype=bool), np.ones(3, dtype=bool)
    assert f1_score(nothing, nothing) == 0.0
    assert f1_score(all_of_it, all_of_it) == 1.0
    assert f1_score(np.array([True, True, False]), np.array([True, False, True])) == pytest.approx(0.5)
