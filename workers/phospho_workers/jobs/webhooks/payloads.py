"""What webhooks are told: pure, from rows in which events were found, and from judgements of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

Row = Mapping[str, Any]
Event = Mapping[str, Any]
# Name and version of a definition, and the hash of what it was read in.
Content = tuple[str, int, str]


class Judgement(NamedTuple):
    """What a judge says: yes, no, or empty where it gave no answer that counts."""

    answer: str
    score: float
    judge: str
    value: float | None
    category: str


class Opinions(NamedTuple):
    """Judgements and labels in one project: by content, and (confirmed, rejected) by task and event name."""

    judgements: Mapping[Content, Judgement]
    labels: Mapping[tuple[str, str], str]


def told(row: Row, opinions: Opinions, waits: Callable[[str], bool]) -> Iterator[Event]:
    """
    Yield the events of an analysis that are to be told now, as readers see them.

    What was in doubt and is denied is not told, what was nearly found is where a judge affirmed it, and people come
    before judges. What nobody has said anything of yet is not told where `waits` says so of its name.
    """
    contents = {one["name"]: (one["name"], one["definition_version"], one["content"]) for one in row["candidates"]}
    for event in row["events"]:
        content = contents.get(event["name"])
        label = opinions.labels.get((row["task_id"], event["name"]))
        if content is None or content[1] != event["definition_version"] or label == "confirmed":
            yield event
        elif label == "rejected":
            continue
        elif (judgement := opinions.judgements.get(content)) is not None:
            if judgement.answer != "no":
                yield _judged(event, judgement)
        elif not waits(event["name"]):
            yield event
    yield from affirmed(row, opinions)


def affirmed(row: Row, opinions: Opinions) -> Iterator[Event]:
    """Yield the events of an analysis that were nearly found, and are there by a judgement."""
    found = {event["name"] for event in row["events"]}
    for candidate in row["candidates"]:
        judgement = opinions.judgements.get((candidate["name"], candidate["definition_version"], candidate["content"]))
        label = opinions.labels.get((row["task_id"], candidate["name"]))
        is_affirmed = judgement is not None and judgement.answer == "yes" and label != "rejected"
        if judgement is not None and is_affirmed and candidate["name"] not in found:
            yield _judged({**candidate, "score": judgement.score, "evidence": ""}, judgement)


def payload(row: Row, event: Event, *, with_evidence: bool) -> dict[str, Any]:
    """
    Return what a receiver is told of one event: the names are those of the API.

    The evidence, up to 200 characters of what a user or the app said, is empty unless it is asked for; no other text
    of the task is told.
    """
    told_fields = ("definition_version", "engine", "scope", "score", "value", "category")
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
            "evidence": event["evidence"] if with_evidence else "",
            "judge": event.get("judge", ""),
        },
    }


def _judged(event: Event, judgement: Judgement) -> Event:
    if judgement.answer != "yes":
        return event
    said = {"judge": judgement.judge, "value": judgement.value, "category": judgement.category}
    return {**event, **said}
