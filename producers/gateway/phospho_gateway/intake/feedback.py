"""From feedback, in the three forms that clients send, to a message of `phospho.raw-logs`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from phospho_gateway.access.access import project_of
from phospho_gateway.intake import fields
from phospho_gateway.intake.events import Envelope, encoded
from phospho_gateway.intake.masking import Masks, no_mask
from phospho_gateway.intake.receipts import Item
from phospho_schemas.ids import HybridClock, derived_id, message_key
from phospho_schemas.messages import SCHEMA_VERSION
from phospho_schemas.rows.ledger import item_id
from phospho_schemas.shapes.masking import masked
from phospho_schemas.times import utc_now, utc_text
from phospho_schemas.topics import Keyed
from phospho_web.problems import invalid
from phospho_web.requests import json_type

_FLAG_OF_SCORE = {1: "success", 0: "failure"}
_SCORE_OF_FLAG = {"success": 1, "failure": 0}
_MAX_COMMENT_CHARACTERS = 100_000


class AcceptedFeedback(NamedTuple):
    """Feedback that may be published, and the fields of its receipt."""

    keyed: Keyed
    project_id: str
    task_id: str
    feedback_id: str
    flag: str
    comment: str
    source: str
    created_at: str
    revision: int

    @property
    def item(self) -> Item:
        return Item("feedback", item_id(self.task_id, self.feedback_id), self.revision)

    @property
    def parts(self) -> tuple[Keyed, ...]:
        return ()


class FeedbackReader:
    """Reads feedback. Feedback that is posted again is one fact: its id comes from what it says."""

    def __init__(self, clock: HybridClock, masks: Masks = no_mask) -> None:
        self._clock = clock
        self._masks = masks

    def read(self, task_id: str, body: dict[str, Any], envelope: Envelope) -> AcceptedFeedback:
        """Return the message of one feedback on a task, leaving `body` as it is. Raises Problem: 403 or 422."""
        message = body | {"task_id": task_id}
        project_id = project_of(message, envelope.project_id)
        fields.check_identifier(message, "task_id")
        fields.check_times(message)
        flag = _flag(message)
        comment = _comment(message)
        if mask := self._masks(project_id):
            comment = masked(comment, mask)
        source = fields.check_identifier(message, "source") or "user"
        feedback_id = fields.check_identifier(message, "feedback_id")
        if not feedback_id and envelope.idempotency_key:
            feedback_id = derived_id("feedback", project_id, envelope.idempotency_key)
        feedback_id = feedback_id or derived_id("feedback", project_id, task_id, source, flag, comment)
        revision = self._clock.next()
        message |= {
            "schema_version": SCHEMA_VERSION,
            "kind": "feedback",
            "project_id": project_id,
            "feedback_id": feedback_id,
            "flag": flag,
            "score": _SCORE_OF_FLAG[flag],
            "comment": comment,
            "source": source,
            "received_at": envelope.received_text,
            "revision": revision,
        }
        keyed = Keyed(message_key(project_id, "", task_id), encoded(message))
        created_at = utc_text(fields.created_at(message, envelope.received_at))
        return AcceptedFeedback(
            keyed=keyed,
            project_id=project_id,
            task_id=task_id,
            feedback_id=feedback_id,
            flag=flag,
            comment=comment,
            source=source,
            created_at=created_at,
            revision=revision,
        )


def feedback_reading(clock: HybridClock) -> Callable[[str, str, dict[str, Any]], Keyed]:
    """Return a reader of the pages' feedback (project, task, body) that reads as the API does."""
    reader = FeedbackReader(clock)

    def read(project_id: str, task_id: str, body: dict[str, Any]) -> Keyed:
        return reader.read(task_id, body, Envelope(project_id, "feedback", utc_now())).keyed

    return read


def _flag(message: dict[str, Any]) -> str:
    """Return the flag of a score (0 or 1), a flag, or upstream's `human_eval`; of two, both must say the same."""
    flags = {flag for flag in (_of_score(message), _of_flag(message, "flag"), _of_flag(message, "human_eval")) if flag}
    if len(flags) == 1:
        return flags.pop()
    if flags:
        raise invalid("invalid_score", "score and flag contradict each other", "send one of them")
    raise invalid("missing_score", "score is missing", "send score: 1 (positive) or 0 (negative)")


def _of_score(message: dict[str, Any]) -> str:
    score = message.pop("score", None)
    if score is None:
        return ""
    if type(score) is not int or score not in _FLAG_OF_SCORE:
        raise invalid("invalid_score", "score is neither 0 nor 1", "send 1 (positive) or 0 (negative)")
    return _FLAG_OF_SCORE[score]


def _of_flag(message: dict[str, Any], name: str) -> str:
    flag = message.pop(name, None)
    if flag is None:
        return ""
    if type(flag) is not str or flag not in _SCORE_OF_FLAG:
        raise invalid("invalid_flag", f"{name} is neither success nor failure", "send one of the two")
    return flag


def _comment(message: dict[str, Any]) -> str:
    """Return `comment`, or `notes`, its older name."""
    notes = message.pop("notes", None)
    comment = message.pop("comment", None)
    text = notes if comment is None else comment
    if text is None:
        return ""
    if type(text) is not str:
        raise invalid("invalid_type", f"comment is {json_type(text)}", "comment must be a string")
    if len(text) > _MAX_COMMENT_CHARACTERS:
        raise invalid(
            "comment_too_long",
            f"comment has {len(text)} characters",
            f"use at most {_MAX_COMMENT_CHARACTERS} characters",
        )
    return text
