"""
The messages of a conversation, as upstream's `POST /v3/log` takes them, as one log a turn. Pure.

A turn begins with a message of the user and ends before the next one. Its last answer is the output; the messages
between, such as calls of tools and their results, stay in the raw input. Clients send a conversation again and again
as it grows, so each turn needs a stable id, which `merge_mode` chooses.

With `resolve`, the id of a turn derives from the `id` of its first message, or else from the user's messages in it and
the turn before. So a "yes" to another question is another task, and a conversation sent whole gives the same tasks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

import orjson

from phospho_schemas.ids import derived_uuid
from phospho_web.problems import invalid
from phospho_web.requests import json_type

MergeMode = Literal["resolve", "append", "replace"]
MERGE_MODES = get_args(MergeMode)

_SYSTEM_ROLES = ("system", "developer")
_ASSISTANT_ROLES = ("assistant", "ai", "model", "chatbot")
_USER_ROLES = ("user", "human")

_CONVERSATION_FIELDS = ("messages", "merge_mode", "created_at", "client_created_at")
_TASK_FIELDS = ("task_id", "event_id", "input", "output", "raw_input", "raw_output")

Message = dict[str, Any]
_Name = tuple[str | bytes, ...]


def turns(event: Mapping[str, Any], project_id: str, session_id: str, started_at_s: float) -> Iterator[dict[str, Any]]:
    """
    Yield the log of each turn of an event, in order; each is a millisecond later than the one before.

    Each turn gets all other fields of the event. Raises Problem (422).
    """
    messages, merge_mode = _messages(event), _merge_mode(event)
    _refuse_fields_of_a_task(event)
    shared = {name: value for name, value in event.items() if name not in _CONVERSATION_FIELDS}
    if (prompt := _system_prompt(messages)) and not shared.get("system_prompt"):
        shared["system_prompt"] = prompt
    split = _split(messages)
    for position, (turn, name) in enumerate(zip(split, _names(split), strict=True)):
        log = shared | {"session_id": session_id, "client_created_at": started_at_s + position / 1000} | _sides(turn)
        if merge_mode == "replace":
            log["task_id"] = derived_uuid(0, project_id, session_id, "turn", str(position))
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
        raise invalid("invalid_merge_mode", "merge_mode is unknown", f"use one of {', '.join(MERGE_MODES)}")
    return str(mode)


def _refuse_fields_of_a_task(event: Mapping[str, Any]) -> None:
    for name in _TASK_FIELDS:
        if event.get(name) is not None:
            raise invalid("invalid_field", f"{name} is no field of a conversation", "leave it out, or use /v2/log")


def _system_prompt(messages: list[Message]) -> str:
    prompts = [message.get("content") for message in messages if message["role"] in _SYSTEM_ROLES]
    return "\n".join(prompt for prompt in prompts if type(prompt) is str)


def _split(messages: list[Message]) -> list[list[Message]]:
    """Return the turns; each begins with a user's message after a message that is not a user's."""
    split: list[list[Message]] = []
    is_user_before = False
    for message in messages:
        if message["role"] in _SYSTEM_ROLES:
            continue
        is_user = message["role"] in _USER_ROLES
        if not split or (is_user and not is_user_before):
            split.append([])
        split[-1].append(message)
        is_user_before = is_user
    if not split:
        raise invalid("invalid_messages", "messages holds only system prompts", "send what the user said as well")
    return split


def _sides(turn: list[Message]) -> dict[str, Any]:
    """Return input and output of a turn: texts for one question and one answer, else messages."""
    *inputs, last = turn
    output: Any = None
    if last["role"] not in _ASSISTANT_ROLES:
        inputs = turn
    else:
        # A message that only calls tools has no text, or an empty one.
        output = content if type(content := last.get("content")) is str and content else [last]
    if not inputs:
        return {"input": "", "output": output}
    if len(inputs) == 1 and type(inputs[0].get("content")) is str:
        return {"input": inputs[0]["content"], "output": output}
    return {"input": inputs, "output": output}


def _names(split: list[list[Message]]) -> Iterator[_Name]:
    """Yield a name for each turn, unique in its session: its first message's id, or else the user's messages."""
    repetitions: Counter[_Name] = Counter()
    before = b""
    for turn in split:
        # Without the turn's own answer, which may come later; the user replies to that of the turn before.
        questions = [message for message in turn if message["role"] in _USER_ROLES]
        name = ("said", before, _contents(questions))
        before = _contents([*questions, turn[-1]])
        message_id = turn[0].get("id")
        if type(message_id) is str and message_id:
            yield "message", message_id
        else:
            yield *name, str(repetitions[name])
            repetitions[name] += 1


def _contents(messages: list[Message]) -> bytes:
    try:
        return orjson.dumps([message.get("content") for message in messages], option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        raise invalid("too_deep", "a message nests too many lists and objects", "send its text") from None
