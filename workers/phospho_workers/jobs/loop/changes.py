"""What has changed in the store: one question for all jobs of a process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from phospho_store.store import Store

_MAX_AGE_S = 1.0

# A part of a table is never changed, and its name never used twice. A merge makes another name as well: that costs a
# job one step in which it finds nothing. Nothing is read but what the server holds of its parts in memory.
_STATES = """
SELECT toString(table) AS table, groupBitXor(sipHash64(name)) AS state FROM system.parts
WHERE database = currentDatabase() AND active GROUP BY table
"""


class Changes:
    """
    The state of each table: a number that is another one after every insert that readers see.

    Thread-safe. However many ask, the store is asked once a second: to ask an embedded one costs 5 ms of CPU,
    whatever the question.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._states: Mapping[str, int] = {}
        self._asked_at_s = float("-inf")
        self._lock = threading.Lock()

    def states(self, tables: Sequence[str]) -> tuple[int, ...]:
        """Return the states of these tables, at most a second old. Blocking; raises what the store raises."""
        with self._lock:
            begun_s = self._clock()
            if begun_s - self._asked_at_s >= _MAX_AGE_S:
                self._states = {row["table"]: row["state"] for row in self._store.rows(_STATES)}
                self._asked_at_s = begun_s
            return tuple(self._states.get(table, 0) for table in tables)
