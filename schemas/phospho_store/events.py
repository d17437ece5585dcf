"""The rules of the views `found_events` and `events` in Python: judgements and labels applied to rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
# Name and version of a definition, and the hash of the texts that it read.
Content = tuple[str, int, str]

_LACKING_IN_CANDIDATES = {"evidence": "", "classifier_version": 0, "judge": "", "value": None, "category": ""}
_ONLY_IN_CANDIDATES = ("doubt", "content")
_ADDED = {
    "definition_version": 0,
    "engine": "person",
    "scope": "task",
    "score": 1.0,
    "evidence": "",
    "classifier_version": 0,
    "judge": "",
}


def content_of(row: Row) -> Content:
    """Return what a judgement is of; the row is a judgement or a candidate."""
    return row["name"], row["definition_version"], row["content"]


def content_of_event(analysis: Row, event: Row) -> Content | None:
    """Return what a judgement on an event of an analysis is of; None where its engine had no doubt."""
    for candidate in analysis["candidates"]:
        if candidate["name"] == event["name"]:
            return event["name"], event["definition_version"], candidate["content"]
    return None


def judged_events(analysis: Row, judgements: Mapping[Content, Row]) -> Iterator[dict[str, Any]]:
    """Yield the events of an analysis after judgements: those found and not denied, then those affirmed."""
    for event in analysis["events"]:
        content = content_of_event(analysis, event)
        judgement = judgements.get(content) if content else None
        if judgement is None or judgement["answer"] != "no":
            yield as_judged(event, judgement)
    yield from affirmed_events(analysis, judgements)


def affirmed_events(analysis: Row, judgements: Mapping[Content, Row]) -> Iterator[dict[str, Any]]:
    """Yield the events of an analysis that were nearly found and that a judge affirmed."""
    names = {event["name"] for event in analysis["events"]}
    for candidate in analysis["candidates"]:
        judgement = judgements.get(content_of(candidate))
        if judgement is not None and judgement["answer"] == "yes" and candidate["name"] not in names:
            event = {name: value for name, value in candidate.items() if name not in _ONLY_IN_CANDIDATES}
            yield as_judged({**_LACKING_IN_CANDIDATES, **event, "score": judgement["score"]}, judgement)


def as_judged(event: Row, judgement: Row | None) -> dict[str, Any]:
    """Return an event with its judge, and the value and category that the judge gave it."""
    if judgement is None or judgement["answer"] != "yes":
        return dict(event)
    return {
        **event,
        **_overridden(event, judgement),
        "judge": judgement["judge"] or event["judge"],
    }


def labelled_events(events: Sequence[Row], labels: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """
    Yield the events of a task with the label of each, then the events that confirming labels add.

    `labels` are rows of `label_rows` of the task. A rejected event is yielded too, with `rejected` as its `label`; an
    event that nobody labelled has "".
    """
    by_name = {label["event_name"]: label for label in labels}
    for event in events:
        yield _as_labelled(event, by_name.get(event["name"]))
    names = {event["name"] for event in events}
    for label in labels:
        if label["label"] == "confirmed" and label["event_name"] not in names:
            yield {**added_event(label), "label": "confirmed"}


def added_event(label: Row) -> dict[str, Any]:
    """Return the event that a confirming label adds to a task in which it was not found."""
    values = {name: label[name] for name in ("value", "category")}
    return {"id": label["event_id"], "name": label["event_name"], **_ADDED, **values}


def _as_labelled(event: Row, label: Row | None) -> dict[str, Any]:
    if label is None:
        return {**event, "label": ""}
    return {**event, **_overridden(event, label), "label": label["label"]}


def _overridden(event: Row, annotation: Row) -> dict[str, Any]:
    """Return the value and category of an event, with those that a judgement or label gives it before its own."""
    return {
        "value": event["value"] if annotation["value"] is None else annotation["value"],
        "category": annotation["category"] or event["category"],
    }
