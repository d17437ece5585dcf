"""
From the messages of a conversation, as upstream's `POST /v3/log` takes them, to one log a turn: pure.

A turn begins with what the user says and ends before the user speaks again. Its last answer is the output; what lies
between, such as the calls of tools and their results, stays in the raw input. The clients of that endpoint send a
conversation again and again as it grows, so that each turn needs an id that it keeps: `merge_mode` says which.

By `resolve` a turn is known by the `id` of its first message; where that has none, by what the user said in it and by
the turn before. So a "yes" to another question is another task, and a conversation sent whole is the same again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

import orjson

from phospho_schemas.ids import derived_uuid
from phospho_web.bodies import json_type
from phospho_web.problems import invalid

MergeMode = Literal["resolve", "append", "replace"]
MERGE_MODES = get_args(MergeMode)

_SYSTEM_ROLES = ("system", "developer")
_ASSISTANT_ROLES = ("assistant", "ai", "model", "chatbot")
_USER_ROLES = ("user", "human")

_OF_THE_WHOLE = ("messages", "merge_mode", "created_at", "client_created_at")
_OF_A_TASK = ("task_id", "event_id", "input", "output", "raw_input", "raw_output")

Message = dict[str, Any]
_Name = tuple[str | bytes, ...]


def turns(event: Mapping[str, Any], project_id: str, session_id: str, started_at_s: float) -> Iterator[dict[str, Any]]:
    """
    Yield the log of each turn of an event, in order; each is a millisecond later than the one before.

    Everything else that the event says is said of each of its turns. Raises Problem (422).
    """
    messages, merge_mode = _messages(event), _merge_mode(event)
    _refuse_fields_of_a_task(event)
    shared = {name: value for name, value in event.items() if name not in _OF_THE_WHOLE}
    if (prompt := _system_prompt(messages)) and not shared.get("system_prompt"):
        shared["system_prompt"] = prompt
    split = _split(messages)
    for place, (turn, name) in enumerate(zip(split, _names(split), strict=True)):
        log = shared | {"session_id": session_id, "client_created_at": started_at_s + place / 1000} | _sides(turn)
        if merge_mode == "replace":
            log["task_id"] = derived_uuid(0, project_id, session_id, "turn", str(place))
        elif merge_mode == "resolve":
            log["task_id"] = derived_uuid(0, project_id, session_id, *name)
        yield log


def _messages(event: Mapping[str, Any]) -> list[Message]:
    messages = event.get("messages")
    if type(messages) is not list or not messages:
        raise invalid("invalid_messages", f"messages is {json_type(messages)}", "send a list of at least one message")
    for message in messages:
        if type(message) is not dict or type(message.get("role")) is not str:
            raise invalid("invalid_messages", "a message has no role", 'send {"role": "user", "content": "..."}')
        if type(message.get("content")) not in (str, list, dict, type(None)):
            raise invalid("invalid_messages", "a message's content is neither text nor parts", "send a string")
    return messages


def _merge_mode(event: Mapping[str, Any]) -> str:
    mode = event.get("merge_mode") or "resolve"
    if mode not in MERGE_MODES:
        raise invalid("invalid_merge_mode", "merge_mode is not known", f"use one of {', '.join(MERGE_MODES)}")
    return str(mode)


def _refuse_fields_of_a_task(event: Mapping[str, Any]) -> None:
    for name in _OF_A_TASK:
        if event.get(name) is not None:
            raise invalid("invalid_field", f"{name} says nothing of a conversation", "leave it out, or use /v2/log")


def _system_prompt(messages: list[Message]) -> str:
    said = [message.get("content") for message in messages if message["role"] in _SYSTEM_ROLES]
    return "\n".join(text for text in said if type(text) is str)


def _split(messages: list[Message]) -> list[list[Message]]:
    """Return the turns: a user's message after anything else than a user's begins one."""
    found: list[list[Message]] = []
    is_user_before = False
    for message in messages:
        if message["role"] in _SYSTEM_ROLES:
            continue
        is_user = message["role"] in _USER_ROLES
        if not found or (is_user and not is_user_before):
            found.append([])
        found[-1].append(message)
        is_user_before = is_user
    if not found:
        raise invalid("invalid_messages", "messages holds only system prompts", "send what the user said as well")
    return found


def _sides(turn: list[Message]) -> dict[str, Any]:
    """Return input and output of a turn: its texts where it is one question and one answer, else its messages."""
    *asked, last = turn
    if last["role"] not in _ASSISTANT_ROLES:
        asked, last = turn, {"content": None}
    output = last["content"] if type(last.get("content")) in (str, type(None)) else [last]
    if not asked:
        return {"input": "", "output": output}
    if len(asked) == 1 and type(asked[0].get("content")) is str:
        return {"input": asked[0]["content"], "output": output}
    return {"input": asked, "output": output}


def _names(split: list[list[Message]]) -> Iterator[_Name]:
    """Yield what tells each turn from the others of its session: the id that it came with, else what was said."""
    times_said: Counter[_Name] = Counter()
    before = b""
    for turn in split:
        # Without the turn's own answer, which may come later; that of the turn before is what the user replies to.
        asked = [message for message in turn if message["role"] in _USER_ROLES]
        said = ("said", before, _contents(asked))
        before = _contents([*asked, turn[-1]])
        message_id = turn[0].get("id")
        if type(message_id) is str and message_id:
            yield "message", message_id
        else:
            yield *said, str(times_said[said])
            times_said[said] += 1


def _contents(messages: list[Message]) -> bytes:
    try:
        return orjson.dumps([message.get("content") for message in messages], option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        raise invalid("too_deep", "a message nests too many lists and objects", "send its text") from None
