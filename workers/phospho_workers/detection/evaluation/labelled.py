"""Labelled logs: a file of tasks, and a file with the events that each task shows and does not show."""

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
_LABEL_KEYS = ("task_id", "positive", "negative")


class BadLabels(Exception):
    """A file can't be evaluated; the message says where and why, for the person who gave it."""


@dataclass(frozen=True)
class LabelledLogs:
    """Tasks that have a label, in the order of the logs; an event that is in neither set of a task is ambiguous."""

    tasks: Sequence[Mapping[str, Any]]
    positive: Sequence[frozenset[str]]
    negative: Sequence[frozenset[str]]

    @property
    def names(self) -> frozenset[str]:
        """The names of all labelled events."""
        return frozenset().union(*self.positive, *self.negative)

    def labels(self, name: str) -> list[bool | None]:
        """Return for each task whether it shows the event `name`; None where that is ambiguous."""
        pairs = zip(self.positive, self.negative, strict=True)
        return [True if name in shown else False if name in absent else None for shown, absent in pairs]


def read_labelled(logs: Path, labels: Path) -> LabelledLogs:
    """
    Return the tasks of `logs` that have a label. Of several lines with one task_id the last counts, as in a project.

    Both are JSON lines, plain or gzip. Raises BadLabels.
    """
    by_task = {str(line["task_id"]): _label(line, where) for line, where in read_lines(labels, _LABEL_KEYS)}
    lines = {str(line["task_id"]): line for line, _ in read_lines(logs, ("task_id", "input"))}
    tasks = [_task(line) for task_id, line in lines.items() if task_id in by_task]
    if not tasks:
        raise BadLabels(f"{labels} labels no task of {logs}: their task_id must be equal")
    labels_in_order = [by_task[task["task_id"]] for task in tasks]
    positive, negative = zip(*labels_in_order, strict=True)
    return LabelledLogs(tasks, positive, negative)


def event_definition(fields: Mapping[str, Any]) -> EventDefinition:
    """Return the definition of a file's item, in the project of the evaluation."""
    return EventDefinition.model_validate({"project_id": PROJECT, "created_at": _WRITTEN_AT, **fields})


def _task(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a log as a task with the fields that detection needs."""
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


def _label(line: Mapping[str, Any], where: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the events that a task shows, and those that it does not show."""
    for key in ("positive", "negative"):
        if not isinstance(line[key], list) or not all(isinstance(name, str) for name in line[key]):
            raise BadLabels(f"{where}: {key} must be a list of names of events")
    shown, absent = frozenset(line["positive"]), frozenset(line["negative"])
    if both := shown & absent:
        raise BadLabels(f"{where}: {min(both)} is in positive and in negative")
    return shown, absent


def read_lines(path: Path, needed: Iterable[str]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the objects of JSON lines, plain or gzip, each with its path and line number. Raises BadLabels."""
    try:
        yield from _objects(path, frozenset(needed))
    except (OSError, EOFError) as error:
        raise BadLabels(f"{path} can't be read: {error}") from None


def _objects(path: Path, needed: frozenset[str]) -> Iterator[tuple[dict[str, Any], str]]:
    with path.open("rb") as raw:
        is_compressed = raw.peek(2)[:2] == _GZIP_MAGIC
    with gzip.open(path) if is_compressed else path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                where = f"{path}, line {number}"
                yield _object(line, needed, where), where


def _object(line: bytes, needed: frozenset[str], where: str) -> dict[str, Any]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadLabels(f"{where} is not JSON: {error}") from None
    if not isinstance(value, dict) or not needed <= value.keys():
        raise BadLabels(f"{where} must be an object with {', '.join(sorted(needed))}")
    return value
