"""Webhooks: where events are told to, and what became of each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from phospho_schemas.messages import Count, Identifier, Message, ProjectId, Revision, UtcTime

# By what an event became known: detection found it in a task or in a session, or it "waited" for a judge who has not
# answered; a judge affirmed what was nearly found; a person added it.
DeliverySource = Literal["task", "session", "waited", "judgement", "label"]
DeliveryStatus = Literal["pending", "delivered", "dead"]


class Webhook(Message):
    """
    An address that is told of events as they are found. Key: project, webhook; the greatest revision wins.

    `salt` goes into its secret, which is derived and not stored; another salt is another secret.
    """

    project_id: ProjectId
    webhook_id: Identifier
    revision: Revision = 0
    url: Annotated[str, Field(min_length=8, max_length=2000)]
    event_names: list[Annotated[str, Field(min_length=1, max_length=128)]] = Field(
        default_factory=list, max_length=1000, description="all events where empty"
    )
    with_evidence: bool = False
    salt: str
    is_gone: bool = False
    is_deleted: bool = False
    created_by: str = ""
    created_at: UtcTime


class WebhookDelivery(Message):
    """One event for one webhook, and its last state. Key: project, webhook, event. `payload` is the body, as sent."""

    project_id: ProjectId
    webhook_id: Identifier
    event_id: Identifier
    revision: Revision = 0
    status: DeliveryStatus = "pending"
    attempts: Count = 0
    next_attempt_at: UtcTime
    payload: str
    source: DeliverySource = "task"
    found_at: UtcTime
    response_status: int = Field(default=0, ge=0, le=999, description="of the last attempt; 0 without an answer")
    detail: str = Field(default="", description="why the last attempt failed")
    created_at: UtcTime
