"""
`python -m chaos.fuzz --bodies 1000000 --records 1000000`: fuzz the gateway and the consumers in this process.

Bodies go through the gateway's ASGI app. What it accepts goes through extraction, detection and the insert, and the
ledger has to balance. Records go through the stages and the insert: each becomes a row or a dead letter.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from starlette.applications import Starlette

from chaos.cluster import resident_megabytes
from chaos.fuzz_inputs import MAY_BE_EMPTY, PROJECT_ID, Body, bodies, raw_records, row_records
from phospho_cli.processes.embedded.local_definitions import LocalDefinitions
from phospho_gateway.app import create_app
from phospho_gateway.intake.receipts import HEADER
from phospho_gateway.read_store import ReadStore
from phospho_gateway.settings import GatewaySettings
from phospho_schemas.ids import HybridClock
from phospho_schemas.topics import DEAD_LETTER, EVENTS, RAW_LOGS, RECEIPTS, TASKS, Keyed
from phospho_store.ledger.hours import HourKey, Ledger
from phospho_store.migrations import migrate
from phospho_store.registry.authentication import Authenticator
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.registry import Registry
from phospho_store.store import Store, embedded
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.detection.stage import Detection
from phospho_workers.extraction.stage import Extraction
from phospho_workers.runtime.records import Record, Stage
from phospho_workers.sink.insert import insert_lines, row_dead_letter
from phospho_workers.sink.planner import table_of_topic

_RECEIPT_HEADER = HEADER.lower().encode()
_BATCH = 5_000
_AT_ONCE = 20
# A record that ClickHouse refuses costs ten statements, one that a stage refuses costs microseconds.
_SHARE_FOR_THE_SINK = 50
_PROGRESS_EVERY = 50_000
# Ctrl+C, or a kill, ends the inputs: what they came to is reported.
_stopping = threading.Event()


@dataclass
class FuzzOutcome:
    """The outcomes of the inputs: `answers` by status, `records` by outcome, the memory after each 50,000."""

    answers: Counter[int] = field(default_factory=Counter)
    without_receipt: Counter[int] = field(default_factory=Counter)
    received: int = 0
    published: int = 0
    records: Counter[str] = field(default_factory=Counter)
    ledger: dict[str, int] = field(default_factory=dict)
    megabytes: list[int] = field(default_factory=list)

    def problems(self) -> list[str]:
        """Return what is wrong; empty where each input is accounted for."""
        problems = [f"{number} answers of {status}" for status, number in self.answers.items() if status >= 500]
        expected = {"received": self.received, "accepted": self.published, "pending": 0, "missing": 0}
        balance = {name: self.ledger.get(name, 0) for name in expected}
        if balance != expected:
            problems.append(f"the ledger has {balance} instead of {expected}")
        problems += [
            f"{number} answers of {status} without a receipt" for status, number in self.without_receipt.items()
        ]
        return problems

    def __str__(self) -> str:
        answers = ", ".join(f"{number} of {status}" for status, number in sorted(self.answers.items()))
        records = ", ".join(f"{number} {name}" for name, number in sorted(self.records.items()))
        return (
            f"{self.answers.total()} bodies: {answers}; ledger: {self.ledger}; records: {records};"
            f" memory in MB: {', '.join(map(str, self.megabytes))}; problems: {self.problems() or 'none'}"
        )


class Consumers:
    """Extraction, detection and the insert, on batches in memory. `rows` counts the inserted and refused ones."""

    def __init__(self, store: Store) -> None:
        clock = HybridClock()
        cache = DefinitionCache(LocalDefinitions(store, DefinitionRepository(store, clock)), refresh_interval_s=0.0)
        self._store = store
        self._extraction: Stage = Extraction()
        self._detection: Stage = Detection(cache.current)
        self.rows: Counter[str] = Counter()

    def process(self, records: Sequence[Record]) -> None:
        """Run raw logs through every consumer."""
        extracted = self._extraction(records).messages
        assert sum(map(len, extracted.values())) == len(records), "a raw log became neither a row nor a dead letter"
        tasks = _as_records(TASKS.name, extracted.get(TASKS.name, []))
        detected = self._detection(tasks).messages
        detected.pop(EVENTS.name, None)
        assert sum(map(len, detected.values())) == len(tasks), "a task got neither an analysis nor a dead letter"
        for messages in (extracted, detected):
            for topic, keyed in messages.items():
                self.insert(topic, _as_records(topic, keyed))

    def insert(self, topic: str, records: Sequence[Record]) -> None:
        """Insert records of one topic; the refused ones become dead letters."""
        lines = [record.value.strip() or b"null" for record in records]
        refused = insert_lines(self._store, table_of_topic(topic), lines)
        letters = [row_dead_letter(records[row.index], row).value for row in refused]
        if letters:
            assert not insert_lines(self._store, table_of_topic(DEAD_LETTER.name), letters)
        self.rows.update({topic: len(records) - len(refused), f"refused of {topic}": len(refused)})


class FuzzedGateway:
    """The gateway's app over a publisher that hands batches to the consumers."""

    def __init__(self, store: Store, consumers: Consumers, outcome: FuzzOutcome) -> None:
        self._consumers = consumers
        self._outcome = outcome
        self._messages: list[Keyed] = []
        self._receipts: list[Keyed] = []
        self._offset = 0
        registry = Registry(store)
        registry.save_project(PROJECT_ID)
        self._key = registry.create_key(PROJECT_ID).secret
        settings = GatewaySettings()
        self.reads = ReadStore(store, settings)
        self.app: Starlette = create_app(
            settings,
            authenticator=Authenticator(registry, admin_secret=None),
            publisher=self,
            clock=HybridClock(),
            reads=self.reads,
            readiness={},
        )

    async def publish(self, messages: Sequence[Keyed], receipts: Sequence[Keyed] = ()) -> None:
        """Take messages as Kafka does; the consumers read them later."""
        self._messages += messages
        self._receipts += receipts

    async def post(self, body: Body) -> None:
        """Post a body to the app, and count its answer."""
        start: dict[str, Any] = {}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body.content, "more_body": False}

        async def send(message: Any) -> None:
            start.update(message if message["type"] == "http.response.start" else {})

        await self.app(self._scope(body), receive, send)
        self._outcome.answers[start["status"]] += 1
        has_logs = start["status"] != 200 or body.path not in MAY_BE_EMPTY
        if has_logs and _RECEIPT_HEADER not in dict(start["headers"]):
            self._outcome.without_receipt[start["status"]] += 1

    def flush(self) -> None:
        """Let the consumers read what was published."""
        records = _as_records(RAW_LOGS.name, self._messages, self._offset)
        self._offset += len(records)
        receipts = [receipt.value for receipt in self._receipts]
        self._messages, self._receipts = [], []
        for document in map(orjson.loads, receipts):
            accepted = len(document["item_ids"])
            self._outcome.published += accepted
            self._outcome.received += accepted + sum(document["rejected"].values())
        if records:
            self._consumers.process(records)
        if receipts:
            self._consumers.insert(RECEIPTS.name, _as_records(RECEIPTS.name, [Keyed(b"", each) for each in receipts]))

    def _scope(self, body: Body) -> dict[str, Any]:
        headers = [(b"authorization", f"Bearer {self._key}".encode()), (b"content-type", body.content_type.encode())]
        headers += [(b"content-encoding", body.encoding.encode())] if body.encoding else []
        headers.append((b"content-length", str(len(body.content)).encode()))
        connection = {"type": "http", "http_version": "1.1", "scheme": "http", "query_string": b"", "root_path": ""}
        addresses = {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}
        target = {"method": "POST", "path": body.path, "raw_path": body.path.encode(), "headers": headers}
        return {**connection, **addresses, **target, "asgi": {"version": "3.0"}}


async def fuzz_bodies(store: Store, outcome: FuzzOutcome, number: int, seed: int) -> None:
    """Post bodies, let the consumers read what was accepted, and take the balance of the ledger."""
    gateway = FuzzedGateway(store, Consumers(store), outcome)
    inputs = _until_stopped(bodies(seed), number)
    for index, group in enumerate(_groups(inputs, _AT_ONCE)):
        await asyncio.gather(*map(gateway.post, group))
        if index % (_BATCH // _AT_ONCE) == 0:
            await asyncio.sleep(0)
            gateway.flush()
            _note_progress(store, outcome, "bodies", index * _AT_ONCE)
    await asyncio.sleep(0.1)
    gateway.flush()
    gateway.reads.close()
    outcome.ledger = _ledger(store)


def fuzz_records(store: Store, outcome: FuzzOutcome, number: int, seed: int) -> None:
    """Give raw logs to all consumers and rows to the sink; each becomes a row or a dead letter, or this raises."""
    consumers, rows = Consumers(store), row_records(seed)
    sink_number = number // _SHARE_FOR_THE_SINK
    inputs = _until_stopped(raw_records(seed), number - sink_number)
    for index, batch in enumerate(_groups(inputs, _BATCH)):
        consumers.process(batch)
        by_topic: dict[str, list[Record]] = {}
        for record in itertools.islice(rows, -(-len(batch) // (_SHARE_FOR_THE_SINK - 1))):
            by_topic.setdefault(record.topic, []).append(record)
            outcome.records["for the sink alone"] += 1
        for topic, records in by_topic.items():
            consumers.insert(topic, records)
        outcome.records["raw logs"] += len(batch)
        _note_progress(store, outcome, "records", index * _BATCH)
    outcome.records.update(consumers.rows)


def _ledger(store: Store) -> dict[str, int]:
    """Return the sums of the ledger of all hours, computed from the facts without a time of grace."""
    ledger = Ledger(store)
    sql = (
        "SELECT DISTINCT toUnixTimestamp(toStartOfHour(received_at)) * 1000 AS hour_ms FROM receipt_rows"
        " WHERE project_id = {project:String}"
    )
    keys = [HourKey(PROJECT_ID, int(row["hour_ms"])) for row in store.rows(sql, {"project": PROJECT_ID})]
    totals: Counter[str] = Counter()
    for key in keys:
        hour = ledger.compute(key, ledger.now_ms(), grace_ms=0).model_dump()
        totals.update({name: value for name, value in hour.items() if isinstance(value, int)})
    return dict(totals)


def _note_progress(store: Store, outcome: FuzzOutcome, name: str, number: int) -> None:
    if number % _PROGRESS_EVERY:
        return
    outcome.megabytes.append(resident_megabytes("self"))
    [parts] = store.rows("SELECT count() AS parts, countIf(active) AS active FROM system.parts")
    threads, files = (len(os.listdir(f"/proc/self/{folder}")) for folder in ("task", "fd"))
    line = f"{number} {name}, {outcome.megabytes[-1]} MB, {threads} threads, {files} files, parts: {parts}"
    print(time.strftime("%X"), line, file=sys.stderr, flush=True)


def _until_stopped(inputs: Iterator[Any], number: int) -> Iterator[Any]:
    return itertools.takewhile(lambda _: not _stopping.is_set(), itertools.islice(inputs, number))


def _groups(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while group := list(itertools.islice(iterator, size)):
        yield group


def _as_records(topic: str, messages: Iterable[Keyed], first_offset: int = 0) -> list[Record]:
    now_ms = time.time_ns() // 1_000_000
    return [
        Record(topic, number % 4, first_offset + number, now_ms, message.key, message.value)
        for number, message in enumerate(messages)
    ]


def run(folder: Path, number_of_bodies: int, number_of_records: int, seed: int) -> FuzzOutcome:
    """Fuzz the gateway and the consumers over an empty store in a folder."""
    store, outcome = embedded(str(folder / "store")), FuzzOutcome()
    list(migrate(store))
    try:
        asyncio.run(fuzz_bodies(store, outcome, number_of_bodies, seed))
        fuzz_records(store, outcome, number_of_records, seed)
    finally:
        store.close()
    return outcome


def main() -> None:
    """Fuzz, print a line, and exit with 1 where something is wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bodies", type=int, default=100_000)
    parser.add_argument("--records", type=int, default=100_000)
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: _stopping.set())
    # The refused rows, one line each.
    logging.disable(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(Path(folder), arguments.bodies, arguments.records, arguments.seed)
    print(f"seed {arguments.seed}: {outcome}")
    sys.exit(bool(outcome.problems()))


if __name__ == "__main__":
    main()
