"""Batches of events to the server: several at a time, in bounded memory, each task's writes in the file's order."""

from __future__ import annotations

import queue
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from phospho_cli.client.failures import Failure
from phospho_cli.client.http import UNATTENDED, Client, Patience
from phospho_cli.importing.log_file import LogLine
from phospho_cli.importing.record_file import BadLine

_MAX_BATCH_BYTES = 4_000_000
_GZIP_WBITS = 16 + zlib.MAX_WBITS
# One event may be the reason that a whole batch was refused: these are tried again in halves.
_SPLIT_STATUSES = frozenset({400, 413, 422})
_WAITING_BATCHES = 2
_POLL_S = 0.2


@dataclass
class Batch:
    """Events on their way, and the lines that they came from."""

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


class Tally:
    """What became of the lines. Thread-safe. Keeps the first `shown` reasons, and counts the rest."""

    def __init__(self, shown: int = 10) -> None:
        self.accepted = 0
        self.rejected = 0
        self.skipped = 0
        self.reasons: list[BadLine] = []
        self._shown = shown
        self._lock = threading.Lock()

    def accept(self, count: int) -> None:
        """Count events that the server has."""
        with self._lock:
            self.accepted += count

    def reject(self, bad: BadLine) -> None:
        """Count a line that will not be logged, and remember why."""
        with self._lock:
            self.rejected += 1
            if len(self.reasons) < self._shown:
                self.reasons.append(bad)


class Upload:
    """
    Sends events in `lanes` threads; a full lane makes `add` wait.

    A task's id chooses its lane, and a lane sends one batch after the other: where a file logs a task twice, the
    later line is the later write. A context manager: leaving it without an error waits until all is sent; leaving it
    with one stops after the batches that are under way.
    """

    def __init__(
        self,
        client: Client,
        tally: Tally,
        *,
        lanes: int,
        max_batch_events: int,
        patience: Patience = UNATTENDED,
    ) -> None:
        self._stop = threading.Event()
        self._client = client.patient(patience, sleep=self._stop.wait)
        self._tally = tally
        self._lanes = [_Lane(self._send, self._stop, max_batch_events) for _ in range(lanes)]

    def __enter__(self) -> Self:
        for lane in self._lanes:
            lane.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, at: object) -> None:
        try:
            if error is None:
                for lane in self._lanes:
                    lane.finish()
        finally:
            self._stop.set()
            for lane in self._lanes:
                lane.join()
            self._client.close()

    def add(self, log: LogLine) -> None:
        """Take one event. Blocks while its lane is full; raises the `Failure` that ended the lane."""
        self._lanes[zlib.crc32(log.task_id.encode()) % len(self._lanes)].add(log)

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
        """Send the batch in halves; a single event that was refused is rejected."""
        if len(batch.lines) == 1:
            self._tally.reject(BadLine(batch.lines[0], " ".join(filter(None, (refusal.message, refusal.hint)))))
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
        self._tally.accept(len(results) - len(rejected))
        for line, result in rejected:
            self._tally.reject(BadLine(line, _reason(result)))


class _Lane:
    """One thread, and a bounded queue of batches before it."""

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
        """Send what is left and wait for it. Raises what ended the lane."""
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
        # The thread's edge: whatever ended it is raised again by `add` and `finish`.
        except Exception as error:
            self._error = error

    def _next(self) -> Batch | None:
        """Return the next batch; None at the end, or when all lanes stop."""
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
