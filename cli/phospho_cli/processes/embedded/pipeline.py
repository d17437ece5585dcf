"""
The pipeline in one process: extraction, detection and the insert, on batches in memory.

Requests that arrive together share a batch, and a large request is several: projects take turns, so that none waits
long for another. A request is answered when its rows are stored. The waiting requests are bounded in bytes; beyond the
bound, a request gets a 503 with Retry-After.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from phospho_cli.processes.embedded.fair_queue import Batch, FairQueue, StoreRequest
from phospho_schemas.ids import HybridClock
from phospho_schemas.topics import ANALYSES, DEAD_LETTER, FEEDBACK, PARTS, RAW_LOGS, RECEIPTS, STEPS, TASKS, Keyed
from phospho_store.errors import StoreError, StoreUnavailable
from phospho_store.forgetting.tombstones import Tombstones
from phospho_store.store import Store
from phospho_web.problems import Problem
from phospho_web.publisher import ReceiptsUnpublished
from phospho_workers.runtime.dead_letters import count_dead_letters
from phospho_workers.runtime.records import Record, Stage
from phospho_workers.sink.forgotten import delete_forgotten, without_forgotten
from phospho_workers.sink.insert import insert_lines, row_dead_letter
from phospho_workers.sink.planner import table_of_topic

logger = logging.getLogger(__name__)

_HINT = "Send it again in a moment."
_NO_PARTITION = -1
# Where an insert fails, those before it are done. A reader may see a task without its analysis, as on Kafka, but never
# an event without its task. Dead letters come last: a repeated request has other positions, and so other dead letters.
_INSERT_ORDER = (PARTS, TASKS, ANALYSES, FEEDBACK, STEPS, DEAD_LETTER)


@dataclass(frozen=True)
class PipelineSettings:
    """
    max_waiting_bytes: requests beyond this are refused with a 503, those of one project beyond half of it.
    linger_s: time for which a batch waits for the requests that are on their way.
    """

    max_waiting_bytes: int = 64_000_000
    linger_s: float = 0.02


@dataclass(frozen=True)
class BatchProcessor:
    """The flow of one batch: extract, detect, insert. Safe to repeat, since the ids are the same."""

    extraction: Stage
    detection: Stage
    store: Store
    tombstones: Tombstones

    def process(self, records: Sequence[Record]) -> None:
        """Run the stages on raw logs and insert their output. Raises StoreUnavailable."""
        if not records:
            return
        self.tombstones.refresh_if_old()
        extracted = self.extraction(records)
        detected = self.detection(_as_records(TASKS.name, extracted.messages.get(TASKS.name, []), records[-1]))
        count_dead_letters(self.extraction.name, extracted)
        count_dead_letters(self.detection.name, detected)
        outputs = [
            _as_records(topic.name, messages, records[-1])
            for topic in _INSERT_ORDER
            if (messages := extracted.messages.get(topic.name, []) + detected.messages.get(topic.name, []))
        ]
        batches = without_forgotten(self.tombstones, outputs)
        for batch in batches:
            self._insert(batch)
        if self.tombstones.refresh():
            delete_forgotten(self.tombstones, itertools.chain.from_iterable(batches))

    def store_receipts(self, receipts: Sequence[bytes]) -> ReceiptsUnpublished | None:
        """Insert rows of `receipt_rows`. Return the error, since the logs of the receipts are stored."""
        try:
            if receipts and insert_lines(self.store, table_of_topic(RECEIPTS.name), receipts):
                return ReceiptsUnpublished("ClickHouse refuses a receipt")
        except Exception as error:
            if not isinstance(error, StoreError):
                logger.error("receipts could not be stored", exc_info=error)
            return ReceiptsUnpublished(str(error))
        return None

    def _insert(self, records: Sequence[Record]) -> None:
        """Insert records of one topic. Each row that ClickHouse refuses becomes a dead letter."""
        if not records:
            return
        refused_rows = insert_lines(self.store, table_of_topic(records[0].topic), [record.value for record in records])
        letters = [row_dead_letter(records[row.index], row).value for row in refused_rows]
        if letters and insert_lines(self.store, table_of_topic(DEAD_LETTER.name), letters):
            raise StoreUnavailable("ClickHouse refuses the dead letter of a row that it refused")


class Pipeline:
    """
    Publisher for the gateway that processes messages in this process instead of producing them to Kafka.

    `refuse` raises Problem (503) while nothing may be stored. One thread runs the stages, so the requests of a project
    are processed in their order.
    """

    def __init__(
        self,
        extraction: Stage,
        detection: Stage,
        store: Store,
        clock: HybridClock,
        *,
        settings: PipelineSettings = PipelineSettings(),
        refuse: Callable[[], None] = lambda: None,
    ) -> None:
        self._processor = BatchProcessor(extraction, detection, store, Tombstones(store))
        self._clock = clock
        self._refuse = refuse
        self._queue = FairQueue(settings.max_waiting_bytes, settings.linger_s)
        self._thread = threading.Thread(target=self._run, name="phospho-pipeline", daemon=True)

    def start(self) -> None:
        """Start the thread of the stages."""
        self._thread.start()

    def close(self, timeout_s: float = 30.0) -> None:
        """Refuse new requests, finish the accepted ones, and stop."""
        self._queue.close()
        self._thread.join(timeout_s)

    async def publish(self, messages: Sequence[Keyed], receipts: Sequence[Keyed] = ()) -> None:
        """
        Process raw logs. When it returns, all their rows are stored, and then the receipts.

        Receipts without logs are stored with the batch of other requests. Raises ReceiptsUnpublished where only the
        receipts can't be stored, and Problem (503) where the logs can't be stored now. A part of them may be stored
        then, such as a task without its analysis. Sent again under the same ids, it is completed and nothing doubles.
        A call that is cancelled before its batch starts stores nothing; one that is cancelled later stores everything.
        """
        if not messages and not receipts:
            return
        request = self._enqueue(messages, receipts)
        await asyncio.wrap_future(request.stored)

    def check(self) -> str | None:
        """Return why the pipeline is not ready, or None."""
        return None if self._thread.is_alive() else "the pipeline's thread has stopped: start phospho again"

    def _enqueue(self, messages: Sequence[Keyed], receipts: Sequence[Keyed]) -> StoreRequest:
        self._refuse()
        size_bytes = sum(len(message.value) for message in messages or receipts)
        # The messages of a request are of one project; where a key names several, those that it may write to.
        project_id = (messages or receipts)[0].key.partition(b":")[0].decode("utf-8", "replace")
        records = [self._record(message) for message in messages]
        request = StoreRequest(project_id, records, size_bytes, [receipt.value for receipt in receipts])
        if self._queue.is_closed or not self._thread.is_alive():
            raise Problem(503, "stopping", "phospho is stopping", _HINT, retry_after_s=5)
        if not self._queue.put(request):
            raise Problem(503, "overloaded", "too many logs are waiting to be stored", _HINT, retry_after_s=1)
        return request

    def _record(self, message: Keyed) -> Record:
        now_ms = time.time_ns() // 1_000_000
        return Record(
            topic=RAW_LOGS.name,
            partition=_NO_PARTITION,
            offset=self._clock.next(),
            timestamp_ms=now_ms,
            key=message.key,
            value=message.value,
        )

    def _run(self) -> None:
        while (batch := self._queue.take()) is not None:
            self._process(batch)

    def _process(self, batch: Batch) -> None:
        """Process a batch and answer its whole requests. Where it fails as a whole, process each request by itself."""
        if not batch:
            return
        try:
            self._processor.process([record for records in batch.values() for record in records])
        except BaseException as error:
            # The edge of this thread, without which nothing is stored any more. The native code of models panics with
            # a BaseException. Signals and exits don't arrive in this thread.
            self._fail_or_retry(batch, error)
            return
        whole = [request for request, records in batch.items() if request.is_whole_with(records)]
        failure = self._processor.store_receipts([receipt for request in whole for receipt in request.receipts])
        for request, records in batch.items():
            request.done += len(records)
        for request in whole:
            self._queue.release(request)
            request.answer(failure if request.receipts else None)

    def _fail_or_retry(self, batch: Batch, error: BaseException) -> None:
        if len(batch) > 1 and not isinstance(error, StoreUnavailable):
            for request, records in batch.items():
                self._process({request: records})
            return
        if not isinstance(error, StoreError):
            logger.error("a batch failed; its requests are answered with a 503", exc_info=error)
        problem = _not_stored(error)
        for request in batch:
            self._queue.drop(request)
            self._queue.release(request)
            request.answer(problem)


def _not_stored(error: BaseException) -> Problem:
    message = f"the logs could not be stored: {error}"[:300]
    return Problem(503, "not_stored", message, "Send them again.", retry_after_s=2)


def _as_records(topic: str, messages: Sequence[Keyed], last: Record) -> list[Record]:
    """Return a stage's messages as records of `topic`, with the offset and time of the batch's last record."""
    return [
        Record(
            topic=topic,
            partition=_NO_PARTITION,
            offset=last.offset,
            timestamp_ms=last.timestamp_ms,
            key=m.key,
            value=m.value,
        )
        for m in messages
    ]
