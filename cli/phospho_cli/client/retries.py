"""Retry policies of client commands."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class RetryPolicy:
    """Up to `retries` retries, after a wait that doubles from `first_wait_s` to `max_wait_s`."""

    retries: int
    first_wait_s: float = 0.1
    max_wait_s: float = 5.0

    def waits_s(self) -> Iterator[float]:
        """Yield the wait before each retry, with jitter, so that many clients don't come back at once."""
        for attempt in range(self.retries):
            yield min(self.first_wait_s * 2**attempt, self.max_wait_s) * random.uniform(0.5, 1.0)


# A person waits for the answer: about a second in all.
INTERACTIVE = RetryPolicy(retries=3)
# A long command outlives a restart of the server: about a minute and a half.
LONG_RUNNING = RetryPolicy(retries=20)
