"""The time over which a delivery is retried, which docs/jobs.md and docs/failures.md give."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from phospho_schemas.rows.webhooks import WebhookDelivery
from phospho_workers.jobs.webhooks.delivery import MAX_ATTEMPTS, retry_or_give_up
from phospho_workers.jobs.webhooks.outbound import Answer

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("jitter", "hours"), [(0.5, 5), (1.0, 10)])
def test_delivery_is_dead_after_5_to_10_hours(monkeypatch: pytest.MonkeyPatch, jitter: float, hours: int) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: {0.5: low, 1.0: high}[jitter])
    delivery = WebhookDelivery(
        project_id="shop",
        webhook_id="webhook",
        event_id="event",
        payload="{}",
        next_attempt_at=_NOW,
        found_at=_NOW,
        created_at=_NOW,
    )
    attempts = 0
    while delivery.status == "pending":
        died_at = delivery.next_attempt_at
        delivery = retry_or_give_up(delivery, Answer(500), died_at)
        attempts += 1

    assert (delivery.status, attempts) == ("dead", MAX_ATTEMPTS)
    assert abs(died_at - _NOW - timedelta(hours=hours)) < timedelta(minutes=15)
