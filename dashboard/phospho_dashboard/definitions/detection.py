"""The functions of detection that definitions are tried with. The workers have them, and this package may not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from phospho_schemas.messages import EventDefinition


@dataclass(frozen=True)
class Detection:
    """
    Functions of detection, handed in by the process.

    `check` says why a definition can't work (a pattern that does not compile, no keywords), or None.
    `estimate` says what a backfill of a definition between two times would cost.
    `diff` compares what two versions find in the latest tasks, of which the last argument is the number.
    `label_queue` returns the ids of the tasks of a project to label next for a definition.
    `preview` returns the event that a definition finds in each task (a row of `task_rows`), as JSON, or None. It is
    None where this process can't detect.
    """

    check: Callable[[EventDefinition], str | None]
    estimate: Callable[[EventDefinition, datetime | None, datetime | None], dict[str, Any]]
    diff: Callable[[EventDefinition | None, EventDefinition, int], dict[str, Any]]
    label_queue: Callable[[str, str, int], list[str]]
    preview: Callable[[EventDefinition, Sequence[Mapping[str, Any]]], Sequence[dict[str, Any] | None]] | None = None
