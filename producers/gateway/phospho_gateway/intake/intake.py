"""From documents to durable messages, for every endpoint that takes data."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from starlette.requests import Request

from phospho_gateway import metrics
from phospho_gateway.access.access import Access, required_project
from phospho_gateway.intake.bodies import Bodies
from phospho_gateway.intake.events import (
    AcceptedEvent,
    Envelope,
    EventReader,
    Rewrite,
    Source,
    check_retention,
    encoded,
)
from phospho_gateway.intake.feedback import AcceptedFeedback, FeedbackReader
from phospho_gateway.intake.masking import masks_of, no_mask
from phospho_gateway.intake.receipts import Accepted, Item, Receipt, attach, receipt_of
from phospho_gateway.settings import GatewaySettings
from phospho_schemas.ids import HybridClock, derived_uuid, message_key, revision_counter, revision_ms
from phospho_schemas.messages import SCHEMA_VERSION
from phospho_schemas.rows.ledger import item_id
from phospho_schemas.times import utc_text
from phospho_schemas.topics import Keyed
from phospho_store.registry.quotas import DailyQuotas
from phospho_web.endpoints import ApiEndpoints
from phospho_web.problems import Problem, invalid
from phospho_web.publisher import Publisher, ReceiptsUnpublished
from phospho_web.requests import json_type

_MAX_IDEMPOTENCY_KEY_CHARACTERS = 255
# What is counted against no quota: feedback on a task, and a task that is there already.
_NO_NEW_TASKS = ("feedback", "change", "step")
# Receipts that nobody waits for are written in the background. Beyond this, the next ones are not written.
_MAX_WAITING_RECEIPT_BYTES = 10_000_000
_MIN_RECEIPT_BYTES = 10_000
_RECEIPT_PAUSES_S = (0.0, 1.0, 5.0, 25.0)


class AcceptedStep(NamedTuple):
    """A step that may be published, of a task in another export."""

    keyed: Keyed
    project_id: str
    trace_id: str
    span_id: str
    revision: int

    @property
    def item(self) -> Item:
        return Item("step", item_id(self.trace_id, self.span_id), self.revision)

    @property
    def parts(self) -> tuple[Keyed, ...]:
        return ()


class Intake:
    """Reads events and feedback and publishes them; counts the accepted and the refused ones."""

    def __init__(
        self,
        settings: GatewaySettings,
        publisher: Publisher,
        clock: HybridClock,
        quotas: DailyQuotas | None = None,
    ) -> None:
        self._settings = settings
        self._publisher = publisher
        self._clock = clock
        masks = masks_of(quotas.mask) if quotas is not None else no_mask
        self._process_name = _process_name(clock)
        self._events = EventReader(clock, self._process_name, masks)
        self._feedback = FeedbackReader(clock, masks)
        self._quotas = quotas
        self._waiting: dict[asyncio.Task[None], int] = {}

    def envelope(self, request: Request, project_id: str | None, source: Source) -> Envelope:
        """Return the envelope of a request's events, with its receipt. Raises Problem (400): bad Idempotency-Key."""
        key = request.headers.get("idempotency-key", "")
        if len(key) > _MAX_IDEMPOTENCY_KEY_CHARACTERS:
            raise Problem(
                400,
                "invalid_idempotency_key",
                f"Idempotency-Key has {len(key)} characters",
                f"use at most {_MAX_IDEMPOTENCY_KEY_CHARACTERS} characters",
            )
        envelope = self.new_envelope(project_id, source, key)
        attach(request, envelope.receipt)
        return envelope

    def new_envelope(self, project_id: str | None, source: Source, idempotency_key: str = "") -> Envelope:
        """Return the envelope of events that come now."""
        revision = self._clock.next()
        received_at = datetime.fromtimestamp(revision_ms(revision) / 1000, UTC)
        receipt = Receipt(self._receipt_id(revision), project_id, source=source, received_at=utc_text(received_at))
        return Envelope(project_id, source, received_at, idempotency_key=idempotency_key, receipt=receipt)

    def read_event(self, event: Any, envelope: Envelope, index: int = 0) -> AcceptedEvent:
        """Return the message of the event at `index` of a request. Raises Problem."""
        result = self._read(event, envelope, index)
        if isinstance(result, Problem):
            raise result
        return result

    def read_rewrite(self, event: Any, envelope: Envelope, rewrite: Rewrite) -> AcceptedEvent:
        """Return the message that logs a stored task again. Raises Problem."""
        result = self._read(event, envelope, 0, rewrite)
        if isinstance(result, Problem):
            raise result
        return result

    def read_batch(self, document: Any, name: str, envelope: Envelope) -> list[AcceptedEvent | Problem]:
        """
        Return one result per event of the list under `name`, in its order.

        Raises Problem where there is no such list (422), it is empty (422) or too long (413).
        """
        return self.read_all(self._events_in(document, name), envelope)

    def read_all(self, events: Sequence[Any], envelope: Envelope) -> list[AcceptedEvent | Problem]:
        """Return one result per event, in their order."""
        results = [self._read(event, envelope, index) for index, event in enumerate(events)]
        for result in results:
            if isinstance(result, Problem):
                envelope.receipt.reject(result.code)
        return results

    def check_all(self, events: Sequence[Any], envelope: Envelope) -> list[AcceptedEvent | Problem]:
        """Return the results that `read_all` would, and count nothing."""
        return [self._checked(event, envelope, index) for index, event in enumerate(events)]

    def read_feedback(self, task_id: str, body: dict[str, Any], envelope: Envelope) -> AcceptedFeedback:
        """Return the message of one feedback. Raises Problem."""
        try:
            return self._feedback.read(task_id, body, envelope)
        except Problem as problem:
            metrics.REJECTED.labels(envelope.source, problem.code).inc()
            raise

    def read_steps(self, steps: Sequence[dict[str, Any]], envelope: Envelope) -> list[AcceptedStep]:
        """Return the messages of steps whose tasks are elsewhere. Raises Problem where no project is named."""
        if not steps:
            return []
        project_id = required_project(envelope.project_id)
        stamp = {"schema_version": SCHEMA_VERSION, "kind": "step", "project_id": project_id}
        stamp["received_at"] = envelope.received_text
        revisions = [self._clock.next() for _ in steps]
        return [
            AcceptedStep(
                Keyed(message_key(project_id, step["trace_id"], ""), encoded(stamp | step | {"revision": revision})),
                project_id=project_id,
                trace_id=step["trace_id"],
                span_id=step["step"]["span_id"],
                revision=revision,
            )
            for step, revision in zip(steps, revisions, strict=True)
        ]

    async def publish(self, logs: Sequence[Accepted], envelope: Envelope, source: Source | None = None) -> None:
        """
        Return when all logs are durable, the parts of large ones first, and then the request's receipt.

        `source` is the envelope's unless it is given. A receipt that fails is written in the background: an error would
        make the client send durable logs again.

        Raises Problem: 503 if that can't be confirmed, 429 if a project has used up its quota of the day.
        """
        receipt, source = envelope.receipt, source or envelope.source
        if not logs:
            self._publish_refused(receipt)
            return
        receipt.accept(logs)
        try:
            await self._publish_in_quota(logs, receipt, source not in _NO_NEW_TASKS)
        except Problem as problem:
            receipt.withdraw(logs, problem.code)
            raise
        for kind, number in Counter(log.item.kind for log in logs).items():
            metrics.ACCEPTED.labels("step" if kind == "step" else source).inc(number)

    def refuse(self, request: Request, problem: Problem) -> None:
        """
        Write the receipt of a refused request, in the background.

        Without one: a request that named no project, one that may succeed when it is sent again (5xx), and one whose
        receipt is written already.
        """
        receipt = receipt_of(request)
        if receipt is not None and problem.status < 500:
            if receipt.is_empty:
                receipt.reject(problem.code)
            self._publish_refused(receipt)

    async def _publish_in_quota(self, logs: Sequence[Accepted], receipt: Receipt, takes_quota: bool) -> None:
        taken = self._take_quota([log for log in logs if log.item.kind == "task"]) if takes_quota else {}
        parts = [part for log in logs for part in log.parts]
        try:
            await self._publish([*parts, *(log.keyed for log in logs)], receipt)
        except BaseException:
            self._give_back(taken)
            raise

    def _publish_refused(self, receipt: Receipt) -> None:
        """Publish the receipt of refused logs in the background: their answer waits for nothing."""
        if not receipt.is_published:
            receipt.is_published = self._publish_later(receipt.messages(self._clock.next()))

    def _publish_later(self, receipts: Sequence[Keyed]) -> bool:
        """Publish receipts in the background; False where there are none, or too many wait."""
        size_bytes = sum(max(len(receipt.value), _MIN_RECEIPT_BYTES) for receipt in receipts)
        if not receipts or sum(self._waiting.values()) + size_bytes > _MAX_WAITING_RECEIPT_BYTES:
            return False
        task = asyncio.create_task(self._publish_receipts(receipts))
        self._waiting[task] = size_bytes
        task.add_done_callback(self._waiting.pop)
        return True

    async def _publish_receipts(self, receipts: Sequence[Keyed]) -> None:
        for pause_s in _RECEIPT_PAUSES_S:
            await asyncio.sleep(pause_s)
            try:
                await self._publisher.publish([], receipts)
                return
            except (Problem, ReceiptsUnpublished):
                metrics.PUBLISH_FAILURES.labels("receipt_unpublished").inc()

    def _receipt_id(self, revision: int) -> str:
        order = revision_counter(revision)
        return derived_uuid(revision_ms(revision), "receipt", self._process_name, str(revision), order=order)

    def _take_quota(self, logs: Sequence[Accepted]) -> dict[str, int]:
        """Count tasks against the quotas of their projects, all or none. Raises Problem (429)."""
        if self._quotas is None:
            return {}
        taken: dict[str, int] = {}
        for project_id, tasks in Counter(log.project_id for log in logs).items():
            wait_s = self._quotas.take(project_id, tasks)
            if wait_s is not None:
                self._give_back(taken)
                raise self._failed(_quota_exceeded(project_id, self._quotas.limit(project_id), wait_s))
            taken[project_id] = tasks
        return taken

    def _give_back(self, taken: dict[str, int]) -> None:
        for project_id, tasks in taken.items():
            if self._quotas is not None:
                self._quotas.give_back(project_id, tasks)

    async def _publish(self, messages: Sequence[Keyed], receipt: Receipt) -> None:
        receipts = receipt.messages(self._clock.next())
        with metrics.PUBLISH_SECONDS.time():
            try:
                async with asyncio.timeout(self._settings.publish_timeout_s):
                    await self._publisher.publish(messages, receipts)
                receipt.is_published = True
            except ReceiptsUnpublished:
                metrics.PUBLISH_FAILURES.labels("receipt_unpublished").inc()
                self._publish_later(receipts)
            except TimeoutError:
                raise self._failed(self._timed_out()) from None
            except Problem as problem:
                raise self._failed(problem) from problem.__cause__

    def _read(
        self, event: Any, envelope: Envelope, index: int, rewrite: Rewrite | None = None
    ) -> AcceptedEvent | Problem:
        result = self._checked(event, envelope, index, rewrite)
        if isinstance(result, Problem):
            metrics.REJECTED.labels(envelope.source, result.code).inc()
        return result

    def _checked(
        self, event: Any, envelope: Envelope, index: int, rewrite: Rewrite | None = None
    ) -> AcceptedEvent | Problem:
        try:
            accepted = self._events.read(event, envelope, index, rewrite)
            if self._quotas is not None and rewrite is None:
                check_retention(accepted, envelope, self._quotas.retention_days(accepted.project_id))
            return accepted
        except Problem as problem:
            # The frames of its traceback would hold the whole document until the answer is sent.
            return problem.with_traceback(None)

    def _events_in(self, document: Any, name: str) -> list[Any]:
        events = document.get(name) if isinstance(document, dict) else None
        if type(events) is not list:
            is_object = isinstance(document, dict)
            message = f"{name} is {json_type(events)}" if is_object else f"the body is {json_type(document)}"
            raise invalid("invalid_body", message, f'send {{"{name}": [...]}} with one object per event')
        if not events:
            raise invalid("empty_batch", f"{name} is empty", "send at least one event")
        if len(events) > self._settings.max_events:
            raise Problem(
                413,
                "too_many_events",
                f"{name} holds {len(events)} events",
                f"send at most {self._settings.max_events} in one request",
            )
        return events

    def _failed(self, problem: Problem) -> Problem:
        metrics.PUBLISH_FAILURES.labels(problem.code).inc()
        return problem

    def _timed_out(self) -> Problem:
        return Problem(
            503,
            "publish_timeout",
            "the events were not confirmed in time; some of them may have been stored",
            "send the same request again; with task_id or Idempotency-Key nothing is doubled",
            retry_after_s=self._settings.retry_after_s,
        )


@dataclass(frozen=True)
class Services:
    """The parts that the endpoints share: settings, keys, bodies, and the way to the publisher."""

    settings: GatewaySettings
    access: Access
    bodies: Bodies
    intake: Intake


class ServiceEndpoints(ApiEndpoints):
    """The base of endpoints that take data."""

    def __init__(self, services: Services) -> None:
        self._settings = services.settings
        self._access = services.access
        self._bodies = services.bodies
        self._intake = services.intake


def _process_name(clock: HybridClock) -> str:
    """Name this process among all gateways, past and present."""
    return f"{socket.gethostname()}:{os.getpid()}:{clock.next()}"


def _quota_exceeded(project_id: str, limit: int | None, wait_s: int) -> Problem:
    return Problem(
        429,
        "quota_exceeded",
        f"the project {project_id} may log {limit} tasks a day; this request goes beyond, and nothing of it was stored",
        "send it again after the time in Retry-After, or raise max_tasks_per_day in the project's settings",
        retry_after_s=wait_s,
    )
