"""
Tasks, sessions and projects as upstream's clients parse them. Pure.

The shapes are those of `phospho.models` in the PyPI package 0.3.45. Times are whole Unix seconds. Further fields stand
beside upstream's: clients ignore fields that they don't know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from phospho_gateway.legacy.reads.session_reads import StoredSession
from phospho_gateway.legacy.reads.task_reads import Row, StoredTask
from phospho_schemas.messages import EventDefinition, Project

# Columns that upstream keeps as metadata.
COLUMNS_IN_METADATA = ("user_id", "version_id", "model", "system_prompt")

_ENGINES = {"keyword": "keyword_detection", "regex": "regex_detection"}
_SCOPES = {"input": "task_input_only", "output": "task_output_only"}


def task_document(task: StoredTask) -> Row:
    """Return a task as `Task`. `task_id` repeats `id` for upstream's list of a session's tasks."""
    row = task.row
    metadata = metadata_of(row)
    data = metadata.get("data")
    return {
        "id": row["task_id"],
        "task_id": row["task_id"],
        "created_at": row["created_at_ms"] // 1000,
        "project_id": task.project_id,
        "session_id": row["session_id"],
        "input": row["input"],
        "output": row["output"] or None,
        "additional_input": _object(row["raw_input"], "raw_input"),
        "additional_output": _object(row["raw_output"], "raw_output"),
        "metadata": metadata,
        "data": data if isinstance(data, dict) else {},
        "flag": task.flag or None,
        "last_eval": _last_eval(task),
        "human_eval": _human_eval(task),
        "notes": notes_of(task),
        "sentiment": _sentiment(task.analysis),
        "language": task.analysis.get("language") or None,
        "events": [_event(event) for event in task.events],
        "task_position": task.position,
        "is_last_task": task.position == task.session_length,
    }


def session_document(session: StoredSession) -> Row:
    """Return a session as `Session`, without its tasks, which have an endpoint of their own."""
    row, statistics = session.row, session.statistics
    preview = " -> ".join(text for text in (row["first_input"], row["first_output"]) if text)
    stats = {
        "avg_sentiment_score": statistics.get("mean_sentiment"),
        "most_common_sentiment_label": _most_common(statistics.get("sentiments")),
        "most_common_language": _most_common(statistics.get("languages")),
        "most_common_flag": _most_common_flag(session.flags),
    }
    return new_session(session.project_id, row["session_id"], row["first_task_at_ms"] // 1000) | {
        "preview": preview,
        "events": [_event(event) for event in session.events],
        "session_length": row["session_length"],
        "stats": stats,
        "last_message_ts": row["last_task_at_ms"] // 1000,
    }


def new_session(project_id: str, session_id: str, created_at_s: int) -> Row:
    """Return a session without a task as `Session`."""
    return {
        "id": session_id,
        "created_at": created_at_s,
        "project_id": project_id,
        "metadata": {},
        "data": {},
        "events": [],
        "tasks": None,
        "session_length": 0,
    }


def project_document(project: Project, definitions: Iterable[EventDefinition]) -> Row:
    """Return a project as `Project`, with the events that it defines."""
    return {
        "id": project.project_id,
        "created_at": int(project.created_at.timestamp()),
        "org_id": project.project_id,
        "project_name": project.name or project.project_id,
        "settings": {"events": {definition.name: _definition(definition) for definition in definitions}},
    }


def flattened(task: StoredTask, with_events: bool, with_sessions: bool) -> Iterator[Row]:
    """Yield a task as `FlattenedTask`: once for each of its events, and once where it has none."""
    row, last = task.row, task.feedback[-1] if task.feedback else None
    flat = {
        "task_id": row["task_id"],
        "task_input": row["input"],
        "task_output": row["output"] or None,
        "task_metadata": metadata_of(row),
        "task_eval": task.flag or None,
        "task_eval_source": last["source"] if last else None,
        "task_eval_at": last["created_at_ms"] // 1000 if last else None,
        "task_created_at": row["created_at_ms"] // 1000,
        "task_position": task.position,
    }
    if with_sessions:
        flat |= {"session_id": row["session_id"], "session_length": task.session_length}
    if not with_events:
        yield flat
        return
    for event in task.events or [{}]:
        yield flat | _flat_event(event)


def transcript(tasks: Iterable[StoredTask]) -> str:
    """Return a conversation as lines of its user and its assistant."""
    lines = []
    for task in tasks:
        lines.append(f"User: {task.row['input']}\n")
        if task.row["output"]:
            lines.append(f"Assistant: {task.row['output']}\n")
    return "".join(lines)


def metadata_of(row: Row) -> Row:
    """Return the metadata of a task with the columns that upstream keeps there."""
    columns = {name: row[name] for name in COLUMNS_IN_METADATA if row[name]}
    metadata: Row = columns | row["metadata"]
    return metadata


def notes_of(task: StoredTask) -> str | None:
    """Return the comment of the last feedback with one, or the notes that were kept with the task."""
    comments: list[str] = [feedback["comment"] for feedback in task.feedback if feedback["comment"]]
    if comments:
        return comments[-1]
    notes = task.row["metadata"].get("notes")
    return notes if isinstance(notes, str) else None


def _object(text: str, name: str) -> Row:
    """Return a logged object; any other JSON under `name`, as upstream's field is an object."""
    document = orjson.loads(text) if text else {}
    return document if isinstance(document, dict) else {name: document}


def _last_eval(task: StoredTask) -> Row | None:
    if not task.feedback:
        return None
    last = task.feedback[-1]
    return {
        "id": last["feedback_id"],
        "created_at": last["created_at_ms"] // 1000,
        "project_id": task.project_id,
        "session_id": task.row["session_id"],
        "task_id": task.row["task_id"],
        "value": last["flag"],
        "source": last["source"],
        "notes": last["comment"] or None,
    }


def _human_eval(task: StoredTask) -> Row | None:
    if not task.feedback:
        return None
    last = task.feedback[-1]
    return {"id": last["feedback_id"], "created_at": last["created_at_ms"] // 1000, "flag": last["flag"]}


def _sentiment(analysis: Row) -> Row | None:
    if not analysis.get("sentiment"):
        return None
    return {
        "score": analysis["sentiment_score"],
        "magnitude": analysis["sentiment_magnitude"],
        "label": analysis["sentiment"],
    }


def _event(event: Row) -> Row:
    """Return an event as `Event`; `confirmed` is what a person said of it."""
    return {
        "id": event["id"],
        "created_at": event["created_at_ms"] // 1000,
        "project_id": event["project_id"],
        "event_name": event["name"],
        "task_id": event["task_id"],
        "session_id": event["session_id"],
        "source": _source(event),
        "score_range": _score_range(event),
        "confirmed": event["label"] == "confirmed",
        "evidence": event["evidence"],
    }


def _source(event: Row) -> str:
    return "owner" if event["engine"] == "person" else f"phospho-{event['engine']}"


def _score_range(event: Row) -> Row:
    """Return the score of an event as `ScoreRange`."""
    score = {"score_type": "confidence", "value": event["score"], "min": 0, "max": 1, "label": None}
    if event["category"]:
        return score | {"score_type": "category", "label": event["category"]}
    if event["value"] is not None:
        return score | {
            "score_type": "range",
            "value": event["value"],
            "min": event["least"],
            "max": event["greatest"],
        }
    return score


def _flat_event(event: Row) -> Row:
    """Return the columns of an event, or of none."""
    if not event:
        return dict.fromkeys(_FLAT_EVENT_FIELDS)
    score = _score_range(event)
    values = (
        event["id"], event["name"], event["created_at_ms"] // 1000, _source(event), event["label"] == "confirmed",
        score["value"], score["min"], score["max"], score["score_type"], score["label"],
    )  # fmt: skip
    return dict(zip(_FLAT_EVENT_FIELDS, values, strict=True))


_FLAT_EVENT_FIELDS = (
    "event_id", "event_name", "event_created_at", "event_source", "event_confirmed",
    "event_score_range_value", "event_score_range_min", "event_score_range_max", "event_score_range_score_type",
    "event_score_range_label",
)  # fmt: skip


def _most_common(counts: list[list[Any]] | None) -> str | None:
    """Return the name with the greatest count of a sumMap, by name where two are equal."""
    names, numbers = counts or ([], [])
    return min(zip(numbers, names, strict=True), key=lambda pair: (-pair[0], pair[1]))[1] if names else None


def _most_common_flag(flags: Row) -> str | None:
    successes, failures = flags.get("successes", 0), flags.get("failures", 0)
    if not successes and not failures:
        return None
    return "success" if successes >= failures else "failure"


def _definition(definition: EventDefinition) -> Row:
    """Return a definition as `EventDefinition`. Its name is its id; a semantic one is nearest to upstream's LLM."""
    meaning = definition.score_range
    return {
        "id": definition.name,
        "created_at": int(definition.created_at.timestamp()),
        "project_id": definition.project_id,
        "event_version_id": definition.version,
        "event_name": definition.name,
        "description": definition.description,
        "detection_engine": _ENGINES.get(definition.engine, "llm_detection"),
        "detection_scope": _SCOPES.get(definition.scope, definition.scope),
        "keywords": ",".join(definition.keywords) or None,
        "regex_pattern": definition.pattern or None,
        "is_last_task": definition.is_last_task,
        "score_range_settings": {
            "min": meaning.min,
            "max": meaning.max,
            "score_type": meaning.type,
            "categories": meaning.categories or None,
        },
    }
