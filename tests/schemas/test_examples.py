"""Every example goes through the JSON Schema, the model, and every reader of its topic."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator, FormatChecker, ValidationError

from phospho_schemas.generate import FLOWS, SCHEMA_FOLDER, schema_file
from phospho_schemas.messages import (
    DeadLetterRow,
    FeedbackRow,
    Message,
    PartRow,
    RawFeedback,
    RawLog,
    RawPart,
    RawStep,
    StepRow,
    TaskRow,
)
from phospho_schemas.topics import (
    ANALYSES,
    DEAD_LETTER,
    EVENTS,
    FEEDBACK,
    PARTS,
    RAW_LOGS,
    RECEIPTS,
    STEPS,
    TASKS,
    TOPICS,
    Topic,
)
from phospho_store.store import Store
from phospho_workers.detection.definitions import Snapshot
from phospho_workers.detection.stage import Detection
from phospho_workers.extraction.stage import Extraction
from phospho_workers.runtime.records import Record, Stage, StageOutput
from phospho_workers.sink.insert import RefusedRow, insert_lines
from phospho_workers.sink.planner import table_of_topic
from schemas.example_files import ROOT, Example, all_bad, all_good, bad, each, good

REPOSITORY = Path(__file__).parents[2]
RECEIVED_MS = 1_767_261_605_000  # 2026-01-01T10:00:05Z
SUNK = [TASKS.name, ANALYSES.name, FEEDBACK.name, STEPS.name, PARTS.name, RECEIPTS.name, DEAD_LETTER.name]
# Floats of 32 bits, parts of an event, and nulls within metadata come back in another form.
NOT_COMPARED = {"language_score", "sentiment_score", "events", "metadata", "inserted_at", "schema_version"}
DETECTION = Detection(Snapshot)


FORMATS = FormatChecker([])
FORMATS.checks("date-time", ValueError)(lambda value: not isinstance(value, str) or datetime.fromisoformat(value))


def validator(topic: str) -> Draft202012Validator:
    schema = json.loads((REPOSITORY / SCHEMA_FOLDER / schema_file(topic)).read_bytes())
    return Draft202012Validator(schema, format_checker=FORMATS)


def model(example: Example) -> type[Message]:
    """Return the model of a message: that of its topic, or of its kind where the topic has two."""
    [flow] = [flow for flow in FLOWS if flow.topic.name == example.topic]
    if flow.topic != RAW_LOGS:
        return flow.models[0]
    kinds = {b'"kind": "feedback"': RawFeedback, b'"kind": "step",': RawStep, b'"kind": "part"': RawPart}
    return next((kind for text, kind in kinds.items() if text in example.line), RawLog)


def read(stage: Stage, example: Example, offset: int = 7) -> StageOutput:
    return stage([Record(example.topic, 3, offset, RECEIVED_MS, b"key", example.line)])


def sink(store: Store, example: Example) -> list[RefusedRow]:
    return insert_lines(store, table_of_topic(example.topic), [example.line], "")


def written(output: StageOutput, topic: Topic) -> list[dict[str, Any]]:
    return [orjson.loads(message.value) for message in output.messages.get(topic.name, [])]


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_topic_has_three_good_examples_and_a_bad_one(topic: Topic) -> None:
    assert len(good(topic.name)) >= 3
    assert bad(topic.name)


def test_no_example_lies_where_no_test_finds_it() -> None:
    found = {example.path for example in all_good() + all_bad()}
    files = {path for path in ROOT.rglob("*") if path.is_file() and not path.name.endswith(".expected.json")}
    assert files == found


@each(all_good())
def test_a_good_example_fits_the_json_schema(example: Example) -> None:
    validator(example.topic).validate(example.document)


@each(all_good())
def test_a_model_keeps_all_that_a_good_example_says(example: Example) -> None:
    """Also the fields that it does not know, at every depth."""
    document = example.document
    kept = model(example).model_validate_json(example.line).model_dump(mode="json", exclude_unset=True)
    if "created_at" in document and model(example) is RawLog:
        # A raw log's time is whatever the client wrote; the same moment is enough.
        del document["created_at"], kept["created_at"]
    assert kept == document


@each(good(RAW_LOGS.name))
def test_extraction_makes_of_a_raw_log_what_stands_beside_it(example: Example) -> None:
    output = read(Extraction(), example)
    rows: dict[type[Message], tuple[Topic, type[Message]]]
    rows = {
        RawFeedback: (FEEDBACK, FeedbackRow),
        RawStep: (STEPS, StepRow),
        RawPart: (PARTS, PartRow),
        RawLog: (TASKS, TaskRow),
    }
    topic, row_model = rows[model(example)]
    assert list(output.messages) == [topic.name]
    [row] = written(output, topic)
    assert {name: row[name] for name in example.expected} == example.expected
    row_model.model_validate(row)
    validator(topic.name).validate(row)


@each(good(RAW_LOGS.name))
def test_what_extraction_writes_is_read_by_detection_and_the_sink(store: Store, example: Example) -> None:
    extracted = read(Extraction(), example)
    for topic, messages in extracted.messages.items():
        assert insert_lines(store, table_of_topic(topic), [message.value for message in messages], "") == []
    tasks = [Record(TASKS.name, 3, 7, RECEIVED_MS, m.key, m.value) for m in extracted.messages.get(TASKS.name, [])]
    detected = DETECTION(tasks)
    assert len(detected.messages.get(ANALYSES.name, [])) == len(tasks)
    for row in written(detected, ANALYSES):
        validator(ANALYSES.name).validate(row)


@each(good(TASKS.name))
def test_detection_reads_a_task(example: Example) -> None:
    output = read(DETECTION, example)
    [row] = written(output, ANALYSES)
    assert (row["task_id"], row["revision"]) == (example.document["task_id"], example.document["revision"])
    assert output.dead_letters == {}


@pytest.fixture
def store_without_ttl(store: Store) -> Iterator[Store]:
    """The store, which keeps old rows: receipts live for 30 days, and those of the examples are older."""
    store.command("SYSTEM STOP TTL MERGES")
    yield store
    store.command("SYSTEM START TTL MERGES")


@each(*map(good, SUNK))
def test_the_sink_stores_what_a_good_example_says(store_without_ttl: Store, example: Example) -> None:
    store = store_without_ttl
    assert sink(store, example) == []
    table = table_of_topic(example.topic)
    revision = example.document["revision"]
    rows = store.rows(f"SELECT * FROM {table} WHERE revision = {{revision:UInt64}}", {"revision": revision})
    assert stored_form(example.document, rows[0]) in [stored_form(row, rows[0]) for row in rows]


@each(all_bad())
def test_a_bad_example_fits_neither_the_json_schema_nor_the_model(example: Example) -> None:
    with pytest.raises(ValueError):  # pydantic's error, and that of what is not JSON
        model(example).model_validate_json(example.line)
    with pytest.raises((ValidationError, ValueError)):
        validator(example.topic).validate(example.document)


@each(bad(RAW_LOGS.name))
def test_extraction_sends_a_bad_raw_log_to_the_dead_letters(example: Example) -> None:
    assert dead_lettered(Extraction(), example) == example.expected["extraction"]


@each([example for example in bad(TASKS.name) if "detection" in example.expected])
def test_detection_sends_a_bad_task_to_the_dead_letters(example: Example) -> None:
    assert dead_lettered(DETECTION, example) == example.expected["detection"]


@each([example for topic in SUNK for example in bad(topic) if "sink" in example.expected])
def test_the_sink_refuses_a_bad_row(store: Store, example: Example) -> None:
    """As a row, so that it is dead-lettered; and with the code that stands beside it, where one does."""
    [refused] = sink(store, example)
    code = example.expected["sink"]
    assert code is None or f"code: {code}" in refused.detail.lower()


def test_a_bad_raw_log_among_good_ones_harms_itself_only() -> None:
    examples = good(RAW_LOGS.name) + bad(RAW_LOGS.name)
    batch = [Record(RAW_LOGS.name, 0, n, RECEIVED_MS, b"", example.line) for n, example in enumerate(examples)]
    output = Extraction()(batch)
    assert sum(output.dead_letters.values()) == len(bad(RAW_LOGS.name))
    readable = [message for topic in (TASKS, FEEDBACK, STEPS, PARTS) for message in output.messages[topic.name]]
    assert len(readable) == len(good(RAW_LOGS.name))


def test_no_worker_reads_the_topic_of_events() -> None:
    """The others have their readers above."""
    assert [flow.topic for flow in FLOWS if not flow.read_by] == [EVENTS]


def stored_form(document: dict[str, Any], columns: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that have a column and a value, with times as ClickHouse writes them."""
    shown = {name: document[name] for name in columns if _has_value(document.get(name)) and name not in NOT_COMPARED}
    return {name: _time(value) if name.endswith("_at") else value for name, value in shown.items()}


def _has_value(value: Any) -> bool:
    """Return False for the default of a column, of which an example says nothing; a meaning's is four zeros."""
    return any(value) if isinstance(value, list) else bool(value)


def _time(text: str) -> str:
    return text.replace("T", " ").removesuffix("Z")


def dead_lettered(stage: Stage, example: Example) -> str:
    """Run a stage, and return the reason that its one dead letter gives."""
    output = read(stage, example)
    assert list(output.messages) == [DEAD_LETTER.name]
    [letter] = written(output, DEAD_LETTER)
    DeadLetterRow.model_validate(letter)
    validator(DEAD_LETTER.name).validate(letter)
    assert output.dead_letters == {letter["reason"]: 1}
    return str(letter["reason"])
