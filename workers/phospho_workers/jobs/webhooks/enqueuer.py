"""New events become deliveries: each is stored in the queue before it is sent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, get_args

import orjson

from phospho_schemas.rows.webhooks import DeliverySource, EventSource, Webhook, WebhookDelivery
from phospho_store.jobs.webhooks import WebhookRepository
from phospho_workers.detection.definitions import NO_DEFINITIONS, CompiledDefinitions, Snapshot
from phospho_workers.jobs.alerts.messages import body_of
from phospho_workers.jobs.loop.job import OVERLAP_MS
from phospho_workers.jobs.webhooks.event_streams import EventFilter, EventStreams, Position, Stream
from phospho_workers.jobs.webhooks.pending import DeliveryKey, PendingDeliveries, delivery_key
from phospho_workers.judging.settings import JudgeSettings

_ROWS_AT_ONCE = 500


class Enqueuer:
    """
    Stores a delivery for each new event and each webhook that subscribes to it, and for each change of an alert.

    Events are read stream by stream, in the order in which they became known. The positions are in memory: a restart
    continues from the latest events in the queue.
    """

    def __init__(
        self,
        repository: WebhookRepository,
        events: EventStreams,
        pending: PendingDeliveries,
        judgement_hold: JudgementHold,
    ) -> None:
        self._repository = repository
        self._events = events
        self._pending = pending
        self._judgement_hold = judgement_hold
        # None until there is a webhook.
        self._starts_ms: Mapping[str, int] | None = None
        self._positions: dict[Stream, Position] = {}

    @property
    def holds_events(self) -> bool:
        """True if events of any project wait for a judgement."""
        return any(stream.wait_s for stream in self._positions)

    def start_over(self) -> None:
        """Continue from the latest events in the queue, as after a restart."""
        self._starts_ms = None
        self._positions.clear()

    def enqueue_next(self, webhooks: Collection[Webhook], now: datetime) -> bool:
        """Store the deliveries of the next page of each stream, and return whether any stream may have more."""
        now_ms = self._events.now_ms()
        if self._starts_ms is None:
            self._starts_ms = self._first_starts_ms(webhooks)
        names = _event_names(webhooks)
        has_more = False
        for stream, project_ids in self._streams(webhooks).items():
            event_filter = EventFilter(project_ids, names, _ROWS_AT_ONCE, self._judgement_hold.holds)
            position = self._positions.get(stream, self._start(stream, now_ms))
            page = self._events.page(stream, position, now_ms, event_filter)
            deliveries_of = _alert_deliveries if stream.source == "alert" else _deliveries
            deliveries = [delivery for row in page.rows for delivery in deliveries_of(row, webhooks, now)]
            self._pending.hold(self._repository.enqueue(self._without_queued(deliveries)))
            self._positions[stream] = page.after or Position(max(position.stored_ms, now_ms - _lookback_ms(stream)))
            has_more |= page.after is not None
        return has_more

    def _first_starts_ms(self, webhooks: Collection[Webhook]) -> Mapping[str, int]:
        """Return for each source the time since which events may be missing in the queue."""
        until_ms = self._repository.found_until_ms()
        starts_ms: dict[str, int] = {}
        for webhook in webhooks:
            for source in _sources(webhook):
                start_ms = until_ms.get((webhook.webhook_id, source), _ms(webhook.created_at))
                starts_ms[source] = min(start_ms, starts_ms.get(source, start_ms))
        return starts_ms

    def _streams(self, webhooks: Collection[Webhook]) -> dict[Stream, list[str]]:
        """Return the streams to read, each with its projects."""
        project_ids = sorted({webhook.project_id for webhook in webhooks if not webhook.alert_id})
        with_alerts = sorted({webhook.project_id for webhook in webhooks if webhook.alert_id})
        waits_s = {project_id: self._judgement_hold.wait_s(project_id) for project_id in project_ids}
        streams = {Stream("alert"): with_alerts} if with_alerts else {}
        if project_ids:
            streams |= {Stream(source): project_ids for source in ("task", "session", "judgement", "label")}
        for wait_s in sorted({wait_s for wait_s in waits_s.values() if wait_s}):
            streams[Stream("waited", wait_s)] = [name for name in project_ids if waits_s[name] == wait_s]
        return streams

    def _start(self, stream: Stream, now_ms: int) -> Position:
        starts_ms = self._starts_ms or {}
        return Position(starts_ms.get(stream.source, now_ms) - _lookback_ms(stream))

    def _without_queued(self, deliveries: Sequence[WebhookDelivery]) -> list[WebhookDelivery]:
        """Return the deliveries that were never in the queue, each once."""
        queued_keys: set[DeliveryKey] = set()
        for project_id in {delivery.project_id for delivery in deliveries}:
            of_project = [delivery for delivery in deliveries if delivery.project_id == project_id]
            webhook_ids = sorted({delivery.webhook_id for delivery in of_project})
            event_ids = sorted({delivery.event_id for delivery in of_project})
            queued_keys |= {
                DeliveryKey(project_id, *pair) for pair in self._repository.queued(project_id, webhook_ids, event_ids)
            }
        new = {delivery_key(delivery): delivery for delivery in deliveries}
        return [delivery for key, delivery in new.items() if key not in queued_keys]


def _deliveries(row: Mapping[str, Any], webhooks: Collection[Webhook], now: datetime) -> Iterator[WebhookDelivery]:
    """Yield a delivery for each event of a row and each webhook of its project that subscribes to it."""
    since_ms = row.get("since_ms", row["stored_ms"])
    for webhook in webhooks:
        if webhook.alert_id or webhook.project_id != row["project_id"] or since_ms < _ms(webhook.created_at):
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


def _alert_deliveries(
    row: Mapping[str, Any], webhooks: Collection[Webhook], now: datetime
) -> Iterator[WebhookDelivery]:
    """Yield a delivery for each channel of the alert that has changed."""
    message = row["message"]
    for webhook in webhooks:
        if message is not None and (webhook.project_id, webhook.alert_id) == (row["project_id"], row["alert_id"]):
            yield WebhookDelivery(
                project_id=webhook.project_id,
                webhook_id=webhook.webhook_id,
                event_id=message.message_id,
                next_attempt_at=now,
                payload=body_of(message, webhook.format),
                source="alert",
                found_at=datetime.fromtimestamp(row["stored_ms"] / 1000, UTC),
                created_at=now,
            )


def _sources(webhook: Webhook) -> tuple[DeliverySource, ...]:
    return ("alert",) if webhook.alert_id else get_args(EventSource)


def _event_names(webhooks: Collection[Webhook]) -> list[str]:
    """Return the names of the events to deliver; none where some webhook gets all."""
    of_events = [webhook for webhook in webhooks if not webhook.alert_id]
    if any(not webhook.event_names for webhook in of_events):
        return []
    return sorted({name for webhook in of_events for name in webhook.event_names})


def _lookback_ms(stream: Stream) -> int:
    return OVERLAP_MS + 1000 * stream.wait_s


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def payload(row: Mapping[str, Any], event: Mapping[str, Any], *, with_evidence: bool) -> dict[str, Any]:
    """
    Return the body of the request for one event, with the API's names.

    The evidence, up to 200 characters of what a user or the app said, is empty unless it is asked for; no other text
    of the task is sent.
    """
    fields = ("definition_version", "engine", "scope", "score", "value", "category")
    return {
        "type": "event.added" if row["source"] == "label" else "event.detected",
        "timestamp": row["created"],
        "data": {
            "id": event["id"],
            "name": event["name"],
            "project_id": row["project_id"],
            "task_id": row["task_id"],
            "session_id": row["session_id"],
            "user_id": row["user_id"],
            "version_id": row["version_id"],
            "created_at": row["created"],
            **{name: event[name] for name in fields},
            "evidence": event["evidence"] if with_evidence else "",
            "judge": event["judge"],
        },
    }


class JudgementHold:
    """
    Holds uncertain events for the project's `webhook_wait_s`, where a judge is asked about them.

    `definitions` is called only where there is a judge. It blocks, and raises what the store raises.
    """

    def __init__(self, settings: JudgeSettings, definitions: Callable[[], Snapshot] = Snapshot) -> None:
        self._settings = settings
        self._definitions = definitions

    def wait_s(self, project_id: str) -> int:
        """Return for how many seconds events of a project are held; 0 where none is."""
        return self._compiled(project_id).settings.webhook_wait_s if self._settings.is_configured else 0

    def holds(self, project_id: str, name: str) -> bool:
        """Tell whether an uncertain event without a judgement is held."""
        if not self.wait_s(project_id):
            return False
        # Imported here: a process without a judge imports nothing of judges.
        from phospho_workers.judging.selection import judge_of

        has_llm, has_encoder = self._settings.llm is not None, self._settings.encoder is not None
        definitions = self._compiled(project_id).definitions
        definition = next((definition for definition in definitions if definition.name == name), None)
        if definition is None:
            return False
        return judge_of(definition, has_llm=has_llm, has_encoder=has_encoder) is not None

    def _compiled(self, project_id: str) -> CompiledDefinitions:
        return self._definitions().by_project.get(project_id, NO_DEFINITIONS)
