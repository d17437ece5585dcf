"""A circuit breaker: it stops calls to a server that does not answer, for a growing pause."""

from __future__ import annotations

import time
from collections.abc import Callable


class CircuitBreaker:
    """
    Closed while calls succeed. `max_failures` in a row open it. After a pause it lets one call through, which closes
    it, or opens it for twice as long, up to `max_pause_s`.

    For one thread.
    """

    def __init__(
        self,
        max_failures: int = 5,
        first_pause_s: float = 5.0,
        max_pause_s: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_failures = max_failures
        self._first_pause_s = first_pause_s
        self._max_pause_s = max_pause_s
        self._clock = clock
        self._failures = 0
        self._pause_s = first_pause_s
        self._open_until = float("-inf")
        self._is_trying = False

    @property
    def is_open(self) -> bool:
        """True if a call would be refused now."""
        return self._failures >= self._max_failures and (self._is_trying or self._clock() < self._open_until)

    @property
    def pause_left_s(self) -> float:
        """Seconds for which calls are still refused; 0 while it is closed."""
        return max(0.0, self._open_until - self._clock()) if self._failures >= self._max_failures else 0.0

    def enter(self) -> bool:
        """Return True if a call may be made. The caller then reports its end by `succeeded` or `failed`."""
        if self.is_open:
            return False
        self._is_trying = self._failures >= self._max_failures
        return True

    def succeeded(self) -> None:
        """Close it."""
        self._failures, self._pause_s, self._is_trying = 0, self._first_pause_s, False

    def failed(self, retry_after_s: float | None = None) -> None:
        """
        Count a failure. A server may ask for a longer pause by `retry_after_s`, up to `max_pause_s`.

        Of several calls in flight the first failures open it, and the others don't lengthen the pause.
        """
        if self._failures >= self._max_failures and not self._is_trying:
            return
        self._failures += 1
        self._is_trying = False
        if self._failures >= self._max_failures:
            pause_s = min(self._max_pause_s, max(self._pause_s, retry_after_s or 0.0))
            self._open_until = self._clock() + pause_s
            self._pause_s = min(self._max_pause_s, self._pause_s * 2)
