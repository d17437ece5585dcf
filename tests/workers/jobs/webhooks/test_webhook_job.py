"""Events are told once, signed, tried again, given up in the end, and never told twice."""

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

from phospho_schemas.webhooks import Webhook
from phospho_store.annotations.labels import LabelBook, new_label
from phospho_store.jobs.webhooks import WebhookBook, shown_secret
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_workers.jobs.webhooks.webhook_job import MAX_ATTEMPTS
from store.facts import insert, task, view
from workers.jobs.receiver import Receiver, receiving
from workers.jobs.webhook_fixtures import CLOCK, KEY, Job, analysed, counts


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def job(store: Store) -> Job:
    return Job(store)


@pytest.fixture
def hook(store: Store, project_id: str, receiver: Receiver) -> Iterator[Webhook]:
    book = WebhookBook(store)
    webhook = book.add(project_id, receiver.url, ["refund"])
    yield webhook
    book.remove(project_id, webhook.webhook_id)


def find(store: Store, project_id: str, task_id: str, *names: str) -> None:
    """Log a task, or log it again, and find events in it."""
    row = analysed(project_id, task_id, names)
    insert(store, "task_rows", task(project_id, task_id, row["revision"]))
    insert(store, "analysis_rows", row)


def test_an_event_is_told_as_it_is_found_and_only_to_who_asked_for_it(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: Job
) -> None:
    find(store, project_id, "one", "refund", "thanks")
    job.until(lambda: counts(store, project_id, hook) == (1, 0, 0))

    [request] = receiver.received
    told = json.loads(request.body)
    assert (told["type"], told["data"]["name"], told["data"]["task_id"]) == ("event.detected", "refund", "one")
    assert told["data"]["id"] == request.headers["webhook-id"] == "one-refund"
    # As every time on the wire: in milliseconds.
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told["timestamp"])
    assert told["data"]["created_at"] == told["timestamp"]


def test_no_text_of_a_task_is_told_unless_the_webhook_is_to_have_it(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: Job
) -> None:
    with receiving() as trusted:
        second = WebhookBook(store).add(project_id, trusted.url, with_evidence=True)
        row = analysed(project_id, "one", ["refund"])
        row["events"][0]["evidence"] = "give me my money back"
        insert(store, "analysis_rows", row)
        job.until(lambda: counts(store, project_id, hook) == (1, 0, 0) == counts(store, project_id, second))
        assert json.loads(trusted.received[0].body)["data"]["evidence"] == "give me my money back"
        assert b"money" not in receiver.received[0].body
        WebhookBook(store).remove(project_id, second.webhook_id)


def test_the_signature_is_that_of_standard_webhooks(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: Job
) -> None:
    find(store, project_id, "one", "refund")
    job.until(lambda: bool(receiver.received))

    [request] = receiver.received
    secret = base64.b64decode(shown_secret(KEY, hook).removeprefix("whsec_"))
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    expected = base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()
    assert request.headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 60
    assert secret.hex() not in json.dumps(store.rows("SELECT * FROM webhook_rows"))


def test_what_was_told_is_not_told_again_whatever_becomes_of_it(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: Job
) -> None:
    find(store, project_id, "one", "refund")
    job.until(lambda: counts(store, project_id, hook) == (1, 0, 0))

    # Rejected, lost with a later revision, found again, and stored twice; and a restart in between.
    LabelBook(store).save_labels([new_label(project_id, "refund", "one", "rejected")])
    assert view(store, "events", project_id) == []
    find(store, project_id, "one")
    job.settle()
    find(store, project_id, "one", "refund")
    again = Job(store)
    again.settle()
    find(store, project_id, "one", "refund")
    again.settle()

    assert len(receiver.received) == 1


def test_what_was_found_before_anybody_asked_is_not_told(
    store: Store, project_id: str, receiver: Receiver, job: Job
) -> None:
    find(store, project_id, "early", "refund")
    deadline_s = time.monotonic() + 5
    while store.rows("SELECT max(inserted_at) < now64(3) AS is_past FROM analysis_rows")[0]["is_past"] == 0:
        assert time.monotonic() < deadline_s
    hook = WebhookBook(store).add(project_id, receiver.url)
    find(store, project_id, "late", "refund")
    job.until(lambda: counts(store, project_id, hook) == (1, 0, 0))
    assert [json.loads(one.body)["data"]["task_id"] for one in receiver.received] == ["late"]


def test_what_was_found_before_anybody_asked_is_not_told_when_it_is_replayed(
    store: Store, project_id: str, receiver: Receiver, job: Job
) -> None:
    minute_ago = CLOCK.next() - (60_000 << 16)
    early = [analysed(project_id, f"early-{n}", ["refund"]) | {"revision": minute_ago} for n in range(3)]
    insert(store, "analysis_rows", *early)
    book = WebhookBook(store)
    hook = book.add(project_id, receiver.url)
    insert(store, "analysis_rows", *early)
    # By an edited definition it is another thing that is found.
    insert(store, "analysis_rows", early[0] | {"definitions_revision": CLOCK.next()})
    job.until(lambda: counts(store, project_id, hook) == (1, 0, 0))
    job.settle()
    assert [json.loads(one.body)["data"]["task_id"] for one in receiver.received] == ["early-0"]
    book.remove(project_id, hook.webhook_id)


def test_a_receiver_that_fails_is_tried_again_later_with_the_same_id_and_body(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: Job
) -> None:
    receiver.statuses.extend([500, 302])
    find(store, project_id, "one", "refund")
    for attempts in (1, 2, 3):
        job.until(lambda attempts=attempts: len(receiver.received) == attempts)
        job.settle()
        job.settle()
        assert len(receiver.received) == attempts, "it was tried again before its time"
        job.later += timedelta(minutes=2)

    assert counts(store, project_id, hook) == (1, 0, 0)
    assert len({(one.headers["webhook-id"], one.body) for one in receiver.received}) == 1


def test_after_the_last_attempt_it_is_dead_with_the_reason(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: Job
) -> None:
    receiver.statuses.extend([503] * (MAX_ATTEMPTS + 5))
    find(store, project_id, "one", "refund")
    for _ in range(MAX_ATTEMPTS + 3):
        job.settle()
        job.settle()
        job.later += timedelta(hours=7)

    assert len(receiver.received) == MAX_ATTEMPTS
    assert counts(store, project_id, hook) == (0, 0, 1)
    assert WebhookBook(store).counts(project_id)[hook.webhook_id]["last_failure"] == "it answered HTTP 503"


def test_a_receiver_that_says_it_is_gone_is_not_tried_again(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: Job
) -> None:
    receiver.statuses.append(410)
    find(store, project_id, "one", "refund")
    job.until(lambda: counts(store, project_id, hook) == (0, 0, 1))
    book = WebhookBook(store)
    assert [one.is_gone for one in book.webhooks(project_id)] == [True]

    anew = book.add(project_id, receiver.url, ["refund"])
    find(store, project_id, "two", "refund")
    job.until(lambda: counts(store, project_id, anew)[0] >= 1)
    book.remove(project_id, anew.webhook_id)

    assert counts(store, project_id, hook) == (0, 0, 1)


def test_what_was_given_up_is_told_once_somebody_asks_for_it(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: Job
) -> None:
    """By the same id, and with all its tries before it; another project's or an unknown webhook is left alone."""
    receiver.statuses.append(410)
    find(store, project_id, "one", "refund")
    job.until(lambda: counts(store, project_id, hook) == (0, 0, 1))
    book = WebhookBook(store)

    assert book.send_again("another", hook.webhook_id) == 0
    assert book.send_again(project_id, "hook_unknown") == 0
    assert book.send_again(project_id, hook.webhook_id) == 1
    job.until(lambda: counts(store, project_id, hook) == (1, 0, 0))

    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1
    assert book.send_again(project_id, hook.webhook_id) == 0


def test_what_was_waiting_when_the_process_was_killed_is_told_by_the_next(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: Job
) -> None:
    receiver.statuses.append(500)
    find(store, project_id, "one", "refund")
    job.until(lambda: bool(receiver.received) and not job._in_flight)
    assert counts(store, project_id, hook) == (0, 1, 0)

    another = Job(store)
    another.later = timedelta(minutes=1)
    another.until(lambda: counts(store, project_id, hook) == (1, 0, 0))


def test_a_receiver_that_hangs_does_not_hold_up_another(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: Job
) -> None:
    with receiving() as hanging:
        hanging.statuses.extend([0] * 50)
        WebhookBook(store).add(project_id, hanging.url)
        for number in range(20):
            insert(store, "analysis_rows", analysed(project_id, f"t{number}", ["refund"]))
        job.until(lambda: counts(store, project_id, hook) == (20, 0, 0))
        assert 1 <= len(hanging.received) <= 4


def test_many_receivers_of_one_project_that_hang_do_not_hold_up_another_project(
    store: Store, registry: Registry, project_id: str, receiver: Receiver, hook: Webhook, job: Job
) -> None:
    other = registry.save_project(f"{project_id}-other").project_id
    with receiving() as hanging:
        hanging.statuses.extend([0] * 500)
        for _ in range(4):
            WebhookBook(store).add(other, hanging.url)
        insert(store, "analysis_rows", *(analysed(other, f"t{n}", ["refund"]) for n in range(50)))
        job.until(lambda: len(hanging.received) >= 6)
        find(store, project_id, "one", "refund")
        job.until(lambda: counts(store, project_id, hook) == (1, 0, 0))
        assert len(hanging.received) == 6


def test_what_is_new_is_told_at_once_though_much_waits_for_a_later_attempt(
    store: Store,
    project_id: str,
    receiver: Receiver,
    hook: Webhook,
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where a receiver is back after an hour."""
    monkeypatch.setattr("phospho_workers.jobs.webhooks.webhook_job._MAX_WAITING_OF_ONE", 6)
    receiver.statuses.extend([503] * 12)
    insert(store, "analysis_rows", *(analysed(project_id, f"t{n}", ["refund"]) for n in range(6)))
    for attempts in (6, 12):
        job.until(lambda attempts=attempts: len(receiver.received) == attempts)
        job.settle()
        job.later += timedelta(seconds=11)
    # The third attempt is half a minute away.
    find(store, project_id, "fresh", "refund")
    job.until(lambda: counts(store, project_id, hook) == (1, 6, 0))
    assert json.loads(receiver.received[-1].body)["data"]["task_id"] == "fresh"
    job.later += timedelta(minutes=1)
    job.until(lambda: counts(store, project_id, hook) == (7, 0, 0))


def test_what_waits_for_a_later_attempt_at_a_webhook_that_is_removed_is_let_go(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: Job
) -> None:
    receiver.statuses.extend([500] * 3)
    find(store, project_id, "one", "refund")
    for attempts in (1, 2, 3):
        job.until(lambda attempts=attempts: len(receiver.received) == attempts)
        job.settle()
        job.later += timedelta(minutes=1)
    WebhookBook(store).remove(project_id, hook.webhook_id)
    job.until(lambda: counts(store, project_id, hook) == (0, 0, 1))


def test_what_waits_for_a_webhook_that_is_removed_is_let_go(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook, job: Job
) -> None:
    receiver.statuses.append(500)
    find(store, project_id, "one", "refund")
    job.until(lambda: bool(receiver.received) and not job._in_flight)
    WebhookBook(store).remove(project_id, hook.webhook_id)
    job.until(lambda: counts(store, project_id, hook) == (0, 0, 1))


def test_more_events_than_a_page_are_all_told_once(
    store: Store,
    project_id: str,
    receiver: Receiver,
    hook: Webhook,
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("phospho_workers.jobs.webhooks.webhook_job._ROWS_AT_ONCE", 7)
    insert(store, "analysis_rows", *(analysed(project_id, f"t{n}", ["refund"]) for n in range(30)))
    job.until(lambda: counts(store, project_id, hook) == (30, 0, 0))
    assert len(receiver.received) == len({one.headers["webhook-id"] for one in receiver.received}) == 30


def test_more_than_fits_into_memory_waits_in_the_table_and_is_told_in_the_end(
    store: Store,
    project_id: str,
    receiver: Receiver,
    hook: Webhook,
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So a receiver that is away for a day fills no memory, and takes nothing from the others."""
    monkeypatch.setattr("phospho_workers.jobs.webhooks.webhook_job._MAX_WAITING_OF_ONE", 6)
    receiver.statuses.extend([503] * 6)
    insert(store, "analysis_rows", *(analysed(project_id, f"t{n}", ["refund"]) for n in range(40)))
    job.until(lambda: len(receiver.received) >= 6)
    assert sum(webhook_id == hook.webhook_id for _, webhook_id, _ in job._waiting) <= 6
    job.later += timedelta(minutes=5)
    job.until(lambda: counts(store, project_id, hook) == (40, 0, 0))


def test_the_first_webhook_of_a_process_that_has_run_for_long_reads_no_history(
    store: Store, project_id: str, receiver: Receiver, job: Job
) -> None:
    job.settle()
    find(store, project_id, "early", "refund")
    hook = WebhookBook(store).add(project_id, receiver.url)
    job._ask_again_s = 0.0
    job.settle()
    assert all(place.stored_ms >= hook.created_at.timestamp() * 1000 - 61_000 for place in job._places.values())
    WebhookBook(store).remove(project_id, hook.webhook_id)
