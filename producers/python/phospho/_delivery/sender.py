"""The thread that passes events from the queue to the transport until each is settled."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Callable

from .._logger import error_text
from ..config import Settings
from .counters import Counters
from .flushes import Flush, FlushResult
from .queue import Event, LogQueue
from .retry_groups import SUSPECT_CODES, Group, event_count, regrouped
from .transport import Outcome, Transport, checked_outcomes

__all__ = ["Sender"]


class Sender:
    """
    Sends the queue's events in batches, on a daemon thread that starts with an event and ends when none came for a
    while.

    The thread survives every failure. Events with the outcome "retry" are sent again after a pause. All others are
    settled: counted, and removed from the queue. `on_settled` is called with them before a flush returns. Once the
    queue is closed, `hand_over` may take the events that failed.
    """

    def __init__(
        self,
        *,
        queue: LogQueue,
        transport: Transport,
        settings: Settings,
        counters: Counters,
        on_settled: Callable[[Sequence[Event]], None],
        on_end: Callable[[], None],
        hand_over: Callable[[Sequence[Event]], bool],
    ) -> None:
        self.tick = settings.tick
        self._queue = queue
        self._transport = transport
        self._retry = settings.retry
        self._counters = counters
        self._on_settled = on_settled
        self._on_end = on_end
        self._hand_over = hand_over
        self._is_serving = False
        self._flushes: list[Flush] = []
        self._thread: threading.Thread | None = None
        self._lock = threading.RLock()

    @property
    def is_running(self) -> bool:
        """True while the thread takes events."""
        return self._is_serving and self._thread is not None and self._thread.is_alive()

    def start(self) -> bool:
        """Start the thread if there is none. Return False if the process is too near its end to start one."""
        if self._queue.lock_kind is not type(threading.RLock()):
            # gevent has patched `threading` since, as gunicorn's workers do after a fork. To its greenlets, which are
            # one thread, the old lock is no lock.
            self._queue.renew_lock()
            self._lock = threading.RLock()
        with self._queue.changed, self._lock:
            if not self.is_running:
                thread = threading.Thread(target=self._run, name="phospho-sender", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # "can't start new thread at interpreter shutdown"
                    return False
                self._thread, self._is_serving = thread, True
            return True

    def flush(self, timeout_s: float) -> FlushResult:
        """Block until all events queued now are settled, or *timeout_s* is over."""
        flush = self._begin_flush()
        try:
            if flush.pending and self.start():
                flush.done.wait(timeout_s)
            elif flush.pending:
                self._attempt(self._queue.take())
        finally:
            self._queue.end_flush()
            with self._lock:
                self._flushes.remove(flush)
        return flush.result()

    def _begin_flush(self) -> Flush:
        # Under the queue's lock, so that no id is settled between listing it and adding the flush.
        with self._queue.changed, self._lock:
            flush = Flush(self._queue.ids_to_send())
            self._flushes.append(flush)
            self._queue.begin_flush()
            return flush

    def send_batch(self) -> FlushResult:
        """Send all events queued now, within 10 s. Upstream's consumer has a method of this name."""
        return self.flush(timeout_s=10.0)

    def join(self, timeout_s: float) -> None:
        """Wait for the thread to end after the queue was closed."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def _run(self) -> None:
        while self._queue.wait_for_batch(self.tick) or not self._has_ended():
            try:
                self._deliver(self._queue.take())
            except BaseException as error:  # the edge of the thread: a fault costs the events in flight, no more
                self._counters.count_error("sender", error)
                self._give_up(f"{type(error).__name__} in the sender")

    def _has_ended(self) -> bool:
        """End the service if nothing is left to send. From then on `start` starts another thread."""
        with self._queue.changed:
            if self._queue.has_ready_events:
                return False
            self._is_serving = False
            is_closed = self._queue.is_closed
        if is_closed:
            self._on_end()
        return True

    def _give_up(self, message: str) -> None:
        """
        Drop the events in flight of every group, so that no flush waits for them.

        They stay unsettled in the spool, if there is one: the next process sends them.
        """
        lost = [(event, Outcome.rejected("fault", message)) for event in self._queue.in_flight()]
        for event, outcome in lost:
            self._counters.count_dropped(outcome.code, event.id, outcome.message)
        self._queue.settle([event for event, _ in lost])
        self._on_settled([])  # settles nothing in the spool, but the queue has room for events on disk
        self._settle_flushes(lost)

    def _deliver(self, batch: list[Event]) -> None:
        """Send *batch* until each event is settled, or the queue is abandoned."""
        groups = [Group(batch)]
        failed_rounds = 0
        while groups and not self._queue.is_abandoned:
            failed, retry_after_s = self._send_round(groups)
            if not failed or self._queue.is_abandoned:
                return
            if self._queue.is_closed and self._hand_over([event for group in failed for event in group.events]):
                return
            failed_rounds = failed_rounds + 1 if event_count(failed) == event_count(groups) else 1
            delay_s = self._retry.delay_s(failed_rounds - 1, retry_after_s)
            self._queue.pause(delay_s, may_hurry=retry_after_s is None)
            groups = regrouped(failed, self._queue.take)

    def _send_round(self, groups: Sequence[Group]) -> tuple[list[Group], float | None]:
        """Send each group once, up to a failure that no event can cause. Return the failed groups and Retry-After."""
        failed: list[Group] = []
        waits: list[float] = []
        for index, group in enumerate(groups):
            retries = self._attempt(group.events)
            if not retries:
                continue
            outcomes = [outcome for _, outcome in retries]
            waits += [outcome.retry_after_s for outcome in outcomes if outcome.retry_after_s is not None]
            is_suspect = outcomes[0].code in SUSPECT_CODES
            failed.append(Group([event for event, _ in retries], group.failures + is_suspect))
            if not is_suspect:
                failed.extend(groups[index + 1 :])
                break
        return failed, max(waits, default=None)

    def _attempt(self, events: Sequence[Event]) -> list[tuple[Event, Outcome]]:
        """Send *events* once, settle those with a final outcome, and return the others."""
        outcomes = list(zip(events, self._outcomes(events)))
        retries = [(event, outcome) for event, outcome in outcomes if outcome.status == "retry"]
        self._settle([(event, outcome) for event, outcome in outcomes if outcome.status != "retry"])
        if retries:
            first = retries[0][1]
            self._counters.count_retried(first.code, len(retries), first.message)
        return retries

    def _outcomes(self, events: Sequence[Event]) -> Sequence[Outcome]:
        try:
            # A copy: the app's transport may change its list.
            return checked_outcomes(self._transport.send(list(events)), len(events))
        except KeyboardInterrupt:  # a flush at the end of the process runs on the app's own thread
            raise
        except BaseException as error:  # the edge of the thread: not even asyncio's CancelledError ends it
            self._counters.count_error("transport", error)
            return [Outcome.retry("transport_error", error_text(error))] * len(events)

    def _settle(self, settled: Sequence[tuple[Event, Outcome]]) -> None:
        if not settled:
            return
        self._counters.count_sent(sum(outcome.status == "accepted" for _, outcome in settled))
        for event, outcome in settled:
            if outcome.status != "accepted":
                self._counters.count_dropped(f"rejected:{outcome.code}", event.id, outcome.message)
        events = [event for event, _ in settled]
        self._queue.settle(events)
        self._on_settled(events)
        self._settle_flushes(settled)

    def _settle_flushes(self, settled: Sequence[tuple[Event, Outcome]]) -> None:
        with self._lock:
            for flush in self._flushes:
                flush.settle(settled)
