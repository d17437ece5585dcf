"""`python -m benchmarks.receipts`: what receipts cost a log, and how long it takes to reconcile an hour."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime

import orjson

from benchmarks.conversations import logs
from phospho_gateway.intake.events import AcceptedEvent, Envelope, EventReader
from phospho_gateway.intake.receipts import Receipt
from phospho_schemas.ids import HybridClock, derived_uuid
from phospho_schemas.times import utc_text
from phospho_schemas.topics import TASKS, Keyed
from phospho_store.ledger.hours import HOUR_MS, HourKey, Ledger
from phospho_store.migrations import migrate
from phospho_store.store import Store, embedded
from phospho_workers.extraction.stage import Extraction
from phospho_workers.runtime.records import Record

_PROJECT = "bench"
_LOGS = 100_000
_ROUNDS = 5


def main() -> None:
    """Print the figures."""
    clock = HybridClock()
    reader = EventReader(clock, "bench")
    envelope = Envelope(_PROJECT, "batch", datetime.now(UTC))
    events = [reader.read(log, envelope, 0) for log in logs(_LOGS, derived_uuid(0, "bench"))]
    for size in (1, 100, 1_000):
        batches = [events[start : start + size] for start in range(0, 10_000, size)]
        lines = [message.value for batch in batches for message in _receipts(batch, clock)]
        seconds = _best(lambda batches=batches: [_receipts(batch, clock) for batch in batches])  # type: ignore[misc]
        print(
            f"gateway, {size:>5} logs a request: {seconds / 10_000 * 1e6:.2f} µs a log,"
            f" {sum(map(len, lines)) / 10_000:.0f} bytes a log"
        )
    with tempfile.TemporaryDirectory(prefix="phospho-bench-") as folder:
        store = embedded(folder)
        list(migrate(store))
        _measure_store(store, events, clock)
        store.close()


def _measure_store(store: Store, events: list[AcceptedEvent], clock: HybridClock) -> None:
    requests = [events[start : start + 100] for start in range(0, _LOGS, 100)]
    receipts = [receipt.value for request in requests for receipt in _receipts(request, clock)]
    one = b"\n".join(receipts[:1])
    seconds = _best(lambda: store.insert("receipt_rows", one))
    print(f"ClickHouse, one receipt an insert: {seconds * 1e3:.1f} ms")
    started_s = time.perf_counter()
    store.insert("receipt_rows", b"\n".join(receipts))
    print(f"ClickHouse, 1,000 receipts an insert: {(time.perf_counter() - started_s) / _LOGS * 1e6:.2f} µs a log")
    now_ms = time.time_ns() // 1_000_000
    records = [
        Record("phospho.raw-logs", 0, n, now_ms, event.keyed.key, event.keyed.value) for n, event in enumerate(events)
    ]
    rows = [message.value for message in Extraction()(records).messages[TASKS.name]]
    store.insert("task_rows", b"\n".join(rows))
    size = store.rows(
        "SELECT sum(bytes_on_disk) AS bytes FROM system.parts WHERE active AND table = {table:String}",
        {"table": "receipt_rows"},
    )[0]["bytes"]
    print(f"receipts on disk: {size / _LOGS:.0f} bytes a log")
    key = HourKey(_PROJECT, events[0].revision // 2**16 // HOUR_MS * HOUR_MS)
    ledger = Ledger(store)
    hour = ledger.compute(key, now_ms, 0)
    assert hour.stored == _LOGS, orjson.dumps(hour.model_dump(mode="json"))
    print(f"an hour of {_LOGS:,} logs: {_best(lambda: ledger.compute(key, now_ms, 0)):.2f} s")


def _receipts(events: list[AcceptedEvent], clock: HybridClock) -> list[Keyed]:
    now = datetime.now(UTC)
    receipt = Receipt(derived_uuid(int(now.timestamp() * 1000), str(clock.next())), _PROJECT, "batch", utc_text(now))
    receipt.accept(events)
    return receipt.messages(clock.next())


def _best(action: Callable[[], object]) -> float:
    """Return the shortest time of some rounds, in seconds."""
    times = []
    for _ in range(_ROUNDS):
        started_s = time.perf_counter()
        action()
        times.append(time.perf_counter() - started_s)
    return min(times)


if __name__ == "__main__":
    main()
