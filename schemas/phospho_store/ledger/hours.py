"""The balance of each project and hour: computed from facts, and stored for readers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

from phospho_schemas.rows.ledger import RECEIPT_RETENTION_DAYS, LedgerHour
from phospho_schemas.times import utc_text
from phospho_store.repository import Repository
from phospho_store.sql import compose
from phospho_store.sql.ledger import OUTCOMES, facts_of_items, item_outcomes

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# A query holds so many logs in memory: some 100 MB of them.
MAX_ITEMS = 200_000
_MAX_MISSING_IDS = 10

_BETWEEN = """
received_at >= fromUnixTimestamp64Milli({start_ms:Int64}) AND received_at < fromUnixTimestamp64Milli({end_ms:Int64})
"""
# The start of each slice: the next one begins with the log that makes this one full. A millisecond isn't split.
_SLICES = """
SELECT min(at_ms) AS start_ms FROM
(
    SELECT at_ms, intDiv(sum(logs) OVER (ORDER BY at_ms ROWS UNBOUNDED PRECEDING) - logs, {most_logs:UInt64}) AS slice
    FROM
    (
        SELECT toUnixTimestamp64Milli(received_at) AS at_ms, sum(length(item_ids)) AS logs
        FROM receipt_rows WHERE project_id = {project:String} AND $between GROUP BY at_ms
    )
)
GROUP BY slice ORDER BY start_ms
"""
_REJECTED = """
SELECT sumMap(rejected) AS rejected FROM receipt_rows FINAL WHERE project_id = {project:String} AND $between
"""
_COUNTS = """
SELECT outcome, count() AS logs, arraySort(groupArraySample($most_ids)(id)) AS ids FROM ($outcomes) GROUP BY outcome
"""
_WITHOUT_RECEIPT = """
SELECT count() AS tasks FROM task_rows FINAL
WHERE project_id = {project:String} AND $between AND task_id NOT IN
(SELECT arrayJoin(item_ids) FROM receipt_rows WHERE project_id = {project:String} AND $between)
"""
_WAITING_LETTERS = """
SELECT concat(toString(stage), '/', toString(reason)) AS name, count() AS letters FROM dead_letter_rows FINAL
WHERE project_id = {project:String} AND $between AND dead_letter_id NOT IN
(SELECT dead_letter_id FROM dead_letter_action_rows FINAL WHERE project_id = {project:String})
GROUP BY name
"""

# The hour of a revision: that of the clock that stamped it.
_HOUR_OF_REVISION = "toStartOfHour(fromUnixTimestamp64Milli(toInt64(bitShiftRight($revision, 16)), 'UTC'))"
_SINCE = "$column >= fromUnixTimestamp64Milli({since_ms:Int64})"
_ARRIVED = "SELECT project_id, toStartOfHour(received_at) AS at FROM $table WHERE $since GROUP BY project_id, at"
_ACTED = """
SELECT project_id, $hour AS at FROM dead_letter_rows
WHERE (project_id, dead_letter_id) IN (SELECT project_id, dead_letter_id FROM dead_letter_action_rows WHERE $since)
GROUP BY project_id, at
"""
_DELETED = "SELECT project_id, $hour AS at FROM deletion_rows WHERE $since GROUP BY project_id, at"
_CHANGED = """
SELECT project_id, toUnixTimestamp(at) * 1000 AS hour_ms FROM ($changes) WHERE project_id != ''
AND hour_ms BETWEEN {first_ms:Int64} AND {now_ms:Int64} ORDER BY hour_ms DESC
"""
_UNCHECKED = """
SELECT project_id, toUnixTimestamp(toStartOfHour(received_at)) * 1000 AS hour_ms FROM receipt_rows
WHERE received_at >= fromUnixTimestamp64Milli({first_ms:Int64}) GROUP BY project_id, hour_ms
HAVING (project_id, hour_ms) NOT IN (SELECT project_id, toUnixTimestamp64Milli(hour) FROM ledger_rows)
ORDER BY hour_ms DESC
"""
# Due: the hours whose logs are on their way or missing, and every hour again, the older the more rarely.
_DUE = """
SELECT project_id, toUnixTimestamp64Milli(hour) AS hour_ms FROM ledger_rows FINAL
WHERE hour >= fromUnixTimestamp64Milli({first_ms:Int64}) AND toUnixTimestamp64Milli(checked_at) + if(
    pending + missing > 0, {urgent_ms:Int64}, least(
        greatest(intDiv(toUnixTimestamp64Milli(checked_at) - toUnixTimestamp64Milli(hour), 10), 60000),
        {longest_ms:Int64})
) < {now_ms:Int64}
ORDER BY checked_at LIMIT {limit:UInt32}
"""


class HourKey(NamedTuple):
    """A project, and the start of an hour in Unix milliseconds."""

    project_id: str
    hour_ms: int

    @property
    def start(self) -> datetime:
        return datetime.fromtimestamp(self.hour_ms / 1000, UTC)


class Ledger(Repository):
    """Computes, stores and reads hours. Blocking; raises what the store raises."""

    def compute(self, key: HourKey, now_ms: int, grace_ms: int) -> LedgerHour:
        """
        Return the balance of an hour from the facts, whatever was stored of it before.

        A log that is nowhere is pending for `grace_ms`, and missing afterwards.
        """
        counts: Counter[str] = Counter()
        rejected: Counter[str] = Counter()
        letters: Counter[str] = Counter()
        missing_ids: list[str] = []
        for span in self._slices(key):
            parameters = {"project": key.project_id, "pending_since_ms": now_ms - grace_ms, **span}
            for row in self._outcomes(parameters):
                counts[row["outcome"]] += row["logs"]
                missing_ids += row["ids"] if row["outcome"] == "missing" else []
            rejected.update(self._store.rows(compose(_REJECTED, between=_BETWEEN), parameters)[0]["rejected"])
            counts["without_receipt"] += self._store.rows(compose(_WITHOUT_RECEIPT, between=_BETWEEN), parameters)[0][
                "tasks"
            ]
            letters.update(
                {
                    row["name"]: row["letters"]
                    for row in self._store.rows(compose(_WAITING_LETTERS, between=_BETWEEN), parameters)
                }
            )
        accepted = sum(counts[outcome] for outcome in OUTCOMES)
        return LedgerHour.model_validate(
            dict(counts)
            | {
                "project_id": key.project_id,
                "hour": key.start,
                "checked_at": datetime.fromtimestamp(now_ms / 1000, UTC),
            }
            | {"received": accepted + rejected.total(), "accepted": accepted, "rejected": dict(rejected)}
            | {"dead_letters": dict(letters), "missing_ids": missing_ids[:_MAX_MISSING_IDS]}
        )

    def _outcomes(self, parameters: dict[str, Any]) -> list[dict[str, Any]]:
        [facts] = self._store.rows(facts_of_items(_BETWEEN), parameters)
        if not facts["kinds"]:
            return []
        outcomes = item_outcomes(
            _BETWEEN,
            facts["kinds"],
            has_letters=facts["letters"] > 0,
            has_deletions=facts["deletions"] > 0,
        )
        return self._store.rows(compose(_COUNTS, outcomes=outcomes, most_ids=str(_MAX_MISSING_IDS)), parameters)

    def reconcile(self, key: HourKey, now_ms: int, grace_ms: int) -> LedgerHour:
        """Compute an hour and store it; it is unbalanced since the first check that found it so."""
        hour = self.compute(key, now_ms, grace_ms)
        before = self._first(
            LedgerHour,
            "ledger_rows",
            "WHERE project_id = {project:String} AND hour = fromUnixTimestamp64Milli({hour_ms:Int64})",
            project=key.project_id,
            hour_ms=key.hour_ms,
        )
        if not hour.is_balanced:
            since = before.unbalanced_since if before else None
            hour = hour.model_copy(update={"unbalanced_since": since or hour.checked_at})
        return self._save_one("ledger_rows", hour, after=before.revision if before else 0)

    def now_ms(self) -> int:
        """Return ClickHouse's clock, which stamps the facts."""
        return self._store.now_ms()

    def last_check_ms(self) -> int:
        """Return the time of the last check of any hour; 0 before the first."""
        rows = self._store.rows("SELECT toUnixTimestamp64Milli(max(checked_at)) AS last_ms FROM ledger_rows")
        return max(int(rows[0]["last_ms"]), 0)

    def unchecked(self, now_ms: int) -> list[HourKey]:
        """Return the hours with receipts that were never checked, the latest first."""
        rows = self._store.rows(_UNCHECKED, {"first_ms": _first_ms(now_ms)})
        return [HourKey(row["project_id"], row["hour_ms"]) for row in rows]

    def changed(self, since_ms: int, now_ms: int) -> list[HourKey]:
        """Return the hours about which a fact was written since then."""
        parameters = {"since_ms": max(since_ms, 0), "first_ms": _first_ms(now_ms), "now_ms": now_ms + HOUR_MS}
        return [HourKey(row["project_id"], row["hour_ms"]) for row in self._store.rows(_changed(), parameters)]

    def due(self, now_ms: int, *, urgent_ms: int, longest_ms: int, limit: int) -> list[HourKey]:
        """Return hours to check again, the one that waits for longest first."""
        parameters = {"first_ms": _first_ms(now_ms), "now_ms": now_ms, "limit": limit}
        rows = self._store.rows(_DUE, parameters | {"urgent_ms": urgent_ms, "longest_ms": longest_ms})
        return [HourKey(row["project_id"], row["hour_ms"]) for row in rows]

    def hours(self, projects: Sequence[str], since: datetime, limit: int = 1000) -> list[LedgerHour]:
        """Return the stored hours of projects since a time, the latest first."""
        return self._read(
            LedgerHour,
            "ledger_rows",
            "WHERE project_id IN {projects:Array(String)} AND hour >= {since:DateTime64(3, 'UTC')}"
            " ORDER BY hour DESC, project_id LIMIT {limit:UInt32}",
            projects=list(projects),
            since=utc_text(since).removesuffix("Z"),
            limit=limit,
        )

    def _slices(self, key: HourKey) -> Iterator[dict[str, Any]]:
        """Yield parts of the hour with a bounded number of logs each."""
        parameters = {"project": key.project_id, "start_ms": key.hour_ms, "end_ms": key.hour_ms + HOUR_MS}
        rows = self._store.rows(compose(_SLICES, between=_BETWEEN), parameters | {"most_logs": MAX_ITEMS})
        bounds = [key.hour_ms, *(row["start_ms"] for row in rows[1:]), key.hour_ms + HOUR_MS]
        for start_ms, end_ms in pairwise(bounds):
            yield {"start_ms": start_ms, "end_ms": end_ms}


def _first_ms(now_ms: int) -> int:
    """Return the start of the first hour whose receipts are all there."""
    return now_ms - RECEIPT_RETENTION_DAYS * DAY_MS + HOUR_MS


@cache
def _changed() -> str:
    """Return the query of the hours about which a fact was written."""

    def since(column: str) -> str:
        return compose(_SINCE, column=column)

    arrived = [
        compose(_ARRIVED, table=table, since=since("inserted_at"))
        for table in ("receipt_rows", "task_rows", "dead_letter_rows")
    ]
    acted = compose(_ACTED, hour=compose(_HOUR_OF_REVISION, revision="item_revision"), since=since("created_at"))
    deleted = compose(_DELETED, hour=compose(_HOUR_OF_REVISION, revision="revision"), since=since("deleted_at"))
    return compose(_CHANGED, changes=" UNION DISTINCT ".join([*arrived, acted, deleted]))
