"""The thread that takes events from the queue and hands them to the transport until each is settled."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Callable, NamedTuple

from ._counters import Counters, described
from ._groups import SUSPECT_CODES, Group, regrouped, size
from ._queue import Event, LogQueue
from ._transport import Outcome, Transport, checked_outcomes
from .config import Settings

__all__ = ["FlushResult", "Sender"]


class FlushResult(NamedTuple):
    """
    What a flush achieved: ids that were `sent`, `rejected` (id and reason), and still `pending`.

    `spooled` is how many more are on disk only, for want of room in memory.
    """

    sent: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...]
    pending: tuple[str, ...]
    spooled: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether everything that was queued has been sent."""
        return not (self.rejected or self.pending or self.spooled)

    def followed_by(self, later: FlushResult) -> FlushResult:
        """Return both results as one."""
        return FlushResult(self.sent + later.sent, self.rejected + later.rejected, later.pending)


class Sender:
    """
    Sends the queue's events in batches, on a daemon thread that starts with the first event.

    It outlives every failure: what may yet be taken is tried again after a pause, what never will be is
    counted and let go. `on_settled` hears of both, before a flush does.
    """

    def __init__(
        self,
        queue: LogQueue,
        transport: Transport,
        settings: Settings,
        counters: Counters,
        on_settled: Callable[[Sequence[Event]], None],
        on_end: Callable[[], None],
    ) -> None:
        self.tick = settings.tick
        self._queue = queue
        self._transport = transport
        self._retry = settings.retry
        self._counters = counters
        self._on_settled = on_settled
        self._on_end = on_end
        self._flushes: list[_Flush] = []
        self._thread: threading.Thread | None = None
        self._lock = threading.RLock()

    @property
    def is_running(self) -> bool:
        """Whether the thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> bool:
        """Start the thread, once; return False when there can be none, at the very end of a process."""
        with self._lock:
            if self._thread is None or not (self._thread.is_alive() or self._queue.is_closed):
                thread = threading.Thread(target=self._run, name="phospho-sender", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # "can't start new thread at interpreter shutdown"
                    return False
                self._thread = thread
            return True

    def flush(self, timeout_s: float) -> FlushResult:
        """Block until all that is queued now is settled, or *timeout_s* is over; say what became of it."""
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

    def _begin_flush(self) -> _Flush:
        # Under the queue's lock, so that no id is settled between being listed and being listened for.
        with self._queue.changed, self._lock:
            flush = _Flush(self._queue.ids_to_send())
            self._flushes.append(flush)
            self._queue.begin_flush()
            return flush

    def send_batch(self) -> FlushResult:
        """Send what is queued now. The name that upstream's consumer had."""
        return self.flush(timeout_s=10.0)

    def join(self, timeout_s: float) -> None:
        """Wait for the thread to end, after the queue was closed."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def _run(self) -> None:
        while self._queue.wait_for_batch(self.tick):
            try:
                self._deliver(self._queue.take())
            except BaseException as error:  # the edge of the thread: a fault costs what is in flight, no more
                self._counters.count_error("sender", error)
                self._give_up(f"{type(error).__name__} in the sender")
        self._on_end()

    def _give_up(self, message: str) -> None:
        """
        Drop what is in flight, of every group, so that no event and no flush waits for what is lost.

        What the spool keeps of it stays there, unsettled: the next process to start sends it.
        """
        lost = [(event, Outcome.rejected("fault", message)) for event in self._queue.in_flight()]
        for event, outcome in lost:
            self._counters.count_dropped(outcome.code, event.id, outcome.message)
        self._queue.settle([event for event, _ in lost])
        self._on_settled([])  # nothing that was kept, but there is room again for what is on disk only
        self._tell_flushes(lost)

    def _deliver(self, batch: list[Event]) -> None:
        """Try *batch* until each event is settled, or the queue is abandoned."""
        groups = [Group(batch)]
        rounds_in_vain = 0
        while groups and not self._queue.is_abandoned:
            failed, retry_after_s = self._round(groups)
            if not failed or self._queue.is_abandoned:
                return
            rounds_in_vain = rounds_in_vain + 1 if size(failed) == size(groups) else 1
            delay_s = self._retry.delay_s(rounds_in_vain - 1, retry_after_s)
            self._queue.pause(delay_s, may_hurry=retry_after_s is None)
            groups = regrouped(failed, self._queue.take)

    def _round(self, groups: Sequence[Group]) -> tuple[list[Group], float | None]:
        """Try each group once, up to a failure of the receiver itself; return what failed, and the wait."""
        failed: list[Group] = []
        waits: list[float] = []
        for index, group in enumerate(groups):
            again = self._attempt(group.events)
            if again:
                outcomes = [outcome for _, outcome in again]
                waits += [outcome.retry_after_s for outcome in outcomes if outcome.retry_after_s is not None]
                is_suspect = outcomes[0].code in SUSPECT_CODES
                failed.append(Group([event for event, _ in again], group.failures + is_suspect))
                if not is_suspect:
                    failed.extend(groups[index + 1 :])
                    break
        return failed, max(waits, default=None)

    def _attempt(self, events: Sequence[Event]) -> list[tuple[Event, Outcome]]:
        """Send *events* once, settle those that are settled, and return the others with the reason."""
        outcomes = list(zip(events, self._outcomes(events)))
        again = [(event, outcome) for event, outcome in outcomes if outcome.status == "retry"]
        self._settle([(event, outcome) for event, outcome in outcomes if outcome.status != "retry"])
        if again:
            first = again[0][1]
            self._counters.count_retried(first.code, len(again), first.message)
        return again

    def _outcomes(self, events: Sequence[Event]) -> Sequence[Outcome]:
        try:
            # A copy: what a transport does to its list must not change ours.
            return checked_outcomes(self._transport.send(list(events)), len(events))
        except KeyboardInterrupt:  # a flush at the end of the process sends on the app's own thread
            raise
        except BaseException as error:  # the edge of the thread: not even asyncio's CancelledError ends it
            self._counters.count_error("transport", error)
            return [Outcome.retry("transport_error", described(error))] * len(events)

    def _settle(self, settled: Sequence[tuple[Event, Outcome]]) -> None:
        if not settled:
            return
        self._counters.count_sent(sum(outcome.status == "accepted" for _, outcome in settled))
        for event, outcome in settled:
            if outcome.status != "accepted":
                self._counters.count_dropped(f"rejected:{outcome.code}", event.id, outcome.message)
        self._let_go(settled)

    def _let_go(self, settled: Sequence[tuple[Event, Outcome]]) -> None:
        """Hold the settled events no longer, and tell the spool and then the flushes."""
        events = [event for event, _ in settled]
        self._queue.settle(events)
        self._on_settled(events)
        self._tell_flushes(settled)

    def _tell_flushes(self, settled: Sequence[tuple[Event, Outcome]]) -> None:
        with self._lock:
            for flush in self._flushes:
                flush.settle(settled)


class _Flush:
    """One call of `flush`, waiting for its ids."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.pending: set[str] = set(ids)
        self.done = threading.Event()
        self._ids = ids
        self._outcomes: dict[str, Outcome] = {}

    def settle(self, settled: Sequence[tuple[Event, Outcome]]) -> None:
        for event, outcome in settled:
            if event.id in self.pending:
                self.pending.discard(event.id)
                self._outcomes[event.id] = outcome
        if not self.pending:
            self.done.set()

    def result(self) -> FlushResult:
        known = [(id, self._outcomes[id]) for id in self._ids if id in self._outcomes]
        return FlushResult(
            sent=tuple(id for id, outcome in known if outcome.status == "accepted"),
            rejected=tuple((id, f"{o.code}: {o.message}") for id, o in known if o.status != "accepted"),
            pending=tuple(id for id in self._ids if id not in self._outcomes),
        )
