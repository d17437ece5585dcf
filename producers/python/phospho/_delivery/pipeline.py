"""Delivery of one client's events: queue, sender, spool and transport, through forks to the process's end."""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import threading
import time
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Callable, NoReturn

from ..config import Settings
from ..errors import ConfigError, SendError
from .counters import Counters, Stats
from .flushes import FlushResult
from .queue import Event, LogQueue
from .sender import Sender
from .sender_thread import forget_threads, thread_of
from .transport import Transport

if TYPE_CHECKING:
    from .spool import Spool

__all__ = ["Pipeline"]

_PIPELINES: weakref.WeakSet[Pipeline] = weakref.WeakSet()

# By receiver, the retired client that retries for all others.
_HEIRS: dict[tuple[str, ...], Pipeline] = {}
_HEIRS_LOCK = threading.RLock()


class Pipeline:
    """
    Delivers events. `submit` neither blocks nor raises by itself.

    With a spool each event is on disk before `submit` returns, and stays there until it is settled. In a forked
    child the pipeline begins empty: the parent sends the events that it has queued. Parent and child share the
    transport object, whose `after_fork` is called.
    """

    def __init__(self, settings: Settings, transport: Transport) -> None:
        self.settings = settings
        self.transport = transport
        self._destination = getattr(transport, "destination", None)
        self._spool = _spool_of(settings)
        self._begin()
        if self._spool is not None:
            self.counters.count_logged(self._deferred)
            self._refill()
        _register(self)

    def _begin(self) -> None:
        self._is_retired = False
        self.counters = Counters()
        thread = thread_of(self._destination)
        self.queue = LogQueue(self.settings.limits, thread)
        self.sender = Sender(
            queue=self.queue,
            thread=thread,
            transport=self.transport,
            settings=self.settings,
            counters=self.counters,
            on_settled=self._on_settled,
            on_end=self._release,
            hand_over=self._hand_over,
        )

    def submit(self, event: Event) -> bool:
        """Queue *event* and return True, or count it as dropped and return False. Does not block."""
        self.counters.count_logged()
        event.mask = self.settings.mask
        reason = self._refusal_of(event)
        if reason:
            self.counters.count_dropped(reason, event.id, f"{event.size_bytes} bytes, {len(self.queue)} queued")
            return False
        self._start()
        return True

    def refuse(self, event_id: str, message: str) -> None:
        """Count a call of the app that can't be sent."""
        self.counters.count_logged()
        self.counters.count_dropped("invalid", event_id, message)

    def update(self, event: Event, to_log: bool, size_bytes: int) -> None:
        """Note that the content of a queued *event* has changed and now has *size_bytes*."""
        self.queue.grow(event, size_bytes - event.size_bytes, to_log)
        if to_log:
            self._store(event)
        self._start()

    def has_room(self, event: Event, added_bytes: int) -> bool:
        """Return whether a queued *event* may grow. The first refusal is counted as truncation."""
        limits = self.settings.limits
        grown_bytes = event.size_bytes + added_bytes
        if grown_bytes <= limits.event_bytes and self.queue.held_bytes + added_bytes <= limits.queue_bytes:
            return True
        if not event.content.get("is_truncated"):
            event.content["is_truncated"] = True
            self.counters.count_truncated()
        return False

    def flush(self, timeout_s: float) -> FlushResult:
        """Block until all events, in memory and on disk, are settled, or *timeout_s* is over."""
        deadline = time.monotonic() + timeout_s
        was_deferred = self._deferred
        result = self.sender.flush(timeout_s)
        while was_deferred and not result.pending and time.monotonic() < deadline:
            deferred_before, was_deferred = was_deferred, self._deferred
            step = self.sender.flush(deadline - time.monotonic())
            result = result.followed_by(step)
            if was_deferred == deferred_before and not (step.sent or step.rejected or step.pending):
                break  # the queue is full of unfinished streams: waiting changes nothing
        return result._replace(spooled=self._deferred)

    def retire(self) -> None:
        """Send all events, those of late logs too, in the background, then close the transport. Does not block."""
        self._is_retired = True
        self.queue.complete_all()
        with self.queue.changed:
            if self.queue.is_closed:
                return
            # A sender without events is not served any more, and can't close what it leaves.
            is_busy = self.sender.is_busy or (self.queue.has_ready_events and self.sender.start())
            self.queue.close()
        if not is_busy:
            self._release()

    def _hand_over(self, events: Sequence[Event]) -> bool:
        """
        Pass the events of a retired client to the first one that has retired with the same receiver.

        So an app that makes a client for each request has one queue of them, which is bounded, and sends them in
        batches. Return False if that is this one's.
        """
        if self._spool is not None or self._destination is None:
            return False
        with _HEIRS_LOCK:
            heir = _HEIRS.setdefault(self._destination, self)
            if heir is self or not heir.sender.is_busy:
                _HEIRS[self._destination] = self
                return False
            for event in events:
                self.counters.count_logged(-1)
                heir.submit_late(event)
            heir.sender.start()
        self.queue.settle(events)
        return True

    def submit_late(self, event: Event) -> None:
        """Queue an event of another client, though this one is closed; dropped and counted if there is no room."""
        self.counters.count_logged()
        late = Event(event.id, event.content, kind=event.kind)
        late.mask = event.mask
        if not self.queue.append(late):
            self.counters.count_dropped("queue_full", event.id, "its client was closed, and the server is away")

    def close(self, timeout_s: float) -> FlushResult:
        """Send all events, unfinished streams too, within *timeout_s*, then end. Safe to call again."""
        self._is_retired = False
        self.queue.complete_all()
        result = self.flush(timeout_s)
        with self.queue.changed:
            is_busy = self.sender.is_busy
            self.queue.abandon()
        if is_busy:
            self.sender.join(min(1.0, timeout_s))
        else:
            self._release()
        return result

    def warn_of_unsent(self, flushed: FlushResult) -> None:
        """Warn of events that the end of the process loses: those that *flushed* left in memory only."""
        if flushed.pending and self._spool is None:
            self.counters.warn(
                "unsent",
                f"phospho: {len(flushed.pending)} event(s) are lost at the end of the process: not sent within"
                f" {self.settings.exit_timeout_s:g} s. phospho.init(spool_dir=...) keeps such events on disk",
            )

    def stats(self) -> Stats:
        """Return the counts of events so far."""
        return self.counters.stats(queued=len(self.queue) + self._deferred)

    def raise_failures(self, flushed: FlushResult | None = None) -> None:
        """Raise SendError for failures since the last call and events that *flushed* left, if settings ask for it."""
        if self.settings.raise_error_on_fail_to_send:
            failures = self.counters.take_failures()
            if flushed is not None:
                failures += _unsent_lines(flushed, self.counters.last_failure or "there was no time for it")
            if failures:
                raise SendError(failures)

    def after_fork(self) -> None:
        """Start empty in a forked child."""
        self._begin()
        self._guarded("transport", self.transport.after_fork)
        if self._spool is not None:
            self._guarded("spool", self._spool.after_fork)

    @property
    def _deferred(self) -> int:
        return 0 if self._spool is None else self._spool.deferred

    def _refusal_of(self, event: Event) -> str:
        """Queue *event*, or leave it on disk. Return the reason if neither is possible, else an empty string."""
        if self.queue.is_closed and not self._is_retired:
            return "closed"
        if not self._fits(event):
            return "too_large"
        is_stored = self._store(event)
        if self.queue.append(event):
            return ""
        if not is_stored or self._spool is None:
            return "queue_full"
        self._spool.defer(event)
        return ""

    def _fits(self, event: Event) -> bool:
        """Return whether *event* is within the limit, after removing its raw fields if needed."""
        limit = self.settings.limits.event_bytes
        if event.size_bytes <= limit:
            return True
        event.shrink()
        self.counters.count_truncated()
        return event.size_bytes <= limit

    def _store(self, event: Event) -> bool:
        """Write *event* to the spool if there is one. A full disk is counted, and the event stays in memory."""
        if self._spool is None:
            return False
        try:
            self._spool.store(event)
            return True
        except (OSError, TypeError, ValueError, RecursionError) as error:
            self.counters.count_error("spool", error)
            return False

    def _on_settled(self, events: Sequence[Event]) -> None:
        """Mark *events* as settled in the spool, and refill the queue from it."""
        spool = self._spool
        if spool is not None:
            # Guarded apart: a failed write of settled numbers must not keep events on disk from being sent.
            self._guarded("spool", lambda: spool.settle(events))
            self._guarded("spool", self._refill)

    def _refill(self) -> None:
        """Move events that are on disk only into the queue, as far as there is room."""
        assert self._spool is not None
        with self.queue.changed:
            while not self.queue.is_full():
                event = self._spool.next_event()
                if event is None:
                    return
                if event.id in self.queue.events:
                    self._spool.settle([event])  # logged again since, and queued
                elif not self.queue.append(event):
                    self._spool.put_back(event)
                    return
                self._start()

    def _release(self) -> None:
        """Close transport and spool, when the sender's thread has ended."""
        with _HEIRS_LOCK:
            if self._destination is not None and _HEIRS.get(self._destination) is self:
                del _HEIRS[self._destination]
        self._guarded("transport", self.transport.close)
        if self._spool is not None:
            self._guarded("spool", self._spool.close)

    def _guarded(self, source: str, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # a transport of the app, or the disk
            self.counters.count_error(source, error)

    def _start(self) -> None:
        if not self.sender.is_busy:
            self.sender.start()


def _unsent_lines(flushed: FlushResult, reason: str) -> list[str]:
    """Return one line per event that a flush did not send, and one for those on disk only."""
    lines = [f"{event_id}: not sent yet: {reason}" for event_id in flushed.pending]
    return [*lines, f"{flushed.spooled} more on disk: {reason}"] if flushed.spooled else lines


def _spool_of(settings: Settings) -> Spool | None:
    if settings.spool_dir is None:
        return None
    try:
        from .spool import Spool

        return Spool(settings.spool_dir, settings.limits.spool_bytes)
    except ImportError as error:
        raise ConfigError("spool_dir= needs the file locks of a POSIX system: leave it out here") from error
    except OSError as error:
        raise ConfigError(f"spool_dir= cannot be used: {error}. Pass a folder that can be written") from error


def _register(pipeline: Pipeline) -> None:
    if not _PIPELINES:
        _install_hooks()
    _PIPELINES.add(pipeline)


_are_hooks_installed = False


def _install_hooks() -> None:
    global _are_hooks_installed
    if not _are_hooks_installed:
        _are_hooks_installed = True
        atexit.register(_close_all)
        setattr(os, "_exit", _closing(os._exit))  # noqa: B010 mypy knows the name of its parameter
        setattr(signal, "raise_signal", _closing_at_sigterm(signal.raise_signal))  # noqa: B010
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_after_fork_in_child)
    _close_at_sigterm()


def _close_at_sigterm() -> None:
    """Close every pipeline before a SIGTERM ends the process, if the app does not handle it."""
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and os.name == "posix" and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)


_ending = ""  # or "closing" or "closed", since a SIGTERM


def _on_sigterm(number: int, frame: object) -> None:
    """
    Close every pipeline, then end the process.

    In a thread of its own, while the interrupted code goes on: it may hold a lock that the sender needs.
    """
    global _ending
    if _ending == "closed":
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    elif not _ending:
        _ending = "closing"
        _thread.start_new_thread(_close_and_repeat, ())  # a threading.Thread takes locks, too


def _close_and_repeat() -> None:
    global _ending
    try:
        _close_all()
    finally:
        _ending = "closed"
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def _after_fork_in_child() -> None:
    """Begin empty."""
    global _HEIRS_LOCK, _ending
    _ending = ""
    _HEIRS_LOCK = threading.RLock()
    _HEIRS.clear()
    forget_threads()
    for pipeline in list(_PIPELINES):
        pipeline.after_fork()


def _closing(end: Callable[[int], NoReturn]) -> Callable[[int], NoReturn]:
    """
    Return `os._exit`, after every pipeline is closed.

    Children of multiprocessing and Celery, and RQ's work horses, end so, without `atexit`.
    """

    def close_and_exit(status: int) -> NoReturn:
        try:
            _close_all()
        finally:
            end(status)

    return close_and_exit


def _closing_at_sigterm(raise_signal: Callable[[int], None]) -> Callable[[int], None]:
    """Return `signal.raise_signal`, after every pipeline is closed if it ends the process, as uvicorn's workers end."""

    def close_and_raise(number: int) -> None:
        if number == signal.SIGTERM and signal.getsignal(number) is signal.SIG_DFL:
            _close_all()
        raise_signal(number)

    return close_and_raise


def _close_all() -> None:
    """Close every pipeline. Together they take no longer than the longest `exit_timeout_s`."""
    pipelines = list(_PIPELINES)
    deadline = time.monotonic() + max((pipeline.settings.exit_timeout_s for pipeline in pipelines), default=0.0)
    for pipeline in pipelines:
        left_s = max(0.0, deadline - time.monotonic())
        pipeline.warn_of_unsent(pipeline.close(min(left_s, pipeline.settings.exit_timeout_s)))
