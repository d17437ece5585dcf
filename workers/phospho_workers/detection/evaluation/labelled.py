"""Labelled logs: a file of tasks, and a file that says of each which events it shows and which it does not."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from phospho_schemas.messages import EventDefinition

PROJECT = "evaluation"
_WRITTEN_AT = "2026-01-01T00:00:00.000Z"
_GZIP_MAGIC = b"\x1f\x8b"
_TEXTS = ("input", "output", "system_prompt")


class BadLabels(Exception):
    """A file can't be evaluated; the text says where and why, for the person who gave it."""


@dataclass(frozen=True)
class LabelledLogs:
    """Tasks that have a label, in the order of the logs; an event that is in neither set of a task is ambiguous."""

    tasks: Sequence[Mapping[str, Any]]
    positive: Sequence[frozenset[str]]
    negative: Sequence[frozenset[str]]

    def verdicts(self, name: str) -> list[bool | None]:
        """Return for each task whether it shows the event `name`; None where that is ambiguous."""
        pairs = zip(self.positive, self.negative, strict=True)
        return [True if name in shown else False if name in absent else None for shown, absent in pairs]


def read_labelled(logs: Path, labels: Path) -> LabelledLogs:
    """Return the tasks of `logs` that `labels` speaks of. Raises BadLabels; both are JSON lines, plain or gzip."""
    by_task = {str(line["task_id"]): line for line in _lines(labels, ("task_id", "positive", "negative"))}
    tasks = [_task(line) for line in _lines(logs, ("task_id", "input")) if str(line["task_id"]) in by_task]
    if not tasks:
        raise BadLabels(f"{labels} labels no task of {logs}: their task_id must be equal")
    chosen = [by_task[task["task_id"]] for task in tasks]
    return LabelledLogs(
        tasks,
        [frozenset(label["positive"]) for label in chosen],
        [frozenset(label["negative"]) for label in chosen],
    )


def event_definition(fields: Mapping[str, Any]) -> EventDefinition:
    """Return the definition that a file's item stands for, in the project of the evaluation."""
    return EventDefinition.model_validate({"project_id": PROJECT, "created_at": _WRITTEN_AT, **fields})


def _task(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a log as the task that detection reads; what matters for it is what was said."""
    task_id = str(line["task_id"])
    texts = {name: str(line.get(name) or "") for name in _TEXTS}
    return {
        "project_id": PROJECT,
        "task_id": task_id,
        "session_id": str(line.get("session_id") or task_id),
        "revision": 1,
        "created_at": _WRITTEN_AT,
        **texts,
    }


def _lines(path: Path, needed: Iterable[str]) -> Iterator[dict[str, Any]]:
    try:
        yield from _objects(path, frozenset(needed))
    except (OSError, EOFError) as error:
        raise BadLabels(f"{path} can't be read: {error}") from None


def _objects(path: Path, needed: frozenset[str]) -> Iterator[dict[str, Any]]:
    with path.open("rb") as raw:
        is_compressed = raw.peek(2)[:2] == _GZIP_MAGIC
    with gzip.open(path) if is_compressed else path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _object(line, needed, f"{path}, line {number}")


def _object(line: bytes, needed: frozenset[str], where: str) -> dict[str, Any]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadLabels(f"{where} is not JSON: {error}") from None
    if not isinstance(value, dict) or not needed <= value.keys():
        raise BadLabels(f"{where} must be an object with {', '.join(sorted(needed))}")
    return value
