"""Labelled tasks as a classifier learns from them: their texts and the label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.text.sides import OTHER_SIDE, Side, texts_of


class LabelledText(NamedTuple):
    """
    A labelled task: its texts on the sides that the definition reads, and whether it shows the event.

    `other_side` is its text on the side of OTHER_SIDE. The `weight` of a person's label is 1.
    """

    texts: Mapping[Side, str]
    is_event: bool
    weight: float = 1.0
    other_side: str = ""


def labelled_text(
    definition: EventDefinition, task: Mapping[str, Any], is_event: bool, weight: float = 1.0
) -> LabelledText:
    """Return a task as a label of a definition."""
    other_side = OTHER_SIDE.get(definition.scope, "")
    return LabelledText(texts_of(task, definition.scope), is_event, weight, task.get(other_side) or "")
