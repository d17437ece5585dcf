"""The webhook job on a clock that can be moved on, and what its receivers got."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

from fixtures.waiting import wait_until
from phospho_schemas.ids import HybridClock
from phospho_schemas.rows.webhooks import Webhook
from phospho_store.jobs.webhooks import WebhookRepository
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.store import Store
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.jobs.loop.leases import Holds, all_projects
from phospho_workers.jobs.webhooks.enqueuer import JudgementHold
from phospho_workers.jobs.webhooks.event_streams import EventStreams
from phospho_workers.jobs.webhooks.mail import Mailer
from phospho_workers.jobs.webhooks.outbound import Outbound
from phospho_workers.jobs.webhooks.webhook_job import WebhookJob
from phospho_workers.judging.settings import NO_JUDGES, JudgeSettings
from store.facts import analysis
from workers.jobs.receiver import Receiver

KEY = "an installation's key"
CLOCK = HybridClock()


def analysed(project_id: str, task_id: str, names: Sequence[str] = (), **fields: Any) -> dict[str, Any]:
    """Return the analysis of a task that is logged now."""
    return analysis(project_id, task_id, CLOCK.next(), names, **fields)


class SteppedWebhookJob(WebhookJob):
    """A webhook job on a clock that can be moved on."""

    def __init__(
        self,
        store: Store,
        judging: JudgeSettings = NO_JUDGES,
        holds: Holds = all_projects,
        mailer: Mailer | None = None,
    ) -> None:
        self.clock_offset = timedelta()
        super().__init__(
            WebhookRepository(store),
            EventStreams(store),
            Outbound((ip_network("127.0.0.0/8"),)),
            KEY,
            mailer=mailer,
            judgement_hold=JudgementHold(judging, DefinitionCache(DefinitionRepository(store), 0.0).current),
            now=lambda: datetime.now(UTC) + self.clock_offset,
            holds=holds,
        )

    @property
    def is_sending(self) -> bool:
        return self._sender.is_busy

    def read_events_now(self) -> None:
        """Have the next step read events, without a pause."""
        self._read_events_at_s = 0.0

    def step_until(self, is_true: Callable[[], bool]) -> None:
        """Step until `is_true` holds."""

        def has_stepped_to_it() -> bool:
            if is_true():
                return True
            self.step()
            return False

        wait_until(has_stepped_to_it, poll_interval_s=0.05)

    def settle(self) -> None:
        """Step until no delivery is in flight."""
        self.step()
        self.step_until(lambda: not self.is_sending)


def counts(store: Store, project_id: str, hook: Webhook) -> tuple[int, int, int]:
    """Return how many deliveries of a webhook are delivered, pending and dead."""
    row = WebhookRepository(store).counts(project_id).get(hook.webhook_id, {})
    return row.get("delivered", 0), row.get("pending", 0), row.get("dead", 0)


def received_events(receiver: Receiver) -> list[tuple[str, str, str]]:
    """Return type, task and name of the events that a receiver got, sorted."""
    messages = [json.loads(request.body) for request in receiver.received]
    return sorted((message["type"], message["data"]["task_id"], message["data"]["name"]) for message in messages)
