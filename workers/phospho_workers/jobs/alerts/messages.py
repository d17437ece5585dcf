"""Messages of alerts in the format of each channel: bounded plain text, of which no receiver makes markup."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from phospho_schemas.rows.webhooks import ChannelFormat

_MAX_CHARACTERS = 300
# Control characters, and those that change the direction of the text around them.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]+")

Json = dict[str, Any]


@dataclass(frozen=True)
class AlertMessage:
    """
    A message: a title, facts as pairs of label and text, and a link. `data` is what a webhook gets.

    `message_id` is the same however often the message is sent.
    """

    message_id: str
    kind: Literal["alert.fired", "alert.resolved", "alert.test"]
    title: str
    facts: tuple[tuple[str, str], ...]
    url: str
    timestamp: str
    data: Mapping[str, Any]


def body_of(message: AlertMessage, channel_format: ChannelFormat) -> str:
    """Return the body of a message in the format of a channel, as JSON text."""
    return orjson.dumps(_BODIES[channel_format](message)).decode()


def _webhook(message: AlertMessage) -> Json:
    data = {"id": message.message_id, **message.data, "title": _plain(message.title), "url": message.url}
    return {"type": message.kind, "timestamp": message.timestamp, "data": data}


def _slack(message: AlertMessage) -> Json:
    title = _slack_text(message.title)
    fields = "\n".join(f"{label}: {_slack_text(text)}" for label, text in message.facts)
    link = f"\n<{message.url}|Open in phospho>" if message.url else ""
    # The title is plain text, where Slack reads neither mentions nor links.
    header = {"type": "header", "text": {"type": "plain_text", "text": _plain(message.title)[:150], "emoji": False}}
    body = {"type": "section", "text": {"type": "mrkdwn", "text": fields + link, "verbatim": True}}
    return {"text": title, "blocks": [header, body]}


def _teams(message: AlertMessage) -> Json:
    # Runs of a RichTextBlock are plain text; a TextBlock would read Markdown.
    def block(text: str, **style: Any) -> Json:
        return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": _plain(text), **style}]}

    lines = [block(f"{label}: {text}") for label, text in message.facts]
    card: Json = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [block(message.title, weight="Bolder", size="Medium"), *lines],
    }
    if message.url:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open in phospho", "url": message.url}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}


def _email(message: AlertMessage) -> Json:
    lines = [f"{label}: {_plain(text)}" for label, text in message.facts]
    links = ["", message.url] if message.url else []
    return {"subject": f"[phospho] {_plain(message.title)}", "text": "\n".join([*lines, *links, ""])}


def _plain(text: str) -> str:
    """Return a text on one line, without characters that are not seen, cut where it is too long."""
    line = _UNSEEN.sub(" ", text).strip()
    return line if len(line) <= _MAX_CHARACTERS else f"{line[: _MAX_CHARACTERS - 1]}…"


def _slack_text(text: str) -> str:
    """Return a text in which Slack finds no link and no mention, and no emphasis of ours to end."""
    escaped = _plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # Emphasis needs a mark at the edge of a word: a zero-width space before each takes it.
    return re.sub(r"([*_~`])", "\u200b\\1", escaped)


_BODIES: Mapping[ChannelFormat, Callable[[AlertMessage], Json]] = {
    "webhook": _webhook,
    "slack": _slack,
    "teams": _teams,
    "email": _email,
}
