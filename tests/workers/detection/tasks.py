"""Tasks and definitions to write tests of detection with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.learning.classifiers import Classifier
from phospho_workers.detection.learning.training_set import LabelledText, TrainingSet


def task(text: str = "", output: str = "", **fields: Any) -> dict[str, Any]:
    """Return a decoded TaskRow with an input, an output and whatever else is given."""
    known = {
        "project_id": "shop",
        "task_id": "task-1",
        "session_id": "session-1",
        "revision": 7,
        "created_at": "2026-01-02T03:04:05.678Z",
        "input": text,
        "output": output,
    }
    return known | fields


def definition(name: str, engine: str, **fields: Any) -> EventDefinition:
    """Return a definition of project `shop`."""
    known = {"project_id": "shop", "created_at": datetime(2026, 1, 1, tzinfo=UTC)}
    return EventDefinition.model_validate(known | {"name": name, "engine": engine} | fields)


def keywords(name: str, *words: str, **fields: Any) -> EventDefinition:
    return definition(name, "keyword", keywords=list(words), **fields)


def regex(name: str, pattern: str, **fields: Any) -> EventDefinition:
    return definition(name, "regex", pattern=pattern, **fields)


def semantic(name: str, description: str, **fields: Any) -> EventDefinition:
    return definition(name, "semantic", description=description, **fields)


def train(
    definitions: Sequence[EventDefinition],
    labels: Mapping[str, Sequence[LabelledText]],
    names: Iterable[str] | None = None,
) -> dict[str, Classifier]:
    """Return the classifiers that labels train."""
    return TrainingSet(definitions, labels).train(names)
