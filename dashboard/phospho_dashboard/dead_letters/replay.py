"""The replay of a dead letter: the message that is logged again, as it came or mended."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.dead_letters.letters import DeadLetters
from phospho_dashboard.services import Services
from phospho_schemas.ids import derived_id, message_key
from phospho_schemas.topics import RAW_LOGS, Keyed
from phospho_web.problems import Problem, no_publisher, wrong_project

_MEND_HINT = 'mend it: send {"payload": "<the message as JSON>"}'
_STAMPS = ("received_at", "revision")


class ReplayMessage(NamedTuple):
    """A message to publish, with its project and its task."""

    keyed: Keyed
    project_id: str
    task_id: str


def replay_message(letter: Mapping[str, Any], edit: str | None, own_project_id: str | None) -> ReplayMessage:
    """
    Return the message of a dead letter; `edit` is its payload as a person changed it, or None.

    Its project is `own_project_id`, or, where that is None (for an administrator), the one that the message names.
    Replayed again it is the same task: without an id of its own, the task gets one from its dead letter. Unchanged, the
    message keeps its place among the writes of its task. Mended, it is a new write of the same task or feedback,
    stamped like any that arrives now. Raises Problem: 403, 409, 413 or 422.
    """
    _check_topic(letter)
    if edit is None and letter.get("is_truncated"):
        raise Problem(409, "truncated", f"only a part of its {letter['payload_bytes']} bytes was kept", _MEND_HINT)
    payload = base64.b64decode(letter["payload_base64"]) if edit is None else edit.encode("utf-8", "replace")
    message = _message(payload)
    if edit is None:
        message = {name: letter[name] for name in _STAMPS} | message
    else:
        message = _unstamped(message) | {"received_at": letter["received_at"]} | _kept_identity(message, letter)
    message["project_id"] = _project_id(message, letter, own_project_id)
    return _encoded(_identified(message, letter["dead_letter_id"]))


async def publish_replay(
    services: Services, visitor: Visitor, *, projects: list[str], dead_letter_id: str, edit: str | None
) -> ReplayMessage:
    """
    Publish a dead letter of `projects` again and return its message, when it is durable.

    An administrator's replay goes to the project that the message names, anybody else's to the requested one.
    Raises Problem: 403, 404, 409, 413, 422, or 503 in a process that can't publish.
    """
    letters = DeadLetters(services.store, services.clock)
    letter = await services.threads.run(letters.dead_letter, projects, dead_letter_id)
    message = replay_message(letter, edit, None if visitor.is_admin else projects[0])
    if services.publisher is None:
        raise no_publisher()
    await services.publisher.publish([message.keyed])
    await services.threads.run(letters.act, [letter], "replayed", visitor.author)
    return message


def _check_topic(letter: Mapping[str, Any]) -> None:
    if not RAW_LOGS.is_named(letter["source_topic"]):
        raise Problem(
            409,
            "not_replayable",
            f"this message stood in {letter['source_topic']}, which only a stage writes",
            f"reset the stage's offsets, or log the task again: its row is made anew from {RAW_LOGS.name}",
        )


def _message(payload: bytes) -> dict[str, Any]:
    """Return the message in a payload; of a key that comes twice the last counts, as in extraction."""
    try:
        message = orjson.loads(payload)
    except orjson.JSONDecodeError:
        message = _read_leniently(payload)
    if not isinstance(message, dict):
        raise Problem(422, "invalid_payload", "the message is not a JSON object", _MEND_HINT)
    return message


def _read_leniently(payload: bytes) -> Any:
    """Read JSON as leniently as extraction: NaN, half characters, broken UTF-8."""
    try:
        return json.loads(payload.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        reason = f"the message is not JSON: {str(error)[:200]}"
        raise Problem(422, "invalid_payload", reason, _MEND_HINT) from None


def _unstamped(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return the message without the gateway's own fields. A log's source is one of them, feedback's is not."""
    content = {name: value for name, value in message.items() if name not in _STAMPS}
    return content if message.get("kind") == "feedback" else content | {"source": "replay"}


_IDENTITY = {"task": ("task_id",), "feedback": ("task_id", "feedback_id"), "step": ("trace_id",)}


def _kept_identity(message: Mapping[str, Any], letter: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the ids of the original that a mended message leaves out: it is the same task, feedback or step.

    Raises Problem (422) where it names another: that would be a new log, and the accepted one would be lost.
    """
    if not letter.get("item_id"):
        return {}
    is_task = letter["item_kind"] == "task"
    original = {"task_id": letter["item_id"]} if is_task else _message(base64.b64decode(letter["payload_base64"]))
    names = _IDENTITY[letter["item_kind"]]
    for name in names:
        if message.get(name) not in (None, "", original[name]) or (
            name == "task_id" and _other_alias(message, original)
        ):
            raise Problem(
                422,
                "identity_changed",
                f"{name} of this dead letter is {original[name]!r}, and a replay keeps it",
                f"leave {name} as it is, or log a new task through the API and drop the dead letter",
            )
    return {name: original[name] for name in names}


def _other_alias(message: Mapping[str, Any], original: Mapping[str, Any]) -> bool:
    return not message.get("task_id") and message.get("event_id") not in (None, "", original["task_id"])


def _project_id(message: Mapping[str, Any], letter: Mapping[str, Any], own_project_id: str | None) -> str:
    project_id = message.get("project_id") or own_project_id or letter["project_id"]
    if not isinstance(project_id, str) or not project_id:
        raise Problem(422, "project_required", "the message names no project", "set its project_id")
    if own_project_id is not None and project_id != own_project_id:
        raise wrong_project()
    return project_id


def _identified(message: dict[str, Any], dead_letter_id: str) -> dict[str, Any]:
    """Give a log without an id the task id of its dead letter. Feedback derives its id from its content."""
    has_id = any(message.get(name) not in (None, "") for name in ("task_id", "event_id"))
    if has_id or message.get("kind") == "feedback":
        return message
    return message | {"task_id": derived_id("replay", dead_letter_id)}


def _encoded(message: dict[str, Any]) -> ReplayMessage:
    project_id, session_id = message["project_id"], str(message.get("session_id") or "")
    task_id = str(message.get("task_id") or message.get("event_id") or "")
    keyed = Keyed(message_key(project_id, session_id, task_id), _json(message))
    if not RAW_LOGS.fits(*keyed):
        raise Problem(413, "event_too_large", f"the message takes {len(keyed.value)} bytes", "leave some of it out")
    return ReplayMessage(keyed, project_id, task_id)


def _json(message: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(message)
    except TypeError:
        # Half characters and numbers of more than 64 bits: extraction decides about them.
        return json.dumps(message).encode()
