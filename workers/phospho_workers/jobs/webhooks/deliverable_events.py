"""The events of an analysis that webhooks get, by its judgements and labels. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from phospho_store.events import Row, affirmed_events, as_judged, content_of_event
from phospho_workers.jobs.webhooks.annotations import Annotations

Event = Mapping[str, Any]


def deliverable_events(row: Row, annotations: Annotations, is_held: Callable[[str], bool]) -> Iterator[Event]:
    """
    Yield the events of an analysis that are delivered now, as readers see them; labels come before judgements.

    An event in doubt without a label and a judgement is left out where `is_held` is true of its name.
    """
    for event in row["events"]:
        content = content_of_event(row, event)
        label = annotations.labels.get((row["task_id"], event["name"]))
        if content is None or label == "confirmed":
            yield event
        elif label == "rejected":
            continue
        elif (judgement := annotations.judgements.get(content)) is not None:
            if judgement["answer"] != "no":
                yield as_judged(event, judgement)
        elif not is_held(event["name"]):
            yield event
    yield from affirmed(row, annotations)


def affirmed(row: Row, annotations: Annotations) -> Iterator[Event]:
    """Yield the events of an analysis that were nearly found, that a judge affirmed and that nobody rejected."""
    for event in affirmed_events(row, annotations.judgements):
        if annotations.labels.get((row["task_id"], event["name"])) != "rejected":
            yield event
