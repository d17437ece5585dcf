"""The threads that send: one for all clients of a receiver."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Sequence
from typing import Protocol

from .._logger import logger

__all__ = ["SenderThread", "forget_threads", "thread_of"]

# A thread ends when there was nothing to send for this long. The next log starts another.
IDLE_S = 2.0

# Work that is later than this was held up, even on a busy machine.
HELD_UP_S = 5.0


class Served(Protocol):
    """Work that a thread has to do again and again."""

    def due_at(self) -> float | None:
        """Return when there is work, on the monotonic clock; None without any. Called under the lock."""
        ...

    def work(self) -> None:
        """Do one piece of the work. Never raises."""
        ...


class SenderThread:
    """
    A daemon thread that serves the senders of one receiver, the one that is due first.

    It starts with the first work, and ends when there was none for a while. `changed` is the one lock of these senders
    and of their queues.
    """

    def __init__(self) -> None:
        self._waiting: dict[Served, None] = {}
        self._current: Served | None = None
        self._thread: threading.Thread | None = None
        self._late_s = 0.0
        self._is_warned = False
        self.renew_lock()

    def renew_lock(self) -> None:
        """Make the lock anew, of the kind that `threading` has now. Nobody may wait for the old one."""
        lock = threading.RLock()
        self.lock_kind = type(lock)
        self.changed = threading.Condition(lock)

    def serve(self, sender: Served) -> bool:
        """Work for *sender* until it has nothing to do. Return False if the process is too near its end to start."""
        if self.lock_kind is not type(threading.RLock()):
            # gevent has patched `threading` since, as gunicorn's workers do after a fork. To its greenlets, which are
            # one thread, the old lock is no lock.
            self.renew_lock()
        with self.changed:
            if not self.is_alive:
                thread = threading.Thread(target=self._run, name="phospho-sender", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # "can't start new thread at interpreter shutdown"
                    return False
                self._thread = thread
            if sender not in self._waiting:
                self._waiting[sender] = None
                self.changed.notify_all()
            return True

    def is_serving(self, sender: Served) -> bool:
        """Return whether *sender* has work in hand here."""
        return self.is_alive and (sender is self._current or sender in self._waiting)

    def join(self, sender: Served, timeout_s: float) -> None:
        """Wait until nothing is left to do for *sender*. Returns at once on this thread itself."""
        if threading.current_thread() is not self._thread:
            with self.changed:
                self.changed.wait_for(lambda: not self.is_serving(sender), timeout_s)

    @property
    def is_alive(self) -> bool:
        """True while there is a thread."""
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        while (sender := self._next()) is not None:
            self._warn_of_freeze()
            sender.work()
            with self.changed:
                self._current = None
                if sender.due_at() is not None:
                    self._waiting[sender] = None  # behind the others
                self.changed.notify_all()

    def _next(self) -> Served | None:
        """Wait for a sender that is due and return it. Return None after IDLE_S without work: the thread ends."""
        with self.changed:
            idle_until = time.monotonic() + IDLE_S
            while True:
                sender, due_at = self._first_due()
                now = time.monotonic()
                if sender is None and now >= idle_until:
                    self._thread = None
                    return None
                if sender is not None and due_at <= now:
                    del self._waiting[sender]
                    self._current = sender
                    return sender
                if sender is not None:
                    idle_until = due_at + IDLE_S
                wake_at = due_at if sender is not None else idle_until
                self.changed.wait(wake_at - now)
                if sender is not None:
                    self._late_s = max(self._late_s, time.monotonic() - wake_at)

    def _warn_of_freeze(self) -> None:
        """Warn once. Called without the lock: the app's log handlers have locks of their own, and may log to us."""
        if self._late_s > HELD_UP_S and not self._is_warned:
            self._is_warned = True
            logger.warning(
                "phospho: logs were held up for %d s, as where a platform freezes a function. Call phospho.flush() "
                "before it returns. Further ones are not reported.",
                self._late_s,
            )

    def _first_due(self) -> tuple[Served | None, float]:
        first: Served | None = None
        first_at = 0.0
        for sender in list(self._waiting):
            due_at = sender.due_at()
            if due_at is None:
                del self._waiting[sender]
            elif first is None or due_at < first_at:
                first, first_at = sender, due_at
                if not due_at:  # at once
                    break
        return first, first_at


_THREADS: weakref.WeakValueDictionary[str, SenderThread] = weakref.WeakValueDictionary()


def thread_of(destination: Sequence[str] | None) -> SenderThread:
    """Return the thread of a receiver, whose name comes first in *destination*. Without one, a thread apart."""
    if not destination:
        return SenderThread()
    return _THREADS.setdefault(destination[0], SenderThread())


def forget_threads() -> None:
    """Leave the parent's threads to the parent. Called in a forked child."""
    _THREADS.clear()
