"""From a dead letter, or its mended text, to the message that is logged again: pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from phospho_schemas.ids import derived_id, message_key
from phospho_schemas.records import Keyed
from phospho_schemas.topics import RAW_LOGS
from phospho_web.problems import Problem, wrong_project

_MEND_HINT = 'mend it: send {"payload": "<the message as JSON>"}'
_STAMPS = ("received_at", "revision")


class Replayed(NamedTuple):
    """A message that may be published, and whose it is."""

    keyed: Keyed
    project_id: str
    task_id: str


def replayed(letter: Mapping[str, Any], mended: str | None, own_project_id: str | None) -> Replayed:
    """
    Return the message that a dead letter becomes; `mended` is what a person made of its payload, None where nothing.

    Its project is `own_project_id`, or, where that is None (an administrator asks), what the message says. Replayed
    again it is the same task: without an id of its own the task is known by its dead letter. As it came it keeps its
    place among the writes of its task; mended it is a new write, stamped like any that arrives now.
    Raises Problem: 403, 409, 413 or 422.
    """
    _check_topic(letter)
    if mended is None and letter.get("is_truncated"):
        raise Problem(409, "truncated", f"only a part of its {letter['payload_bytes']} bytes was kept", _MEND_HINT)
    payload = base64.b64decode(letter["payload_base64"]) if mended is None else mended.encode("utf-8", "replace")
    message = _message(payload)
    if mended is None:
        message = {name: letter[name] for name in _STAMPS} | message
    else:
        message = _unstamped(message) | {"received_at": letter["received_at"]}
    message["project_id"] = _project_id(message, letter, own_project_id)
    return _published(_identified(message, letter["dead_letter_id"]))


def _check_topic(letter: Mapping[str, Any]) -> None:
    if letter["source_topic"] != RAW_LOGS.name:
        raise Problem(
            409,
            "not_replayable",
            f"this message stood in {letter['source_topic']}, which only a stage writes",
            f"reset the stage's offsets, or log the task again: its row is made anew from {RAW_LOGS.name}",
        )


def _message(payload: bytes) -> dict[str, Any]:
    """Return what is in a payload; of a key that comes twice the last counts, here and for who reads the message."""
    try:
        message = orjson.loads(payload)
    except orjson.JSONDecodeError:
        message = _read_with_care(payload)
    if not isinstance(message, dict):
        raise Problem(422, "invalid_payload", "the message is not a JSON object", _MEND_HINT)
    return message


def _read_with_care(payload: bytes) -> Any:
    """Read what extraction reads beside strict JSON: NaN, half characters, broken UTF-8."""
    try:
        return json.loads(payload.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        reason = f"the message is not JSON: {str(error)[:200]}"
        raise Problem(422, "invalid_payload", reason, _MEND_HINT) from None


def _unstamped(message: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what only the gateway may say. The source of a log is such, that of feedback is the person's."""
    content = {name: value for name, value in message.items() if name not in _STAMPS}
    return content if message.get("kind") == "feedback" else content | {"source": "replay"}


def _project_id(message: Mapping[str, Any], letter: Mapping[str, Any], own: str | None) -> str:
    named = message.get("project_id") or own or letter["project_id"]
    if not isinstance(named, str) or not named:
        raise Problem(422, "project_required", "the message names no project", "set its project_id")
    if own is not None and named != own:
        raise wrong_project()
    return named


def _identified(message: dict[str, Any], dead_letter_id: str) -> dict[str, Any]:
    """Name the task of a log that has no id; feedback is known by what it says."""
    has_id = any(message.get(name) not in (None, "") for name in ("task_id", "event_id"))
    if has_id or message.get("kind") == "feedback":
        return message
    return message | {"task_id": derived_id("replay", dead_letter_id)}


def _published(message: dict[str, Any]) -> Replayed:
    project_id, session_id = message["project_id"], str(message.get("session_id") or "")
    task_id = str(message.get("task_id") or message.get("event_id") or "")
    keyed = Keyed(message_key(project_id, session_id, task_id), _encoded(message))
    if not RAW_LOGS.fits(*keyed):
        raise Problem(413, "event_too_large", f"the message takes {len(keyed.value)} bytes", "leave some of it out")
    return Replayed(keyed, project_id, task_id)


def _encoded(message: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(message)
    except TypeError:
        # Half characters and numbers of more than 64 bits: extraction says what becomes of them.
        return json.dumps(message).encode()
