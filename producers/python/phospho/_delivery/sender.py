"""The passing of events from the queue to the transport until each is settled."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Callable, NamedTuple

from .._logger import error_text
from ..config import Settings
from .counters import Counters
from .flushes import Flush, FlushResult
from .queue import Event, LogQueue
from .retry_groups import SUSPECT_CODES, Group, event_count, regrouped
from .sender_thread import SenderThread
from .transport import Outcome, Transport, checked_outcomes

__all__ = ["Sender"]


class _Pause(NamedTuple):
    """A pause before failed events are sent again. `close` ends it, and with `may_hurry` the next flush does."""

    ends_at_s: float = 0.0
    may_hurry: bool = False
    flushes_before: int = 0
    was_closed: bool = False


class Sender:
    """
    Sends the queue's events in batches, on a thread that it shares with the other senders to its receiver.

    It survives every failure. Events with the outcome "retry" are sent again after a pause, in which others have the
    thread. All others are settled: counted, and removed from the queue. `on_settled` is called with them before a flush
    returns. Once the queue is closed, `hand_over` may take the events.
    """

    def __init__(
        self,
        *,
        queue: LogQueue,
        thread: SenderThread,
        transport: Transport,
        settings: Settings,
        counters: Counters,
        on_settled: Callable[[Sequence[Event]], None],
        on_end: Callable[[], None],
        hand_over: Callable[[Sequence[Event]], bool],
    ) -> None:
        self.tick = settings.tick
        self._queue = queue
        self._thread = thread
        self._transport = transport
        self._retry = settings.retry
        self._counters = counters
        self._on_settled = on_settled
        self._on_end = on_end
        self._hand_over = hand_over
        self._is_ended = False
        self._flushes: list[Flush] = []
        # Events that failed, and their pause.
        self._groups: list[Group] = []
        self._failed_rounds = 0
        self._pause = _Pause()

    @property
    def is_running(self) -> bool:
        """True while the thread takes events."""
        return self._thread.is_alive and not self._is_ended

    @property
    def is_busy(self) -> bool:
        """True while the thread has work for this sender."""
        return self._thread.is_serving(self)

    def start(self) -> bool:
        """Begin to send. Return False if the process is too near its end to start a thread."""
        return self._thread.serve(self)

    def due_at(self) -> float | None:
        """Return when there is something to do, None if there is nothing. Called under the queue's lock."""
        if self._has_ended:
            return None if self._is_ended else 0.0
        if not self._groups:
            return self._queue.due_at(self.tick)
        is_hurried = self._pause.may_hurry and self._queue.flushes_begun > self._pause.flushes_before
        is_hurried = is_hurried or (self._queue.is_closed and not self._pause.was_closed)
        return 0.0 if is_hurried else self._pause.ends_at_s

    def work(self) -> None:
        """Send one batch, or the failed events once more; end when the queue is closed and nothing is left."""
        with self._queue.changed:
            is_ending = self._is_ended = self._has_ended
        if is_ending:
            self._groups = []
            self._on_end()
            return
        try:
            if self._groups:
                self._send_again()
            elif not self._pass_on(batch := self._queue.take()):
                self._deliver(batch)
        except BaseException as error:  # the edge of the thread: a fault costs the events in flight, no more
            self._counters.count_error("sender", error)
            self._give_up(f"{type(error).__name__} in the sender")

    @property
    def _has_ended(self) -> bool:
        is_empty = not self._groups and not self._queue.has_ready_events
        return self._queue.is_abandoned or (self._queue.is_closed and is_empty)

    def flush(self, timeout_s: float) -> FlushResult:
        """Block until all events queued now are settled, or *timeout_s* is over."""
        flush = self._begin_flush()
        try:
            if not flush.pending or self._queue.is_abandoned:
                pass  # nothing will be sent any more
            elif self.start():
                flush.done.wait(timeout_s)
            else:
                self._attempt(self._queue.take())
        finally:
            self._queue.end_flush()
            with self._queue.changed:
                self._flushes.remove(flush)
        return flush.result()

    def _begin_flush(self) -> Flush:
        # Under the queue's lock, so that no id is settled between listing it and adding the flush.
        with self._queue.changed:
            flush = Flush(self._queue.ids_to_send())
            self._flushes.append(flush)
            self._queue.begin_flush()
            return flush

    def send_batch(self) -> FlushResult:
        """Send all events queued now, within 10 s. Upstream's consumer has a method of this name."""
        return self.flush(timeout_s=10.0)

    def join(self, timeout_s: float) -> None:
        """Wait for the end after the queue was closed."""
        self._thread.join(self, timeout_s)

    def _give_up(self, message: str) -> None:
        """
        Drop the events in flight of every group, so that no flush waits for them.

        They stay unsettled in the spool, if there is one: the next process sends them.
        """
        self._groups = []
        lost = [(event, Outcome.rejected("fault", message)) for event in self._queue.in_flight()]
        for event, outcome in lost:
            self._counters.count_dropped(outcome.code, event.id, outcome.message)
        self._queue.settle([event for event, _ in lost])
        self._on_settled([])  # settles nothing in the spool, but the queue has room for events on disk
        self._settle_flushes(lost)

    def _pass_on(self, batch: list[Event]) -> bool:
        """Let another closed client send *batch* with its own, unless a flush waits for it. Return whether it does."""
        is_left_alone = self._queue.is_closed and not self._queue.is_abandoned and not self._flushes
        return bool(batch) and is_left_alone and self._hand_over(batch)

    def _deliver(self, batch: list[Event]) -> None:
        """Send *batch* once. Events that failed wait for `_send_again`."""
        self._failed_rounds = 0
        self._send([Group(batch)] if batch else [])

    def _send_again(self) -> None:
        self._send(regrouped(self._groups, self._queue.take))

    def _send(self, groups: list[Group]) -> None:
        self._groups = groups
        failed, retry_after_s = self._send_round(groups)
        is_handed_over = self._queue.is_closed and self._hand_over_failed(failed)
        self._groups = [] if is_handed_over or self._queue.is_abandoned else failed
        if self._groups:
            is_same = self._failed_rounds > 0 and event_count(failed) == event_count(groups)
            self._failed_rounds = self._failed_rounds + 1 if is_same else 1
            delay_s = self._retry.delay_s(self._failed_rounds - 1, retry_after_s)
            self._pause = _Pause(
                ends_at_s=time.monotonic() + delay_s,
                may_hurry=retry_after_s is None,
                flushes_before=self._queue.flushes_begun,
                was_closed=self._queue.is_closed,
            )

    def _hand_over_failed(self, failed: Sequence[Group]) -> bool:
        return bool(failed) and self._hand_over([event for group in failed for event in group.events])

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
        with self._queue.changed:
            for flush in self._flushes:
                flush.settle(settled)
