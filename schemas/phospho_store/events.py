"""The rules of the views `found_events` and `events` for rows that are in hand: judgements and labels applied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
        "judge": judgement["judge"] or event["judge"],
        "value": event["value"] if judgement["value"] is None else judgement["value"],
        "category": judgement["category"] or event["category"],
    }


def added_event(label: Row) -> dict[str, Any]:
    """Return the event that a confirming label adds to a task in which it was not found."""
    values = {name: label[name] for name in ("value", "category")}
    return {"id": label["event_id"], "name": label["event_name"], **_ADDED, **values}
