"""
The interface of a job.

A job keeps no state that a restart would miss: it reads which rows are missing, derives them, and writes rows that
replace each other by identity. Killed at any point, or run twice at once, it comes to the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

# The longest pause of a job to which only a change of its tables gives work.
MAX_PAUSE_S = 30.0


class Job(Protocol):
    """
    A loop that derives rows from ClickHouse, one bounded step at a time.

    `pause_s` is the pause after a step that left no work. After it, the next step comes with the next insert into one
    of `tables`, and at the latest after `max_pause_s`: for work that becomes due by the clock alone.
    """

    name: str
    pause_s: float

    @property
    def tables(self) -> Sequence[str]: ...

    @property
    def max_pause_s(self) -> float: ...

    def step(self) -> bool:
        """Do one bounded piece of work; True where more may wait. Blocking; raises what the store raises."""
