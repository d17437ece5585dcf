"""A project whose logs go through the real reader of the gateway, extraction and the store, in any order."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from phospho_dashboard.dead_letters.replay import replay_message
from phospho_gateway.intake.events import Envelope, EventReader
from phospho_gateway.intake.feedback import FeedbackReader
from phospho_gateway.intake.receipts import Accepted, Item, Receipt
from phospho_schemas.ids import HybridClock
from phospho_schemas.rows.ledger import LedgerHour
from phospho_schemas.times import utc_text
from phospho_schemas.topics import DEAD_LETTER, FEEDBACK, PARTS, RAW_LOGS, TASKS, Keyed
from phospho_store.ledger.hours import HOUR_MS, HourKey, Ledger
from phospho_store.store import Store
from phospho_workers.extraction.stage import Extraction
from phospho_workers.runtime.records import Record
from phospho_workers.sink.insert import insert_lines
from phospho_workers.sink.planner import table_of_topic

_INSERT_ORDER = (PARTS, TASKS, FEEDBACK, DEAD_LETTER)
# What the gateway takes and extraction does not.
POISON = b'"schema_version":2'


class LedgerWorld:
    """The requests of a project, and what was delivered of them. `now_ms` is the clock of everything."""

    def __init__(self, store: Store, project_id: str, now_ms: int) -> None:
        self.store = store
        self.project_id = project_id
        self.now_ms = now_ms
        self.clock = HybridClock(lambda: self.now_ms)
        self.ledger = Ledger(store)
        self._events = EventReader(self.clock, "test")
        self._feedback = FeedbackReader(self.clock)
        self._offsets = itertools.count(1)
        self._ids = itertools.count(1)

    def request(
        self, logs: Sequence[str], *, feedback: Sequence[str] = (), rejected: int = 0, is_poisoned: bool = False
    ) -> tuple[list[Record], list[Keyed], list[Item]]:
        """Take a request as the gateway does; return its raw logs as records, its receipt, and its items."""
        received_at = datetime.fromtimestamp(self.now_ms / 1000, UTC)
        receipt = Receipt(f"r{next(self._ids)}", self.project_id, "batch", utc_text(received_at))
        envelope = Envelope(self.project_id, "batch", received_at, receipt=receipt)
        accepted: list[Accepted] = [
            self._events.read({"task_id": name, "input": f"hello {name}"}, envelope, 0) for name in logs
        ]
        accepted += [self._feedback.read(name, {"score": 1}, envelope) for name in feedback]
        receipt.accept(accepted)
        if rejected:
            receipt.reject("too_deep", rejected)
        records = [self.record(log.keyed) for log in accepted]
        if is_poisoned:
            records = [record._replace(value=record.value.replace(b'"schema_version":1', POISON)) for record in records]
        return records, receipt.messages(self.clock.next()), [log.item for log in accepted]

    def record(self, message: Keyed) -> Record:
        """Return a message as the next record of raw-logs."""
        return Record(RAW_LOGS.name, 0, next(self._offsets), self.now_ms, message.key, message.value)

    def deliver(self, records: Sequence[Record], topics: int = len(_INSERT_ORDER)) -> None:
        """Process a batch of raw logs; die after the inserts of so many topics."""
        output = Extraction()(records)
        for topic in _INSERT_ORDER[:topics]:
            lines = [message.value for message in output.messages.get(topic.name, [])]
            if lines:
                assert insert_lines(self.store, table_of_topic(topic.name), lines) == []

    def deliver_receipts(self, receipts: Sequence[Keyed]) -> None:
        """Store receipts."""
        if receipts:
            assert insert_lines(self.store, "receipt_rows", [receipt.value for receipt in receipts]) == []

    def letters(self) -> list[dict[str, Any]]:
        """Return the dead letters."""
        return self.store.rows(
            "SELECT *, toString(received_at) AS received_at FROM dead_letter_rows FINAL"
            " WHERE project_id = {project:String} ORDER BY dead_letter_id",
            {"project": self.project_id},
        )

    def act(self, letter: dict[str, Any], action: str) -> None:
        """Write what a person did with a dead letter."""
        row = {"project_id": self.project_id, "dead_letter_id": letter["dead_letter_id"], "action": action}
        stamps = {
            "revision": self.clock.next(),
            "created_at": utc_text(datetime.fromtimestamp(self.now_ms / 1000, UTC)),
        }
        self.store.insert("dead_letter_action_rows", orjson.dumps(row | stamps))

    def replay_mended(self, letter: dict[str, Any]) -> None:
        """Mend a poisoned log and replay it."""
        payload = orjson.loads(base64.b64decode(letter["payload_base64"]))
        payload["schema_version"] = 1
        message = replay_message(letter, orjson.dumps(payload).decode(), self.project_id)
        self.act(letter, "replayed")
        self.deliver([self.record(message.keyed)])

    def hours(self, grace_ms: int = 0) -> dict[int, LedgerHour]:
        """Reconcile every hour about which something was written, by its number since the epoch."""
        keys = [key for key in self.ledger.changed(0, self.now_ms) if key.project_id == self.project_id]
        found = [self.ledger.reconcile(key, self.now_ms, grace_ms) for key in keys]
        return {int(hour.hour.timestamp() * 1000) // HOUR_MS: hour for hour in found}

    def hour(self, hour_ms: int, grace_ms: int = 0) -> LedgerHour:
        """Reconcile one hour."""
        return self.ledger.reconcile(HourKey(self.project_id, hour_ms), self.now_ms, grace_ms)


MakeWorld = Callable[[], LedgerWorld]
