"""The keys of webhooks and of their deliveries."""

from __future__ import annotations

from typing import NamedTuple

from phospho_schemas.webhooks import Webhook, WebhookDelivery


class WebhookKey(NamedTuple):
    """A webhook of a project."""

    project_id: str
    webhook_id: str


class DeliveryKey(NamedTuple):
    """An event for a webhook."""

    project_id: str
    webhook_id: str
    event_id: str

    @property
    def webhook(self) -> WebhookKey:
        return WebhookKey(self.project_id, self.webhook_id)


def webhook_key(webhook: Webhook) -> WebhookKey:
    """Return the key of a webhook."""
    return WebhookKey(webhook.project_id, webhook.webhook_id)


def delivery_key(delivery: WebhookDelivery) -> DeliveryKey:
    """Return the key of a delivery."""
    return DeliveryKey(delivery.project_id, delivery.webhook_id, delivery.event_id)
