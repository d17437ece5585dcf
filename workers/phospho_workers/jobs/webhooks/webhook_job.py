"""
Webhooks: events are told as they are found, each once as far as the receiver answers, and beside detection.

The queue is in ClickHouse: what is to be told is stored before it is sent, and what came of it afterwards. A process
that is killed in between sends it again under the same `webhook-id`, the event's own, by which receivers know it.
The form is that of Standard Webhooks (standardwebhooks.com).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, get_args

import orjson

from phospho_schemas.times import utc_text
from phospho_schemas.webhooks import DeliverySource, Webhook, WebhookDelivery
from phospho_store.jobs.webhooks import WebhookBook, signing_key
from phospho_workers.jobs.loop.job import MAX_PAUSE_S
from phospho_workers.jobs.loop.seen_cache import OVERLAP_MS
from phospho_workers.jobs.webhooks.fair_share import THREADS, Key, WebhookKey, chosen
from phospho_workers.jobs.webhooks.found_events import FoundEvents, Place, Stream, Wanted
from phospho_workers.jobs.webhooks.judgement_hold import JudgementHold
from phospho_workers.jobs.webhooks.outbound import Answer
from phospho_workers.jobs.webhooks.payloads import payload
from phospho_workers.judging.settings import NOBODY
from phospho_workers.runtime import metrics

logger = logging.getLogger(__name__)

# What is due soon waits in memory, so much for one webhook, and all the rest in the table: that is read when it is due
# and half of this is gone. So what waits for a later attempt keeps nothing new waiting.
_MAX_WAITING_OF_ONE = 200
_SOON = timedelta(seconds=15)
_AT_ONCE = datetime.min.replace(tzinfo=UTC)
_ROWS_AT_ONCE = 500
_LISTEN_S = 0.2
# What has waited for a judge is told so much later at most.
_LATE_AT_MOST_S = 5.0
_TABLES = ("analysis_rows", "session_analysis_rows", "label_rows", "judgement_rows", "project_rows")
MAX_ATTEMPTS = 8
# 10 s, 40 s, 3 min, 11 min, 43 min, 3 h, 6 h: half a day in all.
_FIRST_BACKOFF_S = 10.0
_BACKOFF_FACTOR = 4.0
_MAX_BACKOFF_S = 6 * 3600.0
_GONE = 410


class Sender(Protocol):
    """Outbound, or what a test has in its place."""

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post a body and return what came of it."""


class WebhookJob:
    """Puts events into the queue, and sends what is due. Without a webhook it asks one cheap question a step."""

    name = "webhooks"
    pause_s = 1.0

    def __init__(
        self,
        book: WebhookBook,
        events: FoundEvents,
        sender: Sender,
        installation_key: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        patience: JudgementHold | None = None,
    ) -> None:
        self._book = book
        self._events = events
        self._sender = sender
        self._installation_key = installation_key
        self._now = now
        self._patience = patience or JudgementHold(NOBODY)
        self._revision = -1
        self._webhooks: dict[WebhookKey, Webhook] = {}
        self._waiting: dict[Key, WebhookDelivery] = {}
        # Those that have more in the table than in memory, and when it is to be read.
        self._to_read: dict[WebhookKey, datetime] = {}
        # Those that gave no answer the last time.
        self._hanging: set[WebhookKey] = set()
        # None until there is a webhook.
        self._starts_ms: dict[str, int] | None = None
        self._places: dict[Stream, Place] = {}
        self._ask_again_s = 0.0
        self._has_asked = False
        self._in_flight: dict[Key, Future[Answer]] = {}
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="phospho-webhook")

    @property
    def tables(self) -> Sequence[str]:
        return ("webhook_rows", *(_TABLES if self._webhooks else ()))

    @property
    def max_pause_s(self) -> float:
        if self._waiting or not self._has_asked:
            return self.pause_s
        max_pause_s = _LATE_AT_MOST_S if any(stream.wait_s for stream in self._places) else MAX_PAUSE_S
        if not self._to_read:
            return max_pause_s
        return min(max_pause_s, max(self.pause_s, (min(self._to_read.values()) - self._now()).total_seconds()))

    def step(self) -> bool:
        self._refresh()
        self._has_asked = not self._webhooks or time.monotonic() >= self._ask_again_s
        if self._webhooks and self._has_asked:
            is_more = self._queued()
            self._ask_again_s = time.monotonic() + (0.0 if is_more else self.pause_s)
        self._settle()
        self._refill()
        self._send()
        wait(self._in_flight.values(), _LISTEN_S, FIRST_COMPLETED)
        return bool(self._in_flight) or (bool(self._webhooks) and time.monotonic() >= self._ask_again_s)

    def _refresh(self) -> None:
        """Know the webhooks of now; at the first step find the place from which to go on, and what waits."""
        revision = self._book.revision()
        if revision == self._revision:
            return
        webhooks = {(one.project_id, one.webhook_id): one for one in self._book.webhooks() if not one.is_gone}
        # One that was stored again may have been told to send again what was given up; what waits for one that is gone
        # is let go.
        stored_again = {key for key, one in webhooks.items() if self._webhooks.get(key, one) != one}
        for key in stored_again | (set(self._to_read) - set(webhooks)):
            self._to_read[key] = _AT_ONCE
        self._webhooks = webhooks
        self._hanging &= set(webhooks)
        if self._starts_ms is None and self._webhooks:
            self._starts_ms = self._starts()
            self._to_read = dict.fromkeys(self._webhooks, _AT_ONCE)
        self._revision = revision

    def _starts(self) -> dict[str, int]:
        """Return for each source the time from which on there may be something that was never in the queue."""
        until_ms = self._book.found_until_ms()
        return {
            source: min(until_ms.get((one.webhook_id, source), _ms(one.created_at)) for one in self._webhooks.values())
            for source in get_args(DeliverySource)
        }

    def _queued(self) -> bool:
        """Put the next events into the queue, and tell whether there may be more."""
        now_ms = self._events.now_ms()
        names = sorted({name for one in self._webhooks.values() for name in one.event_names})
        wants_all = any(not one.event_names for one in self._webhooks.values())
        pages = [
            self._queued_of(
                stream, Wanted(projects, [] if wants_all else names, _ROWS_AT_ONCE, self._patience.waits), now_ms
            )
            for stream, projects in self._streams().items()
        ]
        return any(pages)

    def _streams(self) -> dict[Stream, list[str]]:
        """Return what is read, with the projects that it is read of."""
        projects = sorted({project_id for project_id, _ in self._webhooks})
        waits_s = {project_id: self._patience.wait_s(project_id) for project_id in projects}
        streams = {Stream(source): projects for source in ("task", "session", "judgement", "label")}
        for wait_s in sorted({one for one in waits_s.values() if one}):
            streams[Stream("waited", wait_s)] = [one for one in projects if waits_s[one] == wait_s]
        return streams

    def _queued_of(self, stream: Stream, wanted: Wanted, now_ms: int) -> bool:
        """Put the next events of one stream into the queue, and tell whether there may be more."""
        behind_ms = OVERLAP_MS + 1000 * stream.wait_s
        starts_ms = self._starts_ms or {}
        place = self._places.get(stream, Place(starts_ms.get(stream.source, now_ms) - behind_ms))
        page = self._events.page(stream, place, now_ms, wanted)
        deliveries = [delivery for row in page.rows for delivery in self._deliveries(row)]
        self._take(self._book.save_deliveries(self._unknown(deliveries)))
        self._places[stream] = page.after or Place(max(place.stored_ms, now_ms - behind_ms))
        return page.after is not None

    def _take(self, deliveries: Sequence[WebhookDelivery]) -> None:
        """Keep stored deliveries in memory that are due soon, as many of a webhook as there is room for."""
        soon = self._now() + _SOON
        kept = Counter(key[:2] for key in self._waiting)
        for delivery in deliveries:
            webhook = _key(delivery)[:2]
            if delivery.next_attempt_at > soon and webhook in self._webhooks:
                self._read_at(webhook, delivery.next_attempt_at - _SOON)
            elif _key(delivery) in self._waiting:
                continue
            elif kept[webhook] >= _MAX_WAITING_OF_ONE:
                self._read_at(webhook, _AT_ONCE)
            else:
                kept[webhook] += 1
                self._waiting[_key(delivery)] = delivery

    def _read_at(self, webhook: WebhookKey, moment: datetime) -> None:
        self._to_read[webhook] = min(moment, self._to_read.get(webhook, moment))

    def _refill(self) -> None:
        """Read what is due in the table for webhooks of which little is left in memory."""
        now = self._now()
        due = [webhook for webhook, moment in self._to_read.items() if moment <= now]
        kept = Counter(key[:2] for key in self._waiting) if due else Counter()
        for webhook in [one for one in due if kept[one] <= _MAX_WAITING_OF_ONE // 2]:
            del self._to_read[webhook]
            pending = self._book.pending(*webhook, _MAX_WAITING_OF_ONE)
            self._take(pending)
            if len(pending) == _MAX_WAITING_OF_ONE and pending[-1].next_attempt_at <= now + _SOON:
                self._read_at(webhook, _AT_ONCE)

    def _deliveries(self, row: Mapping[str, Any]) -> Iterator[WebhookDelivery]:
        """Yield a delivery for each event of a row and each webhook that is told of it."""
        now = self._now()
        for webhook in self._webhooks.values():
            if webhook.project_id != row["project_id"] or row.get("since_ms", row["stored_ms"]) < _ms(
                webhook.created_at
            ):
                continue
            for event in row["events"]:
                if not webhook.event_names or event["name"] in webhook.event_names:
                    yield WebhookDelivery(
                        project_id=webhook.project_id,
                        webhook_id=webhook.webhook_id,
                        event_id=event["id"],
                        next_attempt_at=now,
                        payload=orjson.dumps(payload(row, event, with_evidence=webhook.with_evidence)).decode(),
                        source=row["source"],
                        found_at=datetime.fromtimestamp(row["stored_ms"] / 1000, UTC),
                        created_at=now,
                    )

    def _unknown(self, deliveries: Sequence[WebhookDelivery]) -> list[WebhookDelivery]:
        """Return those that were never in the queue, each once."""
        known: set[Key] = set()
        for project_id in {one.project_id for one in deliveries}:
            of_project = [one for one in deliveries if one.project_id == project_id]
            webhooks = sorted({one.webhook_id for one in of_project})
            events = sorted({one.event_id for one in of_project})
            known |= {(project_id, *pair) for pair in self._book.known(project_id, webhooks, events)}
        return list({_key(one): one for one in deliveries if _key(one) not in known}.values())

    def _send(self) -> None:
        """Begin what is due, as far as there is room."""
        now = self._now()
        waiting = sorted(self._waiting.values(), key=lambda one: one.next_attempt_at)
        due = [_key(one) for one in waiting if one.next_attempt_at <= now]
        due = [key for key in due if key not in self._in_flight and key[:2] in self._webhooks]
        for key in chosen(due, self._in_flight, self._hanging):
            delivery, webhook = self._waiting[key], self._webhooks[key[:2]]
            body = delivery.payload.encode()
            headers = signed_headers(signing_key(self._installation_key, webhook), delivery.event_id, now, body)
            self._in_flight[key] = self._pool.submit(self._sender.post, webhook.url, headers, body)

    def _settle(self) -> None:
        """Store what came of the requests that have ended, and let go what is for a webhook that is gone."""
        now = self._now()
        answers = {key: future.result() for key, future in self._in_flight.items() if future.done()}
        states = [_after(self._waiting[key], answer, now) for key, answer in answers.items()]
        gone = [key for key in self._waiting if key[:2] not in self._webhooks and key not in self._in_flight]
        removed = {"status": "dead", "detail": "the webhook was removed, or its receiver is gone"}
        states += [self._waiting[key].model_copy(update=removed) for key in gone]
        saved = self._book.save_deliveries(states)
        for state in saved:
            metrics.WEBHOOK_DELIVERIES.labels("retried" if state.status == "pending" else state.status).inc()
            del self._waiting[_key(state)]
        for webhook in {key[:2] for key, answer in answers.items() if answer.status == _GONE} & set(self._webhooks):
            self._book.switch_off(self._webhooks[webhook])
        for key, answer in answers.items():
            (self._hanging.discard if answer.status else self._hanging.add)(key[:2])
            del self._in_flight[key]
        self._take([state for state in saved if state.status == "pending"])


def signed_headers(secret: bytes, message_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """Return the headers of a message: who and when it is, and a signature over both and the body."""
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


def ping(sender: Sender, installation_key: str, webhook: Webhook) -> Answer:
    """Send a webhook a message that is signed as all are and tells of no event, and return what came of it."""
    now = datetime.now(UTC)
    message = {"type": "webhook.test", "timestamp": utc_text(now), "data": {"project_id": webhook.project_id}}
    body = orjson.dumps(message)
    headers = signed_headers(signing_key(installation_key, webhook), "test_" + secrets.token_hex(8), now, body)
    return sender.post(webhook.url, headers, body)


def _after(delivery: WebhookDelivery, answer: Answer, now: datetime) -> WebhookDelivery:
    """Return the state of a delivery after an attempt."""
    attempts = delivery.attempts + 1
    if 200 <= answer.status < 300:
        state: dict[str, Any] = {"status": "delivered", "detail": ""}
    else:
        is_dead = attempts >= MAX_ATTEMPTS or answer.status == _GONE
        wait_s = min(_FIRST_BACKOFF_S * _BACKOFF_FACTOR ** (attempts - 1), _MAX_BACKOFF_S) * random.uniform(0.5, 1.0)
        state = {
            "status": "dead" if is_dead else "pending",
            "detail": answer.detail or f"it answered HTTP {answer.status}",
            "next_attempt_at": now + timedelta(seconds=wait_s),
        }
    return delivery.model_copy(update=state | {"attempts": attempts, "response_status": answer.status})


def _key(delivery: WebhookDelivery) -> Key:
    return delivery.project_id, delivery.webhook_id, delivery.event_id


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
