"""What webhooks are told: pure, from rows in which events were found, and from second opinions of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

Row = Mapping[str, Any]
Event = Mapping[str, Any]
# Name and version of a definition, and the hash of what it was read in.
Content = tuple[str, int, str]


class Verdict(NamedTuple):
    """What a judge says: yes, no, or empty where it gave no answer that counts."""

    verdict: str
    score: float
    judge: str
    value: float | None
    category: str


def told(row: Row, verdicts: Mapping[Content, Verdict], waits: Callable[[str], bool]) -> Iterator[Event]:
    """
    Yield the events of an analysis that are to be told now, as readers see them.

    What a judge denied is not; what was nearly found is where a judge affirmed it. What has no verdict yet is not told
    where `waits` says so of its name.
    """
    contents = {one["name"]: (one["name"], one["definition_version"], one["content"]) for one in row["candidates"]}
    for event in row["events"]:
        content = contents.get(event["name"])
        if content is None or content[1] != event["definition_version"]:
            yield event
        elif (verdict := verdicts.get(content)) is not None:
            if verdict.verdict != "no":
                yield _judged(event, verdict)
        elif not waits(event["name"]):
            yield event
    yield from affirmed(row, verdicts)


def affirmed(row: Row, verdicts: Mapping[Content, Verdict]) -> Iterator[Event]:
    """Yield the events of an analysis that were nearly found, and are there by a second opinion."""
    found = {event["name"] for event in row["events"]}
    for candidate in row["candidates"]:
        verdict = verdicts.get((candidate["name"], candidate["definition_version"], candidate["content"]))
        if candidate["name"] not in found and verdict is not None and verdict.verdict == "yes":
            yield _judged({**candidate, "score": verdict.score, "evidence": ""}, verdict)


def payload(row: Row, event: Event) -> dict[str, Any]:
    """Return what a receiver is told of one event: the names are those of the API, and no text of the task is told."""
    told_fields = ("definition_version", "engine", "scope", "score", "evidence", "value", "category")
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
            **{name: event[name] for name in told_fields},
            "judge": event.get("judge", ""),
        },
    }


def _judged(event: Event, verdict: Verdict) -> Event:
    if verdict.verdict != "yes":
        return event
    said = {"judge": verdict.judge, "value": verdict.value, "category": verdict.category}
    return {**event, **said}
