"""A lapse of the lease delays webhooks: it ends no delivery, and misses no event."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from phospho_schemas.rows.webhooks import Webhook
from phospho_schemas.times import utc_text
from phospho_store.jobs.webhooks import WebhookRepository
from phospho_store.registry.registry import Registry
from phospho_store.store import Store, json_lines
from store.facts import insert
from workers.jobs.receiver import Receiver, receiving
from workers.jobs.webhook_fixtures import CLOCK, SteppedWebhookJob, analysed, counts


class _Lease:
    """The lease of all projects, save for those that it has lost."""

    def __init__(self) -> None:
        self.lost: set[str] = set()

    def __call__(self, project_id: str) -> bool:
        return project_id not in self.lost


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def lease() -> _Lease:
    return _Lease()


@pytest.fixture
def job(store: Store, lease: _Lease) -> SteppedWebhookJob:
    return SteppedWebhookJob(store, holds=lease)


@pytest.fixture
def hook(store: Store, project_id: str, receiver: Receiver) -> Iterator[Webhook]:
    repository = WebhookRepository(store)
    webhook = repository.add(project_id, receiver.url, ["refund"])
    yield webhook
    repository.remove(project_id, webhook.webhook_id)


def _edit_a_webhook(store: Store, project_id: str) -> None:
    """Have the job read all webhooks again."""
    repository = WebhookRepository(store)
    repository.remove(project_id, repository.add(project_id, "http://127.0.0.1:9").webhook_id)


def test_lapse_while_webhooks_are_read_ends_no_delivery(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, lease: _Lease, job: SteppedWebhookJob
) -> None:
    receiver.statuses.append(500)
    insert(store, "analysis_rows", analysed(project_id, "one", ["refund"]))
    job.step_until(lambda: bool(receiver.received) and not job.is_sending)

    _edit_a_webhook(store, project_id)
    lease.lost.add(project_id)
    job.clock_offset = timedelta(minutes=1)
    job.settle()
    assert len(receiver.received) == 1
    lease.lost.clear()
    job.settle()
    assert counts(store, project_id, hook)[2] == 0
    job.step_until(lambda: counts(store, project_id, hook) == (1, 0, 0))


def test_lapse_at_the_first_step_leaves_no_delivery_in_the_table(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, lease: _Lease, job: SteppedWebhookJob
) -> None:
    receiver.statuses.append(500)
    insert(store, "analysis_rows", analysed(project_id, "one", ["refund"]))
    job.step_until(lambda: bool(receiver.received) and not job.is_sending)

    restarted = SteppedWebhookJob(store, holds=lease)
    restarted.clock_offset = timedelta(minutes=1)
    lease.lost.add(project_id)
    restarted.settle()
    lease.lost.clear()
    restarted.step_until(lambda: counts(store, project_id, hook) == (1, 0, 0))


def test_lapse_right_before_sending_keeps_the_delivery(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, lease: _Lease, job: SteppedWebhookJob
) -> None:
    """The sender asks for the lease in its own thread, after the job has."""
    denials = iter([False])
    job._sender._holds = lambda _: next(denials, True)
    insert(store, "analysis_rows", analysed(project_id, "one", ["refund"]))
    job.step_until(lambda: counts(store, project_id, hook) == (1, 0, 0))
    assert next(denials, None) is None


def test_lapse_misses_no_event_of_a_backlog(
    store: Store,
    registry: Registry,
    project_id: str,
    receiver: Receiver,
    hook: Webhook,
    lease: _Lease,
    job: SteppedWebhookJob,
) -> None:
    """Another project's events are read meanwhile, and the streams go on from there."""
    repository = WebhookRepository(store)
    other = registry.save_project(f"{project_id}-other").project_id
    other_hook = repository.add(other, receiver.url)
    past = utc_text(datetime.now(UTC) - timedelta(minutes=5))
    store.insert(
        "webhook_rows",
        json_lines(
            [hook.model_copy(update={"created_at": datetime.now(UTC) - timedelta(hours=1), "revision": CLOCK.next()})]
        ),
    )
    insert(store, "analysis_rows", analysed(project_id, "early", ["refund"]) | {"inserted_at": past})
    lease.lost.add(project_id)
    insert(store, "analysis_rows", analysed(other, "one", ["refund"]))
    job.step_until(lambda: counts(store, other, other_hook) == (1, 0, 0))
    job.read_events_now()
    job.settle()

    lease.lost.clear()
    job.step_until(lambda: counts(store, project_id, hook) == (1, 0, 0))
    repository.remove(other, other_hook.webhook_id)
