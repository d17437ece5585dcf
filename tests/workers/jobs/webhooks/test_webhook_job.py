"""Webhooks get each event once, signed; deliveries are retried, and dead in the end."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from fixtures.labels import new_label
from fixtures.waiting import wait_until
from phospho_schemas.rows.webhooks import Webhook
from phospho_store.annotations.labels import LabelRepository
from phospho_store.jobs.webhooks import WebhookRepository, shown_secret
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_workers.jobs.webhooks.delivery import MAX_ATTEMPTS
from store.facts import insert, task, view
from workers.jobs.receiver import Receiver, receiving
from workers.jobs.webhook_fixtures import CLOCK, KEY, SteppedWebhookJob, analysed, counts


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def job(store: Store) -> SteppedWebhookJob:
    return SteppedWebhookJob(store)


@pytest.fixture
def hook(store: Store, project_id: str, receiver: Receiver) -> Iterator[Webhook]:
    repository = WebhookRepository(store)
    webhook = repository.add(project_id, receiver.url, ["refund"])
    yield webhook
    repository.remove(project_id, webhook.webhook_id)


def find(store: Store, project_id: str, task_id: str, *names: str) -> None:
    """Log a task, or log it again, and find events in it."""
    row = analysed(project_id, task_id, names)
    insert(store, "task_rows", task(project_id, task_id, row["revision"]))
    insert(store, "analysis_rows", row)


def test_webhook_gets_the_events_that_it_subscribes_to(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: SteppedWebhookJob
) -> None:
    find(store, project_id, "one", "refund", "thanks")
    job.step_until(lambda: counts(store, project_id, hook) == (1, 0, 0))

    [request] = receiver.received
    message = json.loads(request.body)
    assert (message["type"], message["data"]["name"], message["data"]["task_id"]) == ("event.detected", "refund", "one")
    assert message["data"]["id"] == request.headers["webhook-id"] == "one-refund"
    # As every time on the wire: in milliseconds.
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message["timestamp"])
    assert message["data"]["created_at"] == message["timestamp"]


def test_webhook_gets_evidence_only_where_it_is_enabled(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: SteppedWebhookJob
) -> None:
    with receiving() as trusted:
        second = WebhookRepository(store).add(project_id, trusted.url, with_evidence=True)
        row = analysed(project_id, "one", ["refund"])
        row["events"][0]["evidence"] = "give me my money back"
        insert(store, "analysis_rows", row)
        job.step_until(lambda: counts(store, project_id, hook) == (1, 0, 0) == counts(store, project_id, second))
        assert json.loads(trusted.received[0].body)["data"]["evidence"] == "give me my money back"
        assert b"money" not in receiver.received[0].body
        WebhookRepository(store).remove(project_id, second.webhook_id)


def test_webhook_signature_follows_standard_webhooks(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: SteppedWebhookJob
) -> None:
    find(store, project_id, "one", "refund")
    job.step_until(lambda: bool(receiver.received))

    [request] = receiver.received
    secret = base64.b64decode(shown_secret(KEY, hook).removeprefix("whsec_"))
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    expected = base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()
    assert request.headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 60
    assert secret.hex() not in json.dumps(store.rows("SELECT * FROM webhook_rows"))


def test_webhook_gets_an_event_once_whatever_becomes_of_it(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: SteppedWebhookJob
) -> None:
    find(store, project_id, "one", "refund")
    job.step_until(lambda: counts(store, project_id, hook) == (1, 0, 0))

    # Rejected, lost with a later revision, found again, and stored twice; and a restart in between.
    LabelRepository(store).save_labels([new_label(project_id, "refund", "one", "rejected")])
    assert view(store, "events", project_id) == []
    find(store, project_id, "one")
    job.settle()
    find(store, project_id, "one", "refund")
    again = SteppedWebhookJob(store)
    again.settle()
    find(store, project_id, "one", "refund")
    again.settle()

    assert len(receiver.received) == 1


def test_webhook_gets_no_events_older_than_itself(
    store: Store, project_id: str, receiver: Receiver, job: SteppedWebhookJob
) -> None:
    find(store, project_id, "early", "refund")
    is_past = "SELECT max(inserted_at) < now64(3) AS is_past FROM analysis_rows"
    wait_until(lambda: store.rows(is_past)[0]["is_past"])
    hook = WebhookRepository(store).add(project_id, receiver.url)
    find(store, project_id, "late", "refund")
    job.step_until(lambda: counts(store, project_id, hook) == (1, 0, 0))
    assert [json.loads(request.body)["data"]["task_id"] for request in receiver.received] == ["late"]


def test_webhook_gets_no_replay_of_events_older_than_itself(
    store: Store, project_id: str, receiver: Receiver, job: SteppedWebhookJob
) -> None:
    minute_ago = CLOCK.next() - (60_000 << 16)
    early = [analysed(project_id, f"early-{n}", ["refund"]) | {"revision": minute_ago} for n in range(3)]
    insert(store, "analysis_rows", *early)
    repository = WebhookRepository(store)
    hook = repository.add(project_id, receiver.url)
    insert(store, "analysis_rows", *early)
    # By an edited definition it is another thing that is found.
    insert(store, "analysis_rows", early[0] | {"definitions_revision": CLOCK.next()})
    job.step_until(lambda: counts(store, project_id, hook) == (1, 0, 0))
    job.settle()
    assert [json.loads(request.body)["data"]["task_id"] for request in receiver.received] == ["early-0"]
    repository.remove(project_id, hook.webhook_id)


def test_delivery_is_retried_with_the_same_id_and_body(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: SteppedWebhookJob
) -> None:
    receiver.statuses.extend([500, 302])
    find(store, project_id, "one", "refund")
    for attempts in (1, 2, 3):
        job.step_until(lambda attempts=attempts: len(receiver.received) == attempts)
        job.settle()
        job.settle()
        assert len(receiver.received) == attempts, "it was retried before its time"
        job.clock_offset += timedelta(minutes=2)

    assert counts(store, project_id, hook) == (1, 0, 0)
    assert len({(request.headers["webhook-id"], request.body) for request in receiver.received}) == 1


def test_delivery_is_dead_with_a_reason_after_the_last_attempt(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: SteppedWebhookJob
) -> None:
    receiver.statuses.extend([503] * (MAX_ATTEMPTS + 5))
    find(store, project_id, "one", "refund")
    for _ in range(MAX_ATTEMPTS + 3):
        job.settle()
        job.settle()
        job.clock_offset += timedelta(hours=7)

    assert len(receiver.received) == MAX_ATTEMPTS
    assert counts(store, project_id, hook) == (0, 0, 1)
    assert WebhookRepository(store).counts(project_id)[hook.webhook_id]["last_failure"] == "it answered HTTP 503"


def test_webhook_is_switched_off_when_its_receiver_answers_410(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: SteppedWebhookJob
) -> None:
    receiver.statuses.append(410)
    find(store, project_id, "one", "refund")
    job.step_until(lambda: counts(store, project_id, hook) == (0, 0, 1))
    repository = WebhookRepository(store)
    assert [webhook.is_gone for webhook in repository.webhooks(project_id)] == [True]

    anew = repository.add(project_id, receiver.url, ["refund"])
    find(store, project_id, "two", "refund")
    job.step_until(lambda: counts(store, project_id, anew)[0] >= 1)
    repository.remove(project_id, anew.webhook_id)

    assert counts(store, project_id, hook) == (0, 0, 1)


def test_dead_delivery_is_sent_again_on_request(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: SteppedWebhookJob
) -> None:
    """Under the same id, with all its attempts; a webhook of another project, or an unknown one, is left alone."""
    receiver.statuses.append(410)
    find(store, project_id, "one", "refund")
    job.step_until(lambda: counts(store, project_id, hook) == (0, 0, 1))
    repository = WebhookRepository(store)

    assert repository.send_again("another", hook.webhook_id) == 0
    assert repository.send_again(project_id, "hook_unknown") == 0
    assert repository.send_again(project_id, hook.webhook_id) == 1
    job.step_until(lambda: counts(store, project_id, hook) == (1, 0, 0))

    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1
    assert repository.send_again(project_id, hook.webhook_id) == 0


def test_pending_delivery_is_sent_by_the_next_process(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: SteppedWebhookJob
) -> None:
    receiver.statuses.append(500)
    find(store, project_id, "one", "refund")
    job.step_until(lambda: bool(receiver.received) and not job.is_sending)
    assert counts(store, project_id, hook) == (0, 1, 0)

    another = SteppedWebhookJob(store)
    another.clock_offset = timedelta(minutes=1)
    another.step_until(lambda: counts(store, project_id, hook) == (1, 0, 0))


def test_delivery_under_way_when_a_process_finishes_is_sent_once(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: SteppedWebhookJob
) -> None:
    find(store, project_id, "one", "refund")
    job.step_until(lambda: job.is_sending)
    job.finish()
    assert counts(store, project_id, hook) == (1, 0, 0)

    SteppedWebhookJob(store).settle()
    assert len(receiver.received) == 1


def test_hanging_receiver_does_not_delay_another(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: SteppedWebhookJob
) -> None:
    with receiving() as hanging:
        hanging.statuses.extend([0] * 50)
        WebhookRepository(store).add(project_id, hanging.url)
        for number in range(20):
            insert(store, "analysis_rows", analysed(project_id, f"t{number}", ["refund"]))
        job.step_until(lambda: counts(store, project_id, hook) == (20, 0, 0))
        assert 1 <= len(hanging.received) <= 4


def test_hanging_receivers_do_not_delay_another_project(
    store: Store, registry: Registry, project_id: str, receiver: Receiver, hook: Webhook, job: SteppedWebhookJob
) -> None:
    other = registry.save_project(f"{project_id}-other").project_id
    with receiving() as hanging:
        hanging.statuses.extend([0] * 500)
        for _ in range(4):
            WebhookRepository(store).add(other, hanging.url)
        insert(store, "analysis_rows", *(analysed(other, f"t{n}", ["refund"]) for n in range(50)))
        job.step_until(lambda: len(hanging.received) >= 6)
        find(store, project_id, "one", "refund")
        job.step_until(lambda: counts(store, project_id, hook) == (1, 0, 0))
        assert len(hanging.received) == 6


def test_new_event_is_sent_at_once_beside_many_retries(
    store: Store,
    project_id: str,
    receiver: Receiver,
    hook: Webhook,
    job: SteppedWebhookJob,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where a receiver is back after an hour."""
    monkeypatch.setattr("phospho_workers.jobs.webhooks.pending._MAX_HELD_OF_WEBHOOK", 6)
    receiver.statuses.extend([503] * 12)
    insert(store, "analysis_rows", *(analysed(project_id, f"t{n}", ["refund"]) for n in range(6)))
    for attempts in (6, 12):
        job.step_until(lambda attempts=attempts: len(receiver.received) == attempts)
        job.settle()
        job.clock_offset += timedelta(seconds=11)
    # The third attempt is half a minute away.
    find(store, project_id, "fresh", "refund")
    job.step_until(lambda: counts(store, project_id, hook) == (1, 6, 0))
    assert json.loads(receiver.received[-1].body)["data"]["task_id"] == "fresh"
    job.clock_offset += timedelta(minutes=1)
    job.step_until(lambda: counts(store, project_id, hook) == (7, 0, 0))


@pytest.mark.parametrize("failures", [1, 3], ids=["in memory", "in the table"])
def test_pending_delivery_is_dead_once_its_webhook_is_removed(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: SteppedWebhookJob, failures: int
) -> None:
    receiver.statuses.extend([500] * 20)
    find(store, project_id, "one", "refund")
    for attempts in range(1, failures + 1):
        job.step_until(lambda attempts=attempts: len(receiver.received) >= attempts)
        job.settle()
        job.clock_offset += timedelta(minutes=1)
    WebhookRepository(store).remove(project_id, hook.webhook_id)
    job.clock_offset += timedelta(minutes=5)
    job.step_until(lambda: counts(store, project_id, hook) == (0, 0, 1))


def test_events_of_several_pages_are_all_sent_once(
    store: Store,
    project_id: str,
    receiver: Receiver,
    hook: Webhook,
    job: SteppedWebhookJob,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("phospho_workers.jobs.webhooks.enqueuer._ROWS_AT_ONCE", 7)
    insert(store, "analysis_rows", *(analysed(project_id, f"t{n}", ["refund"]) for n in range(30)))
    job.step_until(lambda: counts(store, project_id, hook) == (30, 0, 0))
    assert len(receiver.received) == len({request.headers["webhook-id"] for request in receiver.received}) == 30


def test_deliveries_beyond_the_memory_limit_wait_in_the_table(
    store: Store,
    project_id: str,
    receiver: Receiver,
    hook: Webhook,
    job: SteppedWebhookJob,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So a receiver that is away for a day fills no memory, and takes nothing from the others."""
    monkeypatch.setattr("phospho_workers.jobs.webhooks.pending._MAX_HELD_OF_WEBHOOK", 6)
    receiver.statuses.extend([503] * 6)
    insert(store, "analysis_rows", *(analysed(project_id, f"t{n}", ["refund"]) for n in range(40)))
    job.step_until(lambda: len(receiver.received) >= 6)
    assert sum(webhook_id == hook.webhook_id for _, webhook_id, _ in job._pending) <= 6
    job.clock_offset += timedelta(minutes=5)
    job.step_until(lambda: counts(store, project_id, hook) == (40, 0, 0))


def test_first_webhook_of_a_long_running_process_reads_no_history(
    store: Store, project_id: str, receiver: Receiver, job: SteppedWebhookJob
) -> None:
    job.settle()
    find(store, project_id, "early", "refund")
    hook = WebhookRepository(store).add(project_id, receiver.url)
    job.read_events_now()
    job.settle()
    assert all(
        position.stored_ms >= hook.created_at.timestamp() * 1000 - 61_000
        for position in job._enqueuer._positions.values()
    )
    WebhookRepository(store).remove(project_id, hook.webhook_id)
