"""The counts of an import: what came in, from when to when, and what was rejected and why."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from phospho_store.log_files.records import BadLine

_MAX_REASONS = 1000


class LineCounts:
    """
    Counts of accepted, rejected and skipped lines, with the reasons and the time of the accepted tasks. Thread-safe.

    `undated` counts the accepted tasks that have the file's modification time, since their record had none. `first_at`
    and `last_at` are ISO 8601 in UTC, empty until a time is known. `reasons` maps a reason to the first line with it
    and the number of such lines; it holds the first thousand.
    """

    def __init__(self) -> None:
        self.accepted = 0
        self.rejected = 0
        self.skipped = 0
        self.undated = 0
        self.first_at = ""
        self.last_at = ""
        self.reasons: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    @property
    def lines(self) -> int:
        """Lines that held anything."""
        return self.accepted + self.rejected + self.skipped

    def accept(self, times: Sequence[str], undated: int = 0) -> None:
        """Count events that the server accepted, by their times, of which one may be empty."""
        dated = [time for time in times if time]
        with self._lock:
            self.accepted += len(times)
            self.undated += undated
            if dated:
                self.first_at = min(self.first_at or dated[0], *dated)
                self.last_at = max(self.last_at, *dated)

    def reject(self, bad: BadLine) -> None:
        """Count a line that is not logged, by its reason."""
        with self._lock:
            self.rejected += 1
            first, count = self.reasons.get(bad.reason, (bad.line, 0))
            if count or len(self.reasons) < _MAX_REASONS:
                self.reasons[bad.reason] = (min(first, bad.line), count + 1)
