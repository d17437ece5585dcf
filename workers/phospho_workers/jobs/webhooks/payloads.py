"""Payloads of webhooks: pure, from rows of analyses and the judgements and labels on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from phospho_store.events import Content, Row, affirmed_events, as_judged, content_of_event

Event = Mapping[str, Any]


class Annotations(NamedTuple):
    """Judgements by their content, and labels (confirmed, rejected) by task and event name, of one project."""

    judgements: Mapping[Content, Row]
    labels: Mapping[tuple[str, str], str]


def deliverable_events(row: Row, annotations: Annotations, waits: Callable[[str], bool]) -> Iterator[Event]:
    """
    Yield the events of an analysis that are delivered now, as readers see them; labels come before judgements.

    An event in doubt without a label and a judgement is left out where `waits` is true of its name.
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
        elif not waits(event["name"]):
            yield event
    yield from affirmed(row, annotations)


def affirmed(row: Row, annotations: Annotations) -> Iterator[Event]:
    """Yield the events of an analysis that were nearly found, that a judge affirmed and that nobody rejected."""
    for event in affirmed_events(row, annotations.judgements):
        if annotations.labels.get((row["task_id"], event["name"])) != "rejected":
            yield event


def payload(row: Row, event: Event, *, with_evidence: bool) -> dict[str, Any]:
    """
    Return the body of the request for one event, with the API's names.

    The evidence, up to 200 characters of what a user or the app said, is empty unless it is asked for; no other text
    of the task is sent.
    """
    fields = ("definition_version", "engine", "scope", "score", "value", "category")
    return {
        "type": "event.added" if row["source"] == "label" else "event.detected",
        "timestamp": row["created"],
        "data": {
            "id": event["id"],
            "name": event["name"],
            "project_id": row["project_id"],
            "task_id": row["task_id"],
            "session_id": row["session_id"],
            "user_id": row["user_id"],
            "version_id": row["version_id"],
            "created_at": row["created"],
            **{name: event[name] for name in fields},
            "evidence": event["evidence"] if with_evidence else "",
            "judge": event["judge"],
        },
    }
