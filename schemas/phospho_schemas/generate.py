"""
The contract as documents: a JSON Schema for each topic and registry row, and the AsyncAPI document of the pipeline.

Pure: the texts follow from the package alone, so that a test can hold the files to them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic.json_schema import models_json_schema

from phospho_schemas import messages, topics
from phospho_schemas.descriptions import FIELDS
from phospho_schemas.messages import SCHEMA_VERSION, Message
from phospho_schemas.rows import (
    alerts,
    boards,
    jobs,
    ledger,
    people,
    saved,
    themes,
    webhooks,
)
from phospho_schemas.rows.annotations import Label, Note, Review
from phospho_schemas.topics import Topic

SCHEMA_FOLDER = "schemas/phospho_schemas/json_schema"
ASYNCAPI_FILE = "docs/asyncapi.json"

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_KAFKA_BINDING = "0.5.0"


@dataclass(frozen=True)
class Flow:
    """The models of a topic, in any order, and the processes that write and read it."""

    topic: Topic
    models: tuple[type[Message], ...]
    written_by: tuple[str, ...]
    read_by: tuple[str, ...]


FLOWS = (
    Flow(
        topics.RAW_LOGS,
        (messages.RawLog, messages.RawFeedback, messages.RawStep, messages.RawPart),
        ("gateway", "dashboard"),
        ("extraction",),
    ),
    Flow(topics.TASKS, (messages.TaskRow,), ("extraction",), ("detection", "sink")),
    Flow(topics.ANALYSES, (messages.AnalysisRow,), ("detection",), ("sink",)),
    Flow(topics.EVENTS, (messages.EventMessage,), ("detection",), ()),
    Flow(topics.FEEDBACK, (messages.FeedbackRow,), ("extraction",), ("sink",)),
    Flow(topics.STEPS, (messages.StepRow,), ("extraction",), ("sink",)),
    Flow(topics.PARTS, (messages.PartRow,), ("extraction",), ("sink",)),
    Flow(topics.RECEIPTS, (ledger.ReceiptRow,), ("gateway",), ("sink",)),
    Flow(topics.DEAD_LETTER, (messages.DeadLetterRow,), ("extraction", "detection", "sink"), ("sink",)),
)
REGISTRY_ROWS: Mapping[str, type[Message]] = {
    "project_rows": messages.Project,
    "api_key_rows": messages.ApiKey,
    "definition_rows": messages.EventDefinition,
    "label_rows": Label,
    "review_rows": Review,
    "note_rows": Note,
    "classifier_rows": jobs.ClassifierRow,
    "student_rows": jobs.StudentRow,
    "person_rows": people.Person,
    "sign_in_rows": people.SignIn,
    "session_analysis_rows": jobs.SessionAnalysisRow,
    "session_close_rows": jobs.SessionClosing,
    "backfill_rows": jobs.Backfill,
    "webhook_rows": webhooks.Webhook,
    "webhook_delivery_rows": webhooks.WebhookDelivery,
    "judgement_rows": jobs.JudgementRow,
    "llm_call_rows": jobs.LlmCallRow,
    "dead_letter_action_rows": ledger.DeadLetterAction,
    "ledger_rows": ledger.LedgerHour,
    "alert_rows": alerts.Alert,
    "saved_query_rows": saved.SavedQuery,
    "saved_view_rows": saved.SavedView,
    "alert_evaluation_rows": alerts.AlertEvaluation,
    "board_rows": boards.Board,
    "theme_model_rows": themes.ThemeModelRow,
    "theme_rows": themes.ThemeRow,
    "theme_fact_rows": themes.ThemeFact,
    "theme_edit_rows": themes.ThemeEdit,
    "theme_refresh_rows": themes.ThemeRefresh,
    "theme_run_rows": themes.ThemeRun,
}


def generated_files() -> dict[str, str]:
    """Return every generated file: its path from the root of the repository, and its text."""
    schemas = {flow.topic.name: flow.models for flow in FLOWS} | {n: (model,) for n, model in REGISTRY_ROWS.items()}
    files = {f"{SCHEMA_FOLDER}/{schema_file(name)}": _text(json_schema(name, m)) for name, m in schemas.items()}
    return files | {ASYNCAPI_FILE: _text(asyncapi())}


def schema_file(name: str) -> str:
    """Return the file name of the JSON Schema of a topic, or of a table of the registry."""
    return f"{name}.v{SCHEMA_VERSION}.json"


def json_schema(name: str, models: Sequence[type[Message]]) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of messages that are one of `models`."""
    definitions = _definitions(models, "#/$defs/{model}")
    references = [{"$ref": f"#/$defs/{model.__name__}"} for model in models]
    return {
        "$schema": _DIALECT,
        "$id": f"urn:phospho:{name}:v{SCHEMA_VERSION}",
        "title": name,
        **(references[0] if len(references) == 1 else {"oneOf": references}),
        "$defs": definitions,
    }


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document: the topics, their payloads, and what each process does with them."""
    models = [model for flow in FLOWS for model in flow.models]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "phospho",
            "version": str(SCHEMA_VERSION),
            "description": "The topics of phospho, and the processes that write and read them.",
        },
        "defaultContentType": "application/json",
        "channels": {flow.topic.name: _channel(flow) for flow in FLOWS},
        "operations": dict(operation for flow in FLOWS for operation in _operations(flow)),
        "components": {
            "messages": {model.__name__: _message(flow.topic, model) for flow in FLOWS for model in flow.models},
            "schemas": _definitions(models, "#/components/schemas/{model}"),
        },
    }


def _definitions(models: Iterable[type[Message]], ref_template: str) -> dict[str, Any]:
    """Return the schema of each model, and of what they are made of, by the model's name."""
    _, document = models_json_schema([(model, "validation") for model in models], ref_template=ref_template)
    definitions: dict[str, Any] = document["$defs"]
    for definition in definitions.values():
        _describe(definition)
    if "RawFeedback" in definitions:
        # Without its kind it would be a log: a log needs none.
        definitions["RawFeedback"]["required"].append("kind")
    return definitions


def _describe(definition: dict[str, Any]) -> None:
    for name, field in definition["properties"].items():
        field.setdefault("description", FIELDS[name])


def _channel(flow: Flow) -> dict[str, Any]:
    config = flow.topic.config()
    return {
        "address": flow.topic.name,
        "description": flow.topic.help,
        "messages": {model.__name__: {"$ref": f"#/components/messages/{model.__name__}"} for model in flow.models},
        "bindings": {
            "kafka": {
                "topic": flow.topic.name,
                "partitions": flow.topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": config["cleanup.policy"].split(","),
                    "retention.ms": int(config["retention.ms"]),
                    "max.message.bytes": int(config["max.message.bytes"]),
                },
                "bindingVersion": _KAFKA_BINDING,
            }
        },
    }


def _operations(flow: Flow) -> Iterable[tuple[str, dict[str, Any]]]:
    for process in flow.written_by:
        yield f"{process}-writes-{flow.topic.name}", _operation(flow, process, "send")
    for process in flow.read_by:
        group = {"type": "string", "const": f"phospho-{process}"}
        binding = {"kafka": {"groupId": group, "bindingVersion": _KAFKA_BINDING}}
        yield f"{process}-reads-{flow.topic.name}", _operation(flow, process, "receive") | {"bindings": binding}


def _operation(flow: Flow, process: str, action: str) -> dict[str, Any]:
    channel = f"#/channels/{flow.topic.name}"
    return {
        "action": action,
        "channel": {"$ref": channel},
        "tags": [{"name": process}],
        "messages": [{"$ref": f"{channel}/messages/{model.__name__}"} for model in flow.models],
    }


def _message(topic: Topic, model: type[Message]) -> dict[str, Any]:
    return {
        "name": model.__name__,
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
        "bindings": {"kafka": {"key": {"type": "string", "description": topic.key}, "bindingVersion": _KAFKA_BINDING}},
    }


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
