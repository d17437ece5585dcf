"""Scores of events, and definitions, in upstream's shapes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.legacy.conftest import Json
from phospho_gateway.legacy.documents import flattened, project_document, task_document
from phospho_gateway.legacy.reads.task_reads import StoredTask
from phospho_schemas.messages import EventDefinition, Project, ScoreRange

NOW = datetime(2026, 3, 3, 10, tzinfo=UTC)
ROW: Json = {
    "task_id": "t", "created_at_ms": 1_500, "session_id": "s", "user_id": "", "version_id": "", "model": "",
    "system_prompt": "", "input": "in", "output": "", "flag": "", "metadata": {}, "raw_input": "", "raw_output": "[1]",
}  # fmt: skip
EVENT: Json = {
    "id": "e", "name": "tone", "engine": "semantic", "score": 0.75, "value": None, "category": "", "evidence": "",
    "label": "", "created_at_ms": 1_500, "project_id": "p", "task_id": "t", "session_id": "s",
    "least": 0.0, "greatest": 10.0,
}  # fmt: skip


def stored(*events: Json) -> StoredTask:
    return StoredTask("p", ROW, analysis={}, events=list(events), feedback=[], position=1, session_length=1)


@pytest.mark.parametrize(
    ("fields", "score_range"),
    [
        ({}, {"score_type": "confidence", "value": 0.75, "min": 0, "max": 1, "label": None}),
        ({"value": 7.0}, {"score_type": "range", "value": 7.0, "min": 0.0, "max": 10.0, "label": None}),
        ({"category": "rude"}, {"score_type": "category", "value": 0.75, "min": 0, "max": 1, "label": "rude"}),
    ],
)
def test_score_range_says_what_a_score_means(fields: Json, score_range: Json) -> None:
    task = stored(EVENT | fields)

    assert task_document(task)["events"][0]["score_range"] == score_range
    flat = next(flattened(task, with_events=True, with_sessions=True))
    assert {name: flat[f"event_score_range_{name}"] for name in score_range} == score_range


def test_an_event_that_a_person_added_is_the_owners() -> None:
    task = stored(EVENT | {"engine": "person", "label": "confirmed"})

    event = task_document(task)["events"][0]
    assert (event["source"], event["confirmed"]) == ("owner", True)


def test_a_raw_side_that_was_no_object_is_inside_one() -> None:
    document = task_document(stored())

    assert (document["additional_input"], document["additional_output"]) == ({}, {"raw_output": [1]})


@pytest.mark.parametrize(
    ("engine", "scope", "wanted"),
    [
        ("keyword", "input", ("keyword_detection", "task_input_only")),
        ("regex", "output", ("regex_detection", "task_output_only")),
        ("semantic", "task", ("llm_detection", "task")),
        ("llm", "session", ("llm_detection", "session")),
    ],
)
def test_a_definition_is_told_in_upstreams_words(engine: str, scope: str, wanted: tuple[str, str]) -> None:
    meaning = ScoreRange(type="category", categories=["rude", "kind"])
    definition = EventDefinition.model_validate(
        {"project_id": "p", "name": "tone", "engine": engine, "scope": scope, "score_range": meaning, "created_at": NOW}
    )

    document = project_document(Project(project_id="p", created_at=NOW), [definition])

    told = document["settings"]["events"]["tone"]
    assert (told["detection_engine"], told["detection_scope"]) == wanted
    assert told["score_range_settings"]["categories"] == ["rude", "kind"]
