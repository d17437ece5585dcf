"""
The columns of the views that SQL reads: type and meaning of each.

The SQL page, DESCRIBE and docs/sql.md show them. A test compares them with the views of the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from phospho_schemas.descriptions import FIELDS

_TEXT = "String"
_NAME = "LowCardinality(String)"
_TEXTS = "Array(String)"
_TIME = "DateTime64(3, 'UTC')"
_COUNT = "UInt64"

_ANALYSED_TASK = {
    "project_id": _NAME, "task_id": _TEXT, "session_id": _TEXT, "user_id": _TEXT, "version_id": _NAME,
    "created_at": _TIME,
}  # fmt: skip
_TYPES: Mapping[str, Mapping[str, str]] = {
    "tasks": {
        **_ANALYSED_TASK,
        "input": _TEXT, "output": _TEXT, "system_prompt": _TEXT, "flag": _TEXT, "model": _NAME,
        "tokens_in": "Nullable(UInt32)", "tokens_out": "Nullable(UInt32)", "latency_ms": "Nullable(Float64)",
        "metadata": "JSON(max_dynamic_types=0, max_dynamic_paths=64)", "metadata_text": _TEXT, "raw_input": _TEXT,
        "raw_output": _TEXT, "source": _NAME, "whole_log_id": _TEXT,
    },
    "sessions": {
        "project_id": _NAME, "session_id": _TEXT, "first_task_at": _TIME, "last_task_at": _TIME, "tasks": _COUNT,
        "user_ids": _TEXTS, "version_ids": _TEXTS, "models": _TEXTS, "tokens_in": _COUNT, "tokens_out": _COUNT,
        "successes": _COUNT, "failures": _COUNT, "feedback": _COUNT, "events": _COUNT, "event_names": _TEXTS,
        "languages": _TEXTS, "sentiment_score": "Nullable(Float64)",
    },
    "events": {
        "project_id": _NAME, "id": _TEXT, "name": _TEXT, "task_id": _TEXT, "session_id": _TEXT, "user_id": _TEXT,
        "version_id": _NAME, "created_at": _TIME, "definition_version": "UInt32", "engine": _TEXT, "scope": _TEXT,
        "score": "Float32", "evidence": _TEXT, "classifier_version": "UInt32", "judge": _TEXT,
        "value": "Nullable(Float64)", "category": _TEXT, "label": _NAME,
    },
    "analyses": {
        **_ANALYSED_TASK,
        "language": _NAME, "language_score": "Float32", "sentiment": _NAME, "sentiment_score": "Nullable(Float32)",
        "sentiment_magnitude": "Nullable(Float32)", "output_language": _NAME, "output_language_score": "Float32",
        "output_sentiment": _NAME, "output_sentiment_score": "Nullable(Float32)",
        "output_sentiment_magnitude": "Nullable(Float32)", "language_model": _NAME, "sentiment_model": _NAME,
        "theme_id": _TEXT, "theme_score": "Float32", "output_theme_id": _TEXT, "output_theme_score": "Float32",
        "event_names": f"Array({_NAME})",
    },
    "feedback": {
        "project_id": _NAME, "task_id": _TEXT, "feedback_id": _TEXT, "flag": _NAME, "score": "UInt8",
        "comment": _TEXT, "source": _NAME, "created_at": _TIME,
    },
    "labels": {
        "project_id": _NAME, "event_name": _TEXT, "task_id": _TEXT, "label": _NAME, "value": "Nullable(Float64)",
        "category": _TEXT, "comment": _TEXT, "created_by": _TEXT, "created_at": _TIME,
    },
    "notes": {
        "project_id": _NAME, "task_id": _TEXT, "note_id": _TEXT, "text": _TEXT, "created_by": _TEXT,
        "created_at": _TIME,
    },
    "definitions": {
        "project_id": _TEXT, "name": _TEXT, "version": "UInt32", "description": _TEXT, "engine": _NAME,
        "scope": _NAME, "keywords": _TEXTS, "pattern": _TEXT, "threshold": "Nullable(Float64)",
        "is_last_task": "Bool", "context_turns": "UInt8",
        "score_range": "Tuple(type String, min Float64, max Float64, categories Array(String))", "judge": _NAME,
        "created_at": _TIME,
    },
    "themes": {
        "project_id": _NAME, "theme_id": _TEXT, "side": _NAME, "title": _TEXT, "phrases": _TEXTS, "examples": _TEXTS,
        "group_id": _TEXT, "group_title": _TEXT, "is_hidden": "Bool", "is_pinned": "Bool", "merged_into": _TEXT,
        "created_at": _TIME,
    },
    "dead_letters": {
        "project_id": _NAME, "dead_letter_id": _TEXT, "stage": _NAME, "reason": _NAME, "detail": _TEXT,
        "source_topic": _NAME, "source_partition": "Int32", "source_offset": "Int64", "payload": _TEXT,
        "payload_bytes": "UInt64", "is_truncated": "Bool", "received_at": _TIME, "status": _TEXT,
    },
}  # fmt: skip
_VIEW_DESCRIPTIONS: Mapping[str, str] = {
    "tasks": "one row a task: an input with its output, as it was logged last",
    "sessions": "one row a session: the sums of its tasks",
    "events": "one row an event in a task or session, with labels and judgements applied",
    "analyses": "one row a task: its language, its sentiment, its theme and the names of its events",
    "feedback": "one row a piece of feedback; tasks.flag is the last of a task",
    "labels": "one row a label: a person's confirm or reject of an event",
    "notes": "one row a note that a person wrote on a task",
    "definitions": "one row a definition, in its current version",
    "themes": "one row a theme, a group of similar tasks",
    "dead_letters": "one row a log that could not be read or stored",
}
# Where a view's column means something else than the field of that name in the messages.
_OWN_DESCRIPTIONS: Mapping[str, Mapping[str, str]] = {
    "tasks": {
        "input": "the user's message",
        "output": "the app's answer",
        "flag": "the last feedback on the task: success or failure; empty without one",
        "metadata": "all other logged fields, by path: metadata.plan, metadata.order.items",
        "metadata_text": "the metadata exactly as it was logged, as JSON text",
        "source": "API that the task came by",
        "raw_input": "the input as it was logged, as JSON text, where it was not text",
        "raw_output": "the output as it was logged, as JSON text, where it was not text",
    },
    "sessions": {
        "first_task_at": "time of the first task",
        "last_task_at": "time of the last task",
        "tasks": "number of tasks",
        "user_ids": "users of the tasks",
        "version_ids": "versions of the app",
        "models": "LLMs",
        "tokens_in": "tokens in all prompts",
        "tokens_out": "tokens in all answers",
        "successes": "tasks whose flag is success",
        "failures": "tasks whose flag is failure",
        "feedback": "pieces of feedback",
        "events": "number of events",
        "event_names": "names of the events",
        "languages": "languages of the inputs",
        "sentiment_score": "mean sentiment of the inputs, from -1 to 1",
    },
    "events": {
        "name": "name of the definition",
        "created_at": "time of the task",
        "judge": "the judge that confirmed it; empty if none was asked",
        "score": "confidence from 0 to 1",
        "label": "confirmed, or empty; rejected events are left out",
    },
    "analyses": {
        "created_at": "time of the task",
        "event_names": "events that detection found in the task",
        "output_theme_id": "id of the theme of the output",
    },
    "feedback": {
        "flag": "success or failure",
        "score": "1 positive, 0 negative",
        "source": "author of the feedback",
        "created_at": "time of the feedback",
    },
    "labels": {
        "label": "confirmed: the event is there; rejected: it is not",
        "created_at": "time of the label",
    },
    "notes": {"created_at": "time of the note"},
    "definitions": {
        "judge": "the judge to ask in doubt",
        "scope": "texts that are read, such as input, output, task or session",
        "created_at": "time of this version",
    },
    "themes": {"created_at": "time at which the theme was found first"},
    "dead_letters": {
        "payload": "bytes of the message; only the first of them if is_truncated",
        "status": "waiting, or what a person did: replayed or dropped",
    },
}


@dataclass(frozen=True)
class Column:
    """A column of a view: its name, ClickHouse's type, and a line for people."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class ViewReference:
    """A view that SQL may read: its name, a line for people, and its columns in their order."""

    name: str
    description: str
    columns: tuple[Column, ...]


def _reference(name: str) -> ViewReference:
    descriptions = {**FIELDS, **_OWN_DESCRIPTIONS.get(name, {})}
    columns = tuple(Column(column, of_type, descriptions[column]) for column, of_type in _TYPES[name].items())
    return ViewReference(name, _VIEW_DESCRIPTIONS[name], columns)


VIEW_REFERENCES: Mapping[str, ViewReference] = {name: _reference(name) for name in _TYPES}
