"""The job `ledger`: computes the balance of the hours about which something was written, and of every hour again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from phospho_schemas.rows.ledger import LedgerHour
from phospho_store.errors import StoreError
from phospho_store.ledger.hours import DAY_MS, HOUR_MS, HourKey, Ledger
from phospho_workers.jobs.loop.job import MAX_PAUSE_S, OVERLAP_MS
from phospho_workers.jobs.loop.leases import Holds, all_projects

logger = logging.getLogger(__name__)

_PAUSE_S = 5.0
# At most one twentieth of the time is spent on hours that change all the time.
_PAUSE_OF_DURATION = 20
_STEP_S = 1.0
_DUE_AT_ONCE = 100
# Hours with pending or missing logs are looked at this often, and every hour once a day.
_URGENT_MS = 10_000
_LONGEST_MS = DAY_MS


class LedgerJob:
    """
    Reconciles every project's hours with the facts.

    The hours to look at follow from the facts: those with new rows, and those whose last check is due. After a start,
    the hours that changed since the last check of any, and those that were never checked. The facts of a minute are
    read again each time, in which the projects of a process that died move here.
    """

    name = "ledger"
    tables = (
        "receipt_rows",
        "task_rows",
        "feedback_rows",
        "step_rows",
        "dead_letter_rows",
        "dead_letter_action_rows",
        "deletion_rows",
    )
    max_pause_s = MAX_PAUSE_S

    def __init__(
        self,
        ledger: Ledger,
        grace_s: float,
        holds: Holds = all_projects,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._grace_ms = int(grace_s * 1000)
        self._holds = holds
        self._clock = clock
        self._queue: dict[HourKey, None] = {}
        self._failed: dict[HourKey, None] = {}
        self._since_ms: int | None = None
        self.pause_s = _PAUSE_S

    def step(self) -> bool:
        """Reconcile hours for a second; True where more wait. Raises the error of an hour once the others are tried."""
        begun_s = self._clock()
        now_ms = self._ledger.now_ms()
        if not self._queue:
            self._enqueue(now_ms)
        failure: StoreError | None = None
        while self._queue and self._clock() - begun_s < _STEP_S:
            try:
                self._reconcile(next(iter(self._queue)), now_ms)
            except StoreError as error:
                failure = error
        if failure is not None:
            raise failure
        self.pause_s = max(_PAUSE_S, _PAUSE_OF_DURATION * (self._clock() - begun_s))
        return bool(self._queue or self._failed)

    def _reconcile(self, key: HourKey, now_ms: int) -> None:
        """Reconcile one hour. Where that fails, it is queued again with the next hours."""
        del self._queue[key]
        self._failed[key] = None
        if self._holds(key.project_id):
            self._log(self._ledger.reconcile(key, now_ms, self._grace_ms))
        del self._failed[key]

    def _enqueue(self, now_ms: int) -> None:
        """Queue the hours to look at. A fact is stamped when its insert begins: the last minute's are read again."""
        if self._since_ms is None:
            self._queue.update(dict.fromkeys(self._ledger.unchecked(now_ms)))
            self._since_ms = self._ledger.last_check_ms() - HOUR_MS
        self._queue.update(dict.fromkeys(self._ledger.changed(self._since_ms - OVERLAP_MS, now_ms)))
        self._queue.update(self._failed)
        due = self._ledger.due(now_ms, urgent_ms=_URGENT_MS, longest_ms=_LONGEST_MS, limit=_DUE_AT_ONCE)
        self._queue.update(dict.fromkeys(due))
        self._since_ms = now_ms

    def _log(self, hour: LedgerHour) -> None:
        # An hour is logged once, when it is first found.
        if hour.unbalanced_since == hour.checked_at:
            ids = ", ".join(hour.missing_ids[:3])
            logs = f"{hour.missing} of {hour.accepted} accepted logs are missing, such as {ids}"
            logger.error("the ledger of %s does not balance for the hour %s: %s", hour.project_id, hour.hour, logs)
