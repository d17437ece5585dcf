"""Batches of events to the server: several at a time, in bounded memory, each task's writes in the file's order."""

from __future__ import annotations

import queue
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from phospho_cli.client.failures import Failure
from phospho_cli.client.http import LONG_RUNNING, Client, RetryPolicy
from phospho_cli.importing.log_file import LogLine
from phospho_cli.importing.record_file import BadLine

_MAX_BATCH_BYTES = 4_000_000
_GZIP_WBITS = 16 + zlib.MAX_WBITS
# One event may make the server refuse a whole batch, which is then sent again in halves.
_SPLIT_STATUSES = frozenset({400, 413, 422})
_WAITING_BATCHES = 2
_SHOWN_REASONS = 10
_POLL_S = 0.2


@dataclass
class Batch:
    """Events of one request, and the lines that they came from."""

    lines: list[int] = field(default_factory=list)
    events: list[bytes] = field(default_factory=list)
    size_bytes: int = 0

    def add(self, log: LogLine) -> None:
        """Append one event."""
        self.lines.append(log.line)
        self.events.append(log.event)
        self.size_bytes += len(log.event) + 1

    def halves(self) -> tuple[Batch, Batch]:
        """Return the first and the second half."""
        middle = len(self.lines) // 2
        first = Batch(self.lines[:middle], self.events[:middle])
        return first, Batch(self.lines[middle:], self.events[middle:])

    def body(self) -> bytes:
        """Return the request's body, in gzip at its fastest."""
        compressor = zlib.compressobj(level=1, wbits=_GZIP_WBITS)
        text = b'{"events":[' + b",".join(self.events) + b"]}"
        return compressor.compress(text) + compressor.flush()


class LineCounts:
    """Counts of accepted, rejected and skipped lines, with the first ten reasons. Thread-safe."""

    def __init__(self) -> None:
        self.accepted = 0
        self.rejected = 0
        self.skipped = 0
        self.reasons: list[BadLine] = []
        self._lock = threading.Lock()

    def accept(self, count: int) -> None:
        """Count events that the server accepted."""
        with self._lock:
            self.accepted += count

    def reject(self, bad: BadLine) -> None:
        """Count a line that is not logged, and keep its reason if it is among the first."""
        with self._lock:
            self.rejected += 1
            if len(self.reasons) < _SHOWN_REASONS:
                self.reasons.append(bad)


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
        self._senders = [_Sender(self._send, self._stop, max_batch_events) for _ in range(threads)]

    def __enter__(self) -> Self:
        for sender in self._senders:
            sender.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, at: object) -> None:
        try:
            if error is None:
                for sender in self._senders:
                    sender.finish()
        finally:
            self._stop.set()
            for sender in self._senders:
                sender.join()
            self._client.close()

    def add(self, log: LogLine) -> None:
        """Queue one event. Blocks while its queue is full; raises the `Failure` that ended its thread."""
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
        if len(batch.lines) == 1:
            self._counts.reject(BadLine(batch.lines[0], " ".join(filter(None, (refusal.message, refusal.hint)))))
            return
        for half in batch.halves():
            self._send(half)

    def _count(self, batch: Batch, answer: Any) -> None:
        results = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(results, list) or len(results) != len(batch.lines):
            raise Failure("The server did not answer for each event.", "Check the base URL, and any proxy before it.")
        rejected = [
            (line, result)
            for line, result in zip(batch.lines, results, strict=True)
            if result.get("status") != "accepted"
        ]
        self._counts.accept(len(results) - len(rejected))
        for line, result in rejected:
            self._counts.reject(BadLine(line, _reason(result)))


class _Sender:
    """One thread behind a bounded queue of batches."""

    def __init__(self, send: Callable[[Batch], None], stop: threading.Event, max_batch_events: int) -> None:
        self._send = send
        self._stop = stop
        self._max_batch_events = max_batch_events
        self._filling = Batch()
        self._waiting: queue.Queue[Batch | None] = queue.Queue(_WAITING_BATCHES)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="upload", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def add(self, log: LogLine) -> None:
        if self._filling.events and self._filling.size_bytes + len(log.event) > _MAX_BATCH_BYTES:
            self._flush()
        self._filling.add(log)
        if len(self._filling.events) >= self._max_batch_events:
            self._flush()

    def finish(self) -> None:
        """Send the rest and wait for it. Raises the error that ended the thread."""
        if self._filling.events:
            self._flush()
        self._put(None)
        self._thread.join()
        self._raise_error()

    def _flush(self) -> None:
        self._put(self._filling)
        self._filling = Batch()

    def _put(self, batch: Batch | None) -> None:
        while True:
            self._raise_error()
            try:
                return self._waiting.put(batch, timeout=_POLL_S)
            except queue.Full:
                continue

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while (batch := self._next()) is not None:
                self._send(batch)
        # The edge of the thread: `add` and `finish` raise the error again.
        except Exception as error:
            self._error = error

    def _next(self) -> Batch | None:
        """Return the next batch; None at the end, or when all threads stop."""
        while not self._stop.is_set():
            try:
                return self._waiting.get(timeout=_POLL_S)
            except queue.Empty:
                continue
        return None


def _reason(result: Any) -> str:
    """Return why the server rejected an event, in its own words."""
    error = result.get("error") or {}
    return " ".join(filter(None, (error.get("message"), error.get("hint")))) or "the server gave no reason"
