"""Sending due deliveries, and what becomes of each attempt: delivered, retried later, or given up."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import secrets
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta

import orjson

from phospho_schemas.rows.alerts import Alert
from phospho_schemas.rows.webhooks import Webhook, WebhookDelivery
from phospho_schemas.times import utc_now, utc_text
from phospho_store.jobs.webhooks import WebhookRepository, signing_key
from phospho_workers.jobs.alerts.alert_changes import channel_test_message
from phospho_workers.jobs.alerts.messages import body_of
from phospho_workers.jobs.loop.leases import Holds, all_projects
from phospho_workers.jobs.webhooks.mail import Mailer, SmtpSettings
from phospho_workers.jobs.webhooks.outbound import Answer, Outbound
from phospho_workers.jobs.webhooks.pending import DeliveryKey, PendingDeliveries, WebhookKey, delivery_key
from phospho_workers.runtime import metrics

THREADS = 16
_MAX_OF_WEBHOOK = 4
_MAX_OF_PROJECT = 6
# Webhooks whose receivers gave no answer the last time: one delivery each, and together half of the threads.
_MAX_OF_HANGING_WEBHOOK = 1
_MAX_OF_ALL_HANGING = 8


class _Load:
    """The number of deliveries in flight, by project and by webhook."""

    def __init__(self, in_flight: Collection[DeliveryKey], hanging: Collection[WebhookKey]) -> None:
        self._hanging = hanging
        self.total = 0
        self.of_project: Counter[str] = Counter()
        self._of_webhook: Counter[WebhookKey] = Counter()
        self._of_hanging = 0
        for key in in_flight:
            self.add(key)

    def add(self, key: DeliveryKey) -> None:
        self.total += 1
        self.of_project[key.project_id] += 1
        self._of_webhook[key.webhook] += 1
        self._of_hanging += key.webhook in self._hanging

    def has_room(self, key: DeliveryKey) -> bool:
        """Tell whether another delivery to a webhook may begin."""
        if self.of_project[key.project_id] >= _MAX_OF_PROJECT:
            return False
        if key.webhook not in self._hanging:
            return self._of_webhook[key.webhook] < _MAX_OF_WEBHOOK
        return self._of_webhook[key.webhook] < _MAX_OF_HANGING_WEBHOOK and self._of_hanging < _MAX_OF_ALL_HANGING


def next_deliveries(
    due: Sequence[DeliveryKey], in_flight: Collection[DeliveryKey], hanging: Collection[WebhookKey]
) -> Iterator[DeliveryKey]:
    """
    Yield the deliveries to begin now, of those that are due in their order.

    The project with the fewest deliveries in flight comes first. `hanging` are the webhooks whose receivers gave no
    answer the last time.
    """
    load = _Load(in_flight, hanging)
    queues: dict[str, deque[DeliveryKey]] = {}
    for key in due:
        queues.setdefault(key.project_id, deque()).append(key)
    while queues and load.total < THREADS:
        project_id = min(queues, key=lambda name: load.of_project[name])
        following = _pop_next(queues[project_id], load)
        if following is None:
            del queues[project_id]
        else:
            load.add(following)
            yield following


def _pop_next(queue: deque[DeliveryKey], load: _Load) -> DeliveryKey | None:
    """Take the first delivery for which there is room; those before it have none in this round."""
    while queue:
        key = queue.popleft()
        if load.has_room(key):
            return key
    return None


MAX_ATTEMPTS = 8
# Up to 10 s, 40 s, 3 min, 11 min, 43 min, 3 h and 6 h: 5 to 10 hours in all, with the jitter.
_FIRST_BACKOFF_S = 10.0
_BACKOFF_FACTOR = 4.0
_MAX_BACKOFF_S = 6 * 3600.0
# Less than others wait before they take over the projects of a process.
_FINISH_S = 3.0
_GONE = 410
_REMOVED = {"status": "dead", "detail": "the webhook was removed, or its receiver is gone"}


EMAIL_SCHEME = "mailto:"


class Channels:
    """The ways to a receiver: signed HTTP, or e-mail. Thread-safe."""

    def __init__(self, outbound: Outbound, secret_key: str, mailer: Mailer | None = None) -> None:
        self._outbound = outbound
        self._secret_key = secret_key
        self._mailer = mailer or Mailer(SmtpSettings())

    def send(self, webhook: Webhook, message_id: str, now: datetime, body: bytes) -> Answer:
        """Send a body to a webhook, and return the answer; nothing is raised for what a receiver may do."""
        if webhook.format == "email":
            return self._mailer.send(webhook.url.removeprefix(EMAIL_SCHEME), message_id, body)
        headers = signed_headers(signing_key(self._secret_key, webhook), message_id, now, body)
        return self._outbound.post(webhook.url, headers, body)


class DeliverySender:
    """
    Sends the deliveries that are due, 16 at a time, and stores the outcome of each attempt.

    A process that is killed before an outcome is stored sends the delivery again under the same `webhook-id`, the
    event's own, by which receivers recognise it. Not thread-safe.
    """

    def __init__(
        self,
        repository: WebhookRepository,
        pending: PendingDeliveries,
        channels: Channels,
        holds: Holds = all_projects,
    ) -> None:
        self._holds = holds
        self._repository = repository
        self._pending = pending
        self._channels = channels
        # The webhooks whose receivers gave no answer the last time.
        self._hanging: set[WebhookKey] = set()
        self._in_flight: dict[DeliveryKey, Future[Answer | None]] = {}
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="phospho-webhook")

    @property
    def is_busy(self) -> bool:
        """True if any delivery is in flight."""
        return bool(self._in_flight)

    def wait(self, timeout_s: float) -> None:
        """Wait until a delivery in flight has its answer, or for `timeout_s`."""
        wait(self._in_flight.values(), timeout_s, FIRST_COMPLETED)

    def finish(self, webhooks: Mapping[WebhookKey, Webhook], now: datetime) -> None:
        """Wait for the deliveries in flight, for a few seconds, and store their outcomes. None is begun any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._in_flight = {key: request for key, request in self._in_flight.items() if not request.cancelled()}
        wait(self._in_flight.values(), _FINISH_S)
        self.store_outcomes(webhooks, now)

    def send_due(self, webhooks: Mapping[WebhookKey, Webhook], now: datetime) -> None:
        """Begin the deliveries that are due, as far as there are threads for them."""
        due = [key for key in self._pending.due() if key not in self._in_flight]
        for key in next_deliveries(due, self._in_flight, self._hanging):
            self._in_flight[key] = self._pool.submit(self._send, webhooks[key.webhook], self._pending[key], now)

    def _send(self, webhook: Webhook, delivery: WebhookDelivery, now: datetime) -> Answer | None:
        """Send a delivery; return None, and send nothing, where this process does not hold the project now."""
        if not self._holds(webhook.project_id):
            return None
        return self._channels.send(webhook, delivery.event_id, now, delivery.payload.encode())

    def store_outcomes(self, webhooks: Mapping[WebhookKey, Webhook], now: datetime) -> None:
        """Store the outcomes of the requests that have ended, and end the deliveries to webhooks that are gone."""
        self._hanging &= webhooks.keys()
        done = {key: request.result() for key, request in self._in_flight.items() if request.done()}
        answers = {key: answer for key, answer in done.items() if answer is not None}
        for key in done.keys() - answers.keys():
            del self._in_flight[key]
        attempted = [retry_or_give_up(self._pending[key], answer, now) for key, answer in answers.items()]
        orphans = [self._pending[key] for key in self._pending.orphans() if key not in self._in_flight]
        ended = [delivery.model_copy(update=_REMOVED) for delivery in orphans]
        saved = self._repository.save_deliveries([*attempted, *ended])
        for delivery in saved:
            metrics.WEBHOOK_DELIVERIES.labels("retried" if delivery.status == "pending" else delivery.status).inc()
            self._pending.release(delivery_key(delivery))
        for webhook in {key.webhook for key, answer in answers.items() if answer.status == _GONE} & webhooks.keys():
            self._repository.switch_off(webhooks[webhook])
        for key, answer in answers.items():
            (self._hanging.discard if answer.status else self._hanging.add)(key.webhook)
            del self._in_flight[key]
        self._pending.hold([delivery for delivery in saved if delivery.status == "pending"])


def retry_or_give_up(delivery: WebhookDelivery, answer: Answer, now: datetime) -> WebhookDelivery:
    """Return a delivery after an attempt: delivered, pending until its next attempt, or dead after the eighth."""
    attempts = delivery.attempts + 1
    outcome = {"attempts": attempts, "response_status": answer.status}
    if answer.is_success:
        return delivery.model_copy(update=outcome | {"status": "delivered", "detail": ""})
    is_dead = attempts >= MAX_ATTEMPTS or answer.status == _GONE
    failure = {
        "status": "dead" if is_dead else "pending",
        "detail": answer.reason,
        "next_attempt_at": now + timedelta(seconds=_backoff_s(attempts)),
    }
    return delivery.model_copy(update=outcome | failure)


def _backoff_s(attempts: int) -> float:
    return min(_FIRST_BACKOFF_S * _BACKOFF_FACTOR ** (attempts - 1), _MAX_BACKOFF_S) * random.uniform(0.5, 1.0)


def send_test_message(channels: Channels, webhook: Webhook) -> Answer:
    """Send a webhook a signed message without an event, and return the answer."""
    now = utc_now()
    message = {"type": "webhook.test", "timestamp": utc_text(now), "data": {"project_id": webhook.project_id}}
    return channels.send(webhook, "test_" + secrets.token_hex(8), now, orjson.dumps(message))


def send_alert_test(channels: Channels, pages_url: str, webhook: Webhook, alert: Alert) -> Answer:
    """Send a channel of an alert a message that says so, in its format, and return the answer."""
    message = channel_test_message(alert, pages_url)
    return channels.send(webhook, message.message_id, utc_now(), body_of(message, webhook.format).encode())


def signed_headers(secret: bytes, message_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """Return the headers of a message: its id, its time, and a signature over both and the body."""
    timestamp = str(int(now.timestamp()))
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    signature = base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()
    return {
        "Content-Type": "application/json",
        "User-Agent": "phospho-webhooks",
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }
