"""Batches of events to the server: several at a time, in bounded memory, each task's writes in the file's order."""

from __future__ import annotations

import threading
import zlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

from phospho_cli.client.failures import Failure, joined
from phospho_cli.client.http import LONG_RUNNING, Client, RetryPolicy
from phospho_store.log_files.counts import LineCounts
from phospho_store.log_files.log_file import LogLine
from phospho_store.log_files.records import BadLine

_MAX_BATCH_BYTES = 4_000_000
_GZIP_WBITS = 16 + zlib.MAX_WBITS
# One event may make the server refuse a whole batch, which is then sent again in halves.
_SPLIT_STATUSES = frozenset({400, 413, 422})
_WAITING_BATCHES = 2


@dataclass
class Batch:
    """The events of one request."""

    logs: list[LogLine] = field(default_factory=list)
    size_bytes: int = 0

    def add(self, log: LogLine) -> None:
        """Append one event."""
        self.logs.append(log)
        self.size_bytes += len(log.event) + 1

    def halves(self) -> tuple[Batch, Batch]:
        """Return the first and the second half."""
        middle = len(self.logs) // 2
        return Batch(self.logs[:middle]), Batch(self.logs[middle:])

    def body(self) -> bytes:
        """Return the request's body, in gzip at its fastest."""
        compressor = zlib.compressobj(level=1, wbits=_GZIP_WBITS)
        text = b'{"events":[' + b",".join(log.event for log in self.logs) + b"]}"
        return compressor.compress(text) + compressor.flush()


class Upload:
    """
    Sends events in several threads, each behind a bounded queue.

    A task's id chooses its thread, and a thread sends one batch after the other: if a file logs a task twice, the
    later line is the later write. A context manager: leaving it without an error waits until all is sent; leaving it
    with one stops after the batches that are being sent.
    """

    def __init__(
        self,
        client: Client,
        counts: LineCounts,
        *,
        threads: int,
        max_batch_events: int,
        retries: RetryPolicy = LONG_RUNNING,
    ) -> None:
        self._stop = threading.Event()
        self._client = client.with_retries(retries, sleep=self._stop.wait)
        self._counts = counts
        self._senders = [_Sender(self._send, max_batch_events) for _ in range(threads)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, at: object) -> None:
        try:
            if error is None:
                for sender in self._senders:
                    sender.finish()
        finally:
            self._stop.set()
            for sender in self._senders:
                sender.close()
            self._client.close()

    def add(self, log: LogLine) -> None:
        """Queue one event. Blocks while its queue is full; raises the `Failure` of a batch before."""
        self._senders[zlib.crc32(log.task_id.encode()) % len(self._senders)].add(log)

    def _send(self, batch: Batch) -> None:
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        try:
            answer = self._client.post_bytes("/api/v1/events/batch", batch.body(), headers)
        except Failure as failure:
            if failure.status not in _SPLIT_STATUSES:
                raise
            self._send_parts(batch, failure)
            return
        self._count(batch, answer)

    def _send_parts(self, batch: Batch, refusal: Failure) -> None:
        """Send the batch in halves; a single refused event is rejected."""
        if len(batch.logs) == 1:
            self._counts.reject(BadLine(batch.logs[0].line, joined(refusal.message, refusal.hint)))
            return
        for half in batch.halves():
            self._send(half)

    def _count(self, batch: Batch, answer: Any) -> None:
        results = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(results, list) or len(results) != len(batch.logs):
            raise Failure("The server did not answer for each event.", "Check the base URL, and any proxy before it.")
        answered = list(zip(batch.logs, results, strict=True))
        accepted = [(log, result) for log, result in answered if _is_accepted(result)]
        times = [str(result.get("created_at") or "") for _, result in accepted]
        self._counts.accept(times, undated=sum(log.is_undated for log, _ in accepted))
        for log, result in answered:
            if not _is_accepted(result):
                self._counts.reject(BadLine(log.line, _reason(result)))


class _Sender:
    """One thread that sends one batch after the other, until one fails; two more may wait for it."""

    def __init__(self, send: Callable[[Batch], None], max_batch_events: int) -> None:
        self._send = send
        self._max_batch_events = max_batch_events
        self._filling = Batch()
        self._sent: deque[Future[None]] = deque()
        self._has_failed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="upload")

    def add(self, log: LogLine) -> None:
        """Add one event. Blocks while too many batches wait; raises the error of a batch before."""
        if self._filling.logs and self._filling.size_bytes + len(log.event) > _MAX_BATCH_BYTES:
            self._flush()
        self._filling.add(log)
        if len(self._filling.logs) >= self._max_batch_events:
            self._flush()

    def finish(self) -> None:
        """Send the rest and wait for it. Raises the error of a batch."""
        if self._filling.logs:
            self._flush()
        while self._sent:
            self._sent.popleft().result()

    def close(self) -> None:
        """Wait for the batch that is being sent; those that wait are dropped."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _flush(self) -> None:
        while self._sent and (len(self._sent) > _WAITING_BATCHES or self._sent[0].done()):
            self._sent.popleft().result()
        self._sent.append(self._thread.submit(self._send_next, self._filling))
        self._filling = Batch()

    def _send_next(self, batch: Batch) -> None:
        if self._has_failed:
            return
        try:
            self._send(batch)
        except BaseException:
            self._has_failed = True
            raise


def _is_accepted(result: Any) -> bool:
    return bool(result.get("status") == "accepted")


def _reason(result: Any) -> str:
    """Return why the server rejected an event, in its own words."""
    error = result.get("error") or {}
    return joined(str(error.get("message") or "the server gave no reason"), str(error.get("hint") or ""))
