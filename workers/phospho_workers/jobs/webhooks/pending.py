"""The deliveries that are due soon, held in memory; all others wait in ClickHouse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from phospho_schemas.rows.webhooks import Webhook, WebhookDelivery
from phospho_store.jobs.webhooks import WebhookRepository
from phospho_workers.jobs.loop.leases import Holds, all_projects

_MAX_HELD_OF_WEBHOOK = 200
_SOON = timedelta(seconds=15)
_AT_ONCE = datetime.min.replace(tzinfo=UTC)


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


class PendingDeliveries:
    """
    The queue of each webhook: at most 200 deliveries that are due within 15 s in memory, the others in the table.

    The table is read when a delivery in it is due soon and half of the memory is free. So retries of a receiver that
    is away keep no new delivery waiting, and fill no memory. Deliveries of projects that `holds` denies wait until it
    no longer does. Not thread-safe.
    """

    def __init__(self, repository: WebhookRepository, now: Callable[[], datetime], holds: Holds = all_projects) -> None:
        self._repository = repository
        self._now = now
        self._holds = holds
        self._active: Collection[WebhookKey] = frozenset()
        self._held: dict[DeliveryKey, WebhookDelivery] = {}
        # The webhooks with more deliveries in the table than in memory, and when to read the table.
        self._read_at: dict[WebhookKey, datetime] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[DeliveryKey]:
        return iter(self._held)

    def __getitem__(self, key: DeliveryKey) -> WebhookDelivery:
        return self._held[key]

    @property
    def next_read_at(self) -> datetime | None:
        """The time at which the table is read next, or None."""
        held = (read_at for webhook, read_at in self._read_at.items() if self._holds(webhook.project_id))
        return min(held, default=None)

    def set_webhooks(self, active: Collection[WebhookKey], changed: Collection[WebhookKey]) -> None:
        """
        Take note of the active webhooks of all projects.

        The table is read at once for those that have changed, whose dead deliveries may have been put back into the
        queue, and for those that are gone, whose deliveries end.
        """
        self._active = active
        for webhook in {*changed, *(self._read_at.keys() - set(active))}:
            self._read_at[webhook] = _AT_ONCE

    def read_all(self) -> None:
        """Have the table read at once for every webhook."""
        self._read_at = dict.fromkeys(self._active, _AT_ONCE)

    def due(self) -> list[DeliveryKey]:
        """Return the deliveries to active webhooks that are due, the earliest first."""
        now = self._now()
        in_order = sorted(self._held.items(), key=lambda item: item[1].next_attempt_at)
        due = (key for key, delivery in in_order if delivery.next_attempt_at <= now and key.webhook in self._active)
        return [key for key in due if self._holds(key.project_id)]

    def orphans(self) -> list[DeliveryKey]:
        """Return the deliveries to webhooks that are gone."""
        return [key for key in self._held if key.webhook not in self._active and self._holds(key.project_id)]

    def hold(self, deliveries: Sequence[WebhookDelivery]) -> None:
        """Hold stored deliveries that are due soon, as far as there is room."""
        soon = self._now() + _SOON
        held = Counter(key.webhook for key in self._held)
        for delivery in deliveries:
            key = delivery_key(delivery)
            if delivery.next_attempt_at > soon and key.webhook in self._active:
                self._read_not_later_than(key.webhook, delivery.next_attempt_at - _SOON)
            elif key in self._held:
                continue
            elif held[key.webhook] >= _MAX_HELD_OF_WEBHOOK:
                self._read_not_later_than(key.webhook, _AT_ONCE)
            else:
                held[key.webhook] += 1
                self._held[key] = delivery

    def release(self, key: DeliveryKey) -> None:
        """Hold a delivery no longer."""
        del self._held[key]

    def refill(self) -> None:
        """Read the table for the webhooks whose time has come, unless much of them is in memory."""
        now = self._now()
        due = [key for key, read_at in self._read_at.items() if read_at <= now and self._holds(key.project_id)]
        held = Counter(key.webhook for key in self._held) if due else Counter()
        for webhook in due:
            if held[webhook] <= _MAX_HELD_OF_WEBHOOK // 2:
                self._read(webhook, now)

    def _read(self, webhook: WebhookKey, now: datetime) -> None:
        del self._read_at[webhook]
        deliveries = self._repository.pending(*webhook, limit=_MAX_HELD_OF_WEBHOOK)
        self.hold(deliveries)
        if len(deliveries) == _MAX_HELD_OF_WEBHOOK and deliveries[-1].next_attempt_at <= now + _SOON:
            self._read_not_later_than(webhook, _AT_ONCE)

    def _read_not_later_than(self, webhook: WebhookKey, moment: datetime) -> None:
        self._read_at[webhook] = min(moment, self._read_at.get(webhook, moment))
