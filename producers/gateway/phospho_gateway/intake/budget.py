"""The byte budget that the bodies of all open requests share."""

from __future__ import annotations

from types import TracebackType

from phospho_gateway.metrics import IN_FLIGHT_BYTES
from phospho_web.problems import Problem

# What an open request costs beside its body; it bounds the number of requests as well.
_REQUEST_BYTES = 16_384


class ByteBudget:
    """Bytes in use, of `limit_bytes`. Lives on one event loop; a full budget refuses, it never waits."""

    def __init__(self, limit_bytes: int, retry_after_s: int) -> None:
        self._limit_bytes = limit_bytes
        self._retry_after_s = retry_after_s
        self._used_bytes = 0

    def lease(self) -> Lease:
        """Return the lease of one request, to be held in a `with` until its messages are durable."""
        return Lease(self)

    def take(self, amount: int) -> None:
        """Take bytes. Raises Problem (503), and takes nothing, when the budget has not enough left."""
        if self._used_bytes + amount > self._limit_bytes:
            raise Problem(
                503,
                "overloaded",
                "the open requests hold as many bytes as they may",
                "send the same request again after the time in Retry-After",
                retry_after_s=self._retry_after_s,
            )
        self._used_bytes += amount
        IN_FLIGHT_BYTES.inc(amount)

    def give_back(self, amount: int) -> None:
        """Return bytes that were taken."""
        self._used_bytes -= amount
        IN_FLIGHT_BYTES.dec(amount)


class Lease:
    """The bytes that one request holds of a budget, given back at the end of its `with`."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._held_bytes = 0

    def grow(self, amount: int) -> None:
        """Hold more. Raises Problem (503) when the budget is full."""
        self._budget.take(amount)
        self._held_bytes += amount

    def __enter__(self) -> Lease:
        self.grow(_REQUEST_BYTES)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._budget.give_back(self._held_bytes)
        self._held_bytes = 0
