"""Webhooks and the deliveries of events to them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from phospho_schemas.messages import Count, Identifier, Message, OptionalIdentifier, ProjectId, Revision, UtcTime

# The way in which an event became known: detection found it in a task or a session; it "waited" for a judge that has
# not answered; a judge affirmed a candidate; a person's label added it.
EventSource = Literal["task", "session", "waited", "judgement", "label"]
# What a delivery is of: an event, or an alert that fired or was resolved.
DeliverySource = Literal["task", "session", "waited", "judgement", "label", "alert"]
ChannelFormat = Literal["webhook", "slack", "teams", "email"]
DeliveryStatus = Literal["pending", "delivered", "dead"]


class Webhook(Message):
    """
    An address that events, or the changes of an alert, are sent to. Key: project, webhook; the greatest revision wins.

    `salt` goes into its secret, which is derived and not stored; another salt is another secret. With an `alert_id` it
    is a channel: it gets the changes of that alert and no event, as its `format` has them. The URL of one of the format
    `email` is `mailto:` and an address.
    """

    project_id: ProjectId
    webhook_id: Identifier
    revision: Revision = 0
    url: Annotated[str, Field(min_length=8, max_length=2000)]
    event_names: list[Annotated[str, Field(min_length=1, max_length=128)]] = Field(
        default_factory=list, max_length=1000, description="all events where empty"
    )
    with_evidence: bool = False
    format: ChannelFormat = "webhook"
    alert_id: OptionalIdentifier = ""
    salt: str
    is_gone: bool = False
    is_deleted: bool = False
    created_by: str = ""
    created_at: UtcTime


class WebhookDelivery(Message):
    """
    The delivery of one event, or one change of an alert, to one webhook. Key: project, webhook, event.

    `payload` is the body of the request, or the JSON of an e-mail's `subject` and `text`.
    """

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
