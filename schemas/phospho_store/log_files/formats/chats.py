"""
Chats: records with `messages`, each with a role, as OpenAI's, Anthropic's and LangChain's clients take and save them.

The list may have another of _LISTS for its name, and ShareGPT's `from` and `value` for role and content.

Each question with its answer is a task, and the record is their session.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from phospho_schemas.shapes.conversations import ASSISTANT, SYSTEM, USER, Message, messages_of
from phospho_store.log_files.formats.values import Event, Format, Record, stated, unix_seconds, unpacked

_LISTS = ("messages", "conversations", "conversation", "dialogue", "dialog", "chat", "turns")
_SHAREGPT_ROLES = {"human": USER, "user": USER, "gpt": ASSISTANT, "assistant": ASSISTANT, "system": SYSTEM}
# The first that a record has.
_SESSION = ("session_id", "conversation_id", "thread_id", "chat_id", "id")
_TIME = ("created_at", "client_created_at", "timestamp", "created", "create_time", "time", "date")
_USER = ("user_id", "user")
_VERSION = ("version_id",)
_TAKEN = frozenset({*_SESSION, *_TIME, *_USER, *_VERSION, "metadata"})


@dataclass
class _Turn:
    questions: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)


def recognises(record: Record) -> bool:
    """Return True for a record with messages of a user and without an input."""
    return "input" not in record and _listed(record) is not None


def events_of(record: Record) -> list[Event]:
    """Return the event of each question, in order. Those of several share a session only if the record names one."""
    key, messages = _listed(record) or ("", [])
    metadata = unpacked(record.get("metadata"))
    others = {name: value for name, value in record.items() if name not in _TAKEN and name != key}
    shared = {
        "session_id": _text(_first(record, _SESSION)),
        "user_id": _text(_first(record, _USER)),
        "version_id": _text(_first(record, _VERSION)),
        "client_created_at": _time(_first(record, _TIME)),
        "system_prompt": "\n".join(message.text for message in messages if message.role == SYSTEM),
        "metadata": stated((metadata if isinstance(metadata, dict) else {}) | others),
    }
    turns = [{"input": "\n".join(turn.questions), "output": "\n".join(turn.answers)} for turn in _turns(messages)]
    return [stated(shared | turn) for turn in turns if turn["input"]]


def _listed(record: Record) -> tuple[str, list[Message]] | None:
    """Return the key whose value is messages, a user's among them, and these messages."""
    for key in _LISTS:
        messages = messages_of(_with_roles(unpacked(record.get(key))))
        if any(message.role == USER for message in messages or ()):
            return key, messages or []
    return None


def _with_roles(values: Any) -> Any:
    """Return ShareGPT's messages as those of OpenAI, and any other value as it is."""
    if not isinstance(values, list) or not all(isinstance(each, dict) and "from" in each for each in values):
        return values
    return [
        {"role": _SHAREGPT_ROLES.get(str(each["from"]), str(each["from"])), "content": each.get("value")}
        for each in values
    ]


def _turns(messages: Sequence[Message]) -> list[_Turn]:
    """Return the turns: messages of a user in a row are one question, answers up to the next one its answer."""
    turns: list[_Turn] = []
    for message in messages:
        if message.role == USER:
            if not turns or turns[-1].answers:
                turns.append(_Turn())
            turns[-1].questions.append(message.text)
        elif message.role == ASSISTANT and turns and message.text:
            turns[-1].answers.append(message.text)
    return turns


def _first(record: Record, names: Sequence[str]) -> Any:
    return next((record[name] for name in names if record.get(name) not in (None, "")), None)


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) else None


def _time(value: Any) -> Any:
    """Return Unix seconds, or the value as it is, for the checks of every time to refuse."""
    return unix_seconds(value) or value


FORMAT = Format("chat messages", recognises, events_of)
