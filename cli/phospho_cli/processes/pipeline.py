"""
The pipeline in one process: the same stages on the same batches, handed over in memory.

Requests that arrive together share a batch. A request is answered when its rows are stored; what is waiting is
bounded by bytes, and beyond the bound a request is refused with a Retry-After.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from phospho_schemas.ids import HybridClock
from phospho_schemas.records import Keyed
from phospho_schemas.topics import ANALYSES, DEAD_LETTER, FEEDBACK, RAW_LOGS, TASKS
from phospho_store.errors import StoreError, StoreUnavailable
from phospho_store.store import Store
from phospho_web.problems import Problem
from phospho_workers.runtime import metrics
from phospho_workers.runtime.records import Record, Stage, Unreadable, dead_letter
from phospho_workers.sink.insert import insert_lines
from phospho_workers.sink.tables import TABLE_OF_TOPIC

logger = logging.getLogger(__name__)

_ASIDE_PARTITION = -1
# Where an insert fails, those before it have happened. A task that is not analysed yet is what a reader knows from
# Kafka as well; an event without its task is nothing that a reader could make sense of. Dead letters come last, since
# a request that is sent again has other places, and so other dead letters.
_INSERT_ORDER = (TASKS, ANALYSES, FEEDBACK, DEAD_LETTER)


@dataclass(frozen=True)
class PipelineSettings:
    """
    max_waiting_bytes: requests beyond this wait at the client, with a 503.
    max_batch_records: what one batch holds at most.
    linger_s: how long a batch that has its first request waits for more.
    """

    max_waiting_bytes: int = 64_000_000
    max_batch_records: int = 5000
    linger_s: float = 0.002


@dataclass(frozen=True)
class _Request:
    records: list[Record]
    size_bytes: int
    stored: Future[None]


class Pipeline:
    """
    A publisher whose topic is this process: `publish` returns when extraction, detection and the insert are done.

    One thread runs the stages, so batches keep the order in which their requests came.
    """

    def __init__(
        self,
        extraction: Stage,
        detection: Stage,
        store: Store,
        clock: HybridClock,
        settings: PipelineSettings = PipelineSettings(),
    ) -> None:
        self._extraction = extraction
        self._detection = detection
        self._store = store
        self._clock = clock
        self._settings = settings
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="phospho-pipeline", daemon=True)

    def start(self) -> None:
        """Start the thread of the stages."""
        self._thread.start()

    def close(self, timeout_s: float = 30.0) -> None:
        """Refuse new requests, finish those that were taken, and stop."""
        with self._lock:
            self._is_closed = True
            self._requests.put(None)
        self._thread.join(timeout_s)

    async def publish(self, messages: Sequence[Keyed]) -> None:
        """
        Store what the messages say; when it returns, all of it is stored.

        Raises Problem (503) where it can't be taken now. A part of it may be stored then, as a task without its
        analysis: sent again under the same ids, it is completed and nothing is doubled. A call that is cancelled
        before its batch begins stores nothing, later it stores all.
        """
        request = self._taken(messages)
        await asyncio.wrap_future(request.stored)

    def check(self) -> str | None:
        """Return what is not ready, or None."""
        return None if self._thread.is_alive() else "the pipeline's thread has stopped: start phospho again"

    def _taken(self, messages: Sequence[Keyed]) -> _Request:
        size_bytes = sum(len(message.value) for message in messages)
        request = _Request([self._record(message) for message in messages], size_bytes, Future())
        with self._lock:
            if self._is_closed or not self._thread.is_alive():
                raise Problem(503, "stopping", "phospho is stopping", "Send it again in a moment.", 5)
            # A request that is larger than the bound is taken when nothing else waits.
            if self._waiting_bytes and self._waiting_bytes + size_bytes > self._settings.max_waiting_bytes:
                raise Problem(503, "overloaded", "too much is waiting to be stored", "Send it again in a moment.", 1)
            self._waiting_bytes += size_bytes
            self._requests.put(request)
        return request

    def _record(self, message: Keyed) -> Record:
        now_ms = time.time_ns() // 1_000_000
        return Record(RAW_LOGS.name, _ASIDE_PARTITION, self._clock.next(), now_ms, message.key, message.value)

    def _run(self) -> None:
        while (first := self._requests.get()) is not None:
            batch, is_last = self._batch(first)
            self._finish([request for request in batch if self._begins(request)])
            if is_last:
                return

    def _batch(self, first: _Request) -> tuple[list[_Request], bool]:
        """Return `first` with what comes within the linger, and whether the end has come."""
        batch, records = [first], len(first.records)
        deadline_s = time.monotonic() + self._settings.linger_s
        while records < self._settings.max_batch_records:
            try:
                request = self._requests.get(timeout=max(0.0, deadline_s - time.monotonic()))
            except queue.Empty:
                break
            if request is None:
                return batch, True
            batch.append(request)
            records += len(request.records)
        return batch, False

    def _begins(self, request: _Request) -> bool:
        """Take a request into work, after which nobody can cancel it; False where somebody has."""
        if request.stored.set_running_or_notify_cancel():
            return True
        self._release(request)
        return False

    def _finish(self, batch: list[_Request]) -> None:
        """Store a batch and answer its requests; where it fails as a whole, each request by itself."""
        if not batch:
            return
        try:
            self._store_records([record for request in batch for record in request.records])
        except BaseException as error:
            # The edge of this thread, without which nothing is stored any more. The models' native code panics with
            # what is no Exception; no signal and no exit arrives here.
            self._fail_or_retry(batch, error)
            return
        for request in batch:
            self._answer(request, None)

    def _fail_or_retry(self, batch: list[_Request], error: BaseException) -> None:
        if len(batch) > 1 and not isinstance(error, StoreUnavailable):
            for request in batch:
                self._finish([request])
            return
        if not isinstance(error, StoreError):
            logger.error("a batch failed", exc_info=error)
        problem = Problem(503, "not_stored", f"the logs could not be stored: {error}"[:300], "Send them again.", 2)
        for request in batch:
            self._answer(request, problem)

    def _answer(self, request: _Request, problem: Problem | None) -> None:
        self._release(request)
        if problem is None:
            request.stored.set_result(None)
        else:
            request.stored.set_exception(problem)

    def _release(self, request: _Request) -> None:
        with self._lock:
            self._waiting_bytes -= request.size_bytes

    def _store_records(self, records: list[Record]) -> None:
        """Run the stages and insert what they wrote. Every insert is safe to repeat: the ids are the same."""
        extracted = self._extraction(records)
        detected = self._detection(_as_records(TASKS.name, extracted.messages.get(TASKS.name, []), records))
        for output, stage in ((extracted, self._extraction), (detected, self._detection)):
            for reason, number in output.unreadable.items():
                metrics.DEAD_LETTERS.labels(stage.name, reason).inc(number)
        for topic in _INSERT_ORDER:
            messages = extracted.messages.get(topic.name, []) + detected.messages.get(topic.name, [])
            if messages:
                self._insert(topic.name, TABLE_OF_TOPIC[topic.name], messages, records)

    def _insert(self, topic: str, table: str, messages: list[Keyed], records: list[Record]) -> None:
        """Insert the lines of a topic; each that ClickHouse refuses becomes a dead letter, the others are stored."""
        letters: list[bytes] = []
        for refused in insert_lines(self._store, table, [message.value for message in messages], place=""):
            record = _as_records(topic, [messages[refused.index]], records)[0]
            letters.append(dead_letter(record, "sink", Unreadable("row_refused", refused.detail)).value)
            metrics.DEAD_LETTERS.labels("sink", "row_refused").inc()
        if letters and insert_lines(self._store, TABLE_OF_TOPIC[DEAD_LETTER.name], letters, place=""):
            raise StoreUnavailable("ClickHouse refuses the dead letter of a row that it refused")


def _as_records(topic: str, messages: Sequence[Keyed], source: Sequence[Record]) -> list[Record]:
    """Return a stage's messages as the records that the next stage reads, at the time of the batch's last record."""
    last = source[-1]
    return [Record(topic, _ASIDE_PARTITION, last.offset, last.timestamp_ms, m.key, m.value) for m in messages]
