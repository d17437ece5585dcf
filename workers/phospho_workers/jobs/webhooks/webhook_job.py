"""The job that sends events to webhooks, each until its receiver has answered, and beside detection."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence, Set
from datetime import datetime

from phospho_schemas.rows.webhooks import Webhook
from phospho_schemas.times import utc_now
from phospho_store.jobs.webhooks import WebhookRepository
from phospho_workers.jobs.loop.job import MAX_PAUSE_S
from phospho_workers.jobs.loop.leases import Holds, all_projects
from phospho_workers.jobs.webhooks.delivery import Channels, DeliverySender
from phospho_workers.jobs.webhooks.enqueuer import Enqueuer, JudgementHold
from phospho_workers.jobs.webhooks.event_streams import EventStreams
from phospho_workers.jobs.webhooks.mail import Mailer
from phospho_workers.jobs.webhooks.outbound import Outbound
from phospho_workers.jobs.webhooks.pending import PendingDeliveries, WebhookKey, webhook_key
from phospho_workers.judging.settings import NO_JUDGES

_WAIT_S = 0.2
# An event that has waited for a judgement is sent at most this much later.
_MAX_HELD_DELAY_S = 5.0
_EVENT_TABLES = ("analysis_rows", "session_analysis_rows", "label_rows", "judgement_rows", "project_rows")
_ALERT_TABLES = ("alert_evaluation_rows",)


class WebhookJob:
    """
    Puts new events, and changes of alerts, into the queue and sends the deliveries that are due.

    The queue is in ClickHouse: a delivery is stored before it is sent, and its outcome afterwards. Without a webhook a
    step costs one cheap query.
    """

    name = "webhooks"
    pause_s = 1.0

    def __init__(
        self,
        repository: WebhookRepository,
        events: EventStreams,
        transport: Outbound,
        secret_key: str,
        *,
        mailer: Mailer | None = None,
        judgement_hold: JudgementHold | None = None,
        now: Callable[[], datetime] = utc_now,
        holds: Holds = all_projects,
    ) -> None:
        self._holds = holds
        self._repository = repository
        self._now = now
        self._pending = PendingDeliveries(repository, now, holds)
        self._enqueuer = Enqueuer(repository, events, self._pending, judgement_hold or JudgementHold(NO_JUDGES))
        self._sender = DeliverySender(repository, self._pending, Channels(transport, secret_key, mailer), holds)
        self._revision = -1
        # Of all projects: a lapse of the lease says nothing about what is in the store.
        self._webhooks: dict[WebhookKey, Webhook] = {}
        self._had_webhooks = False
        self._unheld_projects: set[str] = set()
        self._read_events_at_s = 0.0
        self._has_read_events = False

    @property
    def tables(self) -> Sequence[str]:
        held = self._held_webhooks()
        of_events = _EVENT_TABLES if any(not webhook.alert_id for webhook in held) else ()
        of_alerts = _ALERT_TABLES if any(webhook.alert_id for webhook in held) else ()
        return ("webhook_rows", *of_events, *of_alerts)

    @property
    def max_pause_s(self) -> float:
        if len(self._pending) or not self._has_read_events:
            return self.pause_s
        max_pause_s = _MAX_HELD_DELAY_S if self._enqueuer.holds_events else MAX_PAUSE_S
        read_at = self._pending.next_read_at
        if read_at is None:
            return max_pause_s
        return min(max_pause_s, max(self.pause_s, (read_at - self._now()).total_seconds()))

    def step(self) -> bool:
        self._refresh_webhooks()
        held_webhooks = self._held_webhooks()
        self._reread_events_after_lapse({webhook.project_id for webhook in held_webhooks})
        self._has_read_events = not held_webhooks or self._is_time_to_read()
        if held_webhooks and self._has_read_events:
            has_more = self._enqueuer.enqueue_next(held_webhooks, self._now())
            self._read_events_at_s = time.monotonic() + (0.0 if has_more else self.pause_s)
        self._sender.store_outcomes(self._webhooks, self._now())
        self._pending.refill()
        self._sender.send_due(self._webhooks, self._now())
        self._sender.wait(_WAIT_S)
        return self._sender.is_busy or (bool(held_webhooks) and self._is_time_to_read())

    def finish(self) -> None:
        """Store the outcomes of the requests under way, or whoever works on the project next would send them again."""
        self._sender.finish(self._webhooks, self._now())

    def _is_time_to_read(self) -> bool:
        return time.monotonic() >= self._read_events_at_s

    def _held_webhooks(self) -> list[Webhook]:
        return [webhook for webhook in self._webhooks.values() if self._holds(webhook.project_id)]

    def _reread_events_after_lapse(self, held_projects: Set[str]) -> None:
        """Read events again from the latest in the queue where a project is held that was not at the last step."""
        if held_projects & self._unheld_projects:
            self._enqueuer.start_over()
        self._unheld_projects = {key.project_id for key in self._webhooks} - held_projects

    def _refresh_webhooks(self) -> None:
        revision = self._repository.revision()
        if revision == self._revision:
            return
        webhooks = {webhook_key(webhook): webhook for webhook in self._repository.webhooks() if not webhook.is_gone}
        changed = {key for key, webhook in webhooks.items() if self._webhooks.get(key, webhook) != webhook}
        self._pending.set_webhooks(webhooks.keys(), changed)
        self._webhooks = webhooks
        if webhooks and not self._had_webhooks:
            # What an earlier process has left in the queue.
            self._pending.read_all()
            self._had_webhooks = True
        self._revision = revision
