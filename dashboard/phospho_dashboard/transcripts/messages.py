"""The input and the output of a task as a page shows them: formatted, with the evidence of events highlighted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from phospho_dashboard.transcripts.highlights import Highlight, highlights, marked
from phospho_dashboard.transcripts.markdown import markdown_html
from phospho_web.problems import Problem

# `text=raw` in the URL of a transcript shows the texts as they were logged.
TEXT_PARAMETER = "text"
_SIDES = ("input", "output")
_FOLDED_CHARACTERS = 1000
_LONG_CHARACTERS = 1200
# The texts of a page beyond these are shown as they are: Markdown made for it takes the parser 20 us a character.
_MAX_FORMATTED_CHARACTERS = 250_000


@dataclass(frozen=True)
class Message:
    """
    One side of a task: its HTML, and whether that is formatted Markdown.

    A long one is folded in a transcript; `is_open` tells that it opens, because its evidence is further down.
    """

    html: Markup
    is_formatted: bool
    is_long: bool
    is_open: bool


def with_messages(query: Mapping[str, str], tasks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the messages of tasks by id and side, for a template, as a URL asks for them. Raises Problem 400."""
    text = query.get(TEXT_PARAMETER, "")
    if text not in ("", "raw"):
        raise Problem(400, "invalid_text", "there is no such form of a text", "raw, or leave 'text' out")
    messages: dict[str, dict[str, Message]] = {}
    characters = 0
    for task in tasks:
        characters += sum(len(task[side]) for side in _SIDES)
        is_raw = text == "raw" or characters > _MAX_FORMATTED_CHARACTERS
        messages[task["task_id"]] = _messages(task, is_raw=is_raw)
    has_formatted = any(message.is_formatted for sides in messages.values() for message in sides.values())
    return {"messages": messages, "is_raw": text == "raw", "has_formatted": has_formatted}


def _messages(task: Mapping[str, Any], *, is_raw: bool) -> dict[str, Message]:
    return {side: _message(task[side], _events_of_side(task, side), is_raw=is_raw) for side in _SIDES}


def _events_of_side(task: Mapping[str, Any], side: str) -> list[Mapping[str, Any]]:
    other_side = _SIDES[side == "input"]
    return [event for event in task["events"] if event["label"] != "rejected" and event.get("scope") != other_side]


def _message(text: str, events: list[Mapping[str, Any]], *, is_raw: bool) -> Message:
    parts: list[Highlight] = []

    def find(shown: str) -> list[Highlight]:
        parts.extend(highlights(shown, events, is_formatted=True))
        return parts

    html = None if is_raw else markdown_html(text, find)
    is_formatted = html is not None
    if html is None:
        parts = highlights(text, events)
        html = marked(text, 0, parts)
    is_deep = any(part.start > _FOLDED_CHARACTERS for part in parts)
    return Message(html, is_formatted, is_long=len(text) > _LONG_CHARACTERS, is_open=is_deep)
