"""Candidates are stored with their task, limited in number and identified by the task's texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from phospho_schemas.messages import AnalysisRow, EventDefinition, ProjectSettings
from phospho_workers.detection.candidates import MAX_CANDIDATES, content_of, is_sampled
from phospho_workers.detection.definitions import check_definition, compile_definitions
from phospho_workers.detection.detect import analyse
from workers.detection.tasks import definition, keywords, regex, semantic, task

WEATHER = semantic("weather", "The user is asking about the weather", scope="input")


def analysed(task: dict[str, Any], definitions: Sequence[EventDefinition], **settings: Any) -> dict[str, Any]:
    compiled = compile_definitions(definitions, settings=ProjectSettings(**settings))
    [row] = analyse([task], {"shop": compiled})
    AnalysisRow.model_validate(row)
    return row


def names(row: dict[str, Any], field: str = "candidates") -> list[str]:
    return [one["name"] for one in row[field]]


def llm(name: str, **fields: Any) -> EventDefinition:
    return definition(name, "llm", **({"description": "It happens"} | fields))


def at_score(text: str) -> float:
    [event] = analysed(task(text), [WEATHER.model_copy(update={"threshold": 0.0})])["events"]
    return float(event["score"])


TEXT = "How is the weather there?"


@pytest.mark.parametrize(("above", "is_found"), [(-0.05, True), (0.05, False)])
def test_match_near_the_threshold_is_a_candidate_found_or_not(above: float, is_found: bool) -> None:
    near = WEATHER.model_copy(update={"threshold": min(1.0, at_score(TEXT) + above)})
    row = analysed(task(TEXT), [near])
    assert (names(row), names(row, "events")) == (["weather"], ["weather"] if is_found else [])
    assert 0 < row["candidates"][0]["doubt"] < 1


def test_sure_match_is_no_candidate() -> None:
    sure = WEATHER.model_copy(update={"threshold": 0.01})
    assert names(analysed(task(TEXT), [sure])) == []


def test_definition_without_judge_has_no_candidates() -> None:
    near = WEATHER.model_copy(update={"threshold": at_score(TEXT) - 0.001, "judge": "none"})
    row = analysed(task(TEXT), [near])
    assert (names(row), names(row, "events")) == ([], ["weather"])


@pytest.mark.parametrize(
    ("opinion", "told"), [("project", []), ("none", []), ("encoder", ["k", "r"]), ("llm", ["k", "r"])]
)
def test_sure_match_is_a_candidate_if_its_definition_names_a_judge(opinion: str, told: list[str]) -> None:
    sure = [keywords("k", "refund", judge=opinion), regex("r", "refund", judge=opinion)]
    assert names(analysed(task("a refund"), sure)) == told
    assert names(analysed(task("hello"), sure)) == []


def test_llm_engine_makes_every_text_a_candidate_and_finds_nothing() -> None:
    definitions = [llm("a", scope="input"), llm("b", scope="output"), llm("c", scope="system_prompt"), llm("d")]
    row = analysed(task("hello", ""), definitions)
    assert (names(row), row["events"]) == (["a", "d"], [])
    assert {one["doubt"] for one in row["candidates"]} == {1.0}
    assert names(analysed(task(" ", "\n"), definitions)) == []


def test_equal_texts_have_equal_contents_and_no_other_side_counts() -> None:
    one, same = task("hello", "hi", task_id="t1"), task("hello", "hi", task_id="t2", session_id="s2", revision=9)
    for scope in ("input", "output", "task", "system_prompt"):
        assert content_of(one, scope) == content_of(same, scope)
    assert content_of(one, "input") == content_of(task("hello", "another"), "input")
    assert content_of(one, "task") != content_of(task("hello", "another"), "task")
    assert content_of(task("a", "b"), "task") != content_of(task("ab", ""), "task")
    assert content_of(task("a", ""), "task") != content_of(task("", "a"), "task")


def test_a_share_of_the_tasks_is_sampled_and_always_the_same() -> None:
    ids = [f"task-{number}" for number in range(2_000)]
    sampled = {share: {one for one in ids if is_sampled(one, share)} for share in (0.0, 0.1, 0.5, 1.0)}
    assert sampled[0.0] == set()
    assert sampled[1.0] == set(ids)
    assert sampled[0.1] < sampled[0.5]
    assert 100 < len(sampled[0.1]) < 300
    assert names(analysed(task("hello"), [llm("a")], llm_sample=0.0)) == []


def test_candidates_of_a_task_are_limited() -> None:
    many = [llm(f"event {number:04}") for number in range(2_000)]
    row = analysed(task("hello"), many)
    assert names(row) == [f"event {number:04}" for number in range(MAX_CANDIDATES)]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"description": " "}, "no description"),
        ({"scope": "session"}, "one task at a time"),
        ({"context_turns": 3}, "one task at a time"),
        ({"is_last_task": True}, "one task at a time"),
        ({"score_range": {"type": "range", "min": 5, "max": 5}}, "no room"),
        ({"score_range": {"type": "range", "min": 0, "max": float("inf")}}, "not finite"),
        ({"score_range": {"type": "category", "categories": ["one", "one"]}}, "fewer than two"),
        ({"score_range": {"type": "range", "min": 1, "max": 5}, "engine": "semantic"}, "set engine: llm"),
        ({"score_range": {"type": "category", "categories": ["a", "b"]}, "engine": "semantic"}, "set engine: llm"),
    ],
)
def test_check_refuses_definitions_that_cannot_be_judged(fields: dict[str, Any], reason: str) -> None:
    known = {"engine": "llm", "description": "It happens"}
    refusal = check_definition(definition("mood", **(known | fields)))
    assert refusal is not None
    assert reason in refusal
