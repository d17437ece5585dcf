"""The preview of a definition: the events that it would find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.definitions import compile_definitions
from phospho_workers.detection.detect import analyse


def preview_events(definition: EventDefinition, tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any] | None]:
    """Return the event that a definition finds in each task, or None."""
    rows = analyse(tasks, {definition.project_id: compile_definitions([definition])})
    return [next(iter(row["events"]), None) for row in rows]
