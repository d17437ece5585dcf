"""The job of webhooks with a clock that can be moved on, and what came of what it told."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from phospho_schemas.ids import HybridClock
from phospho_schemas.webhooks import Webhook
from phospho_store.jobs.webhooks import WebhookBook
from phospho_store.registry.instructions import InstructionBook
from phospho_store.store import Store
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.jobs.webhooks.found_events import FoundEvents
from phospho_workers.jobs.webhooks.judgement_hold import JudgementHold
from phospho_workers.jobs.webhooks.outbound import Outbound, parsed_networks
from phospho_workers.jobs.webhooks.webhook_job import WebhookJob
from phospho_workers.judging.settings import NOBODY, JudgeSettings
from store.facts import analysis
from workers.jobs.receiver import Receiver

KEY = "an installation's key"
CLOCK = HybridClock()


def analysed(project_id: str, task_id: str, names: Sequence[str] = (), **fields: Any) -> dict[str, Any]:
    """Return the analysis of a task that is logged now."""
    return analysis(project_id, task_id, CLOCK.next(), names, **fields)


class Job(WebhookJob):
    """One whose clock can be moved on."""

    def __init__(self, store: Store, judging: JudgeSettings = NOBODY) -> None:
        self.later = timedelta()
        sender = Outbound(parsed_networks("127.0.0.0/8"))
        patience = JudgementHold(judging, DefinitionCache(InstructionBook(store), 0.0).current)
        super().__init__(WebhookBook(store), FoundEvents(store), sender, KEY, self._moment, patience)

    def _moment(self) -> datetime:
        return datetime.now(UTC) + self.later

    def until(self, is_true: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + 20
        while not is_true():
            assert time.monotonic() < deadline_s, "it did not come true in time"
            self.step()

    def settle(self) -> None:
        """Step until nothing is under way."""
        self.step()
        self.until(lambda: not self._in_flight)


def counts(store: Store, project_id: str, hook: Webhook) -> tuple[int, int, int]:
    row = WebhookBook(store).counts(project_id).get(hook.webhook_id, {})
    return row.get("delivered", 0), row.get("pending", 0), row.get("dead", 0)


def told(receiver: Receiver) -> list[tuple[str, str, str]]:
    """Return what the receiver was told: type, task and name, in order."""
    messages = [json.loads(one.body) for one in receiver.received]
    return sorted((one["type"], one["data"]["task_id"], one["data"]["name"]) for one in messages)
