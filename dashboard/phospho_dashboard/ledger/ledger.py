"""The ledger of a project, as the API and the page show it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from phospho_schemas.rows.ledger import LedgerHour
from phospho_schemas.times import utc_now, utc_text
from phospho_store.ledger.hours import Ledger
from phospho_store.sql.ledger import OUTCOMES
from phospho_store.store import Store
from phospho_web.requests import time_value

COUNTS = ("received", "rejected", "accepted", *OUTCOMES, "without_receipt")
DEFAULT_HOURS = 24
# A year of hours, and some.
_MAX_HOURS = 10_000


class LedgerReader:
    """Reads stored hours. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._ledger = Ledger(store)

    def balance(self, project_id: str) -> dict[str, Any]:
        """Return whether the project's ledger balances over the last day, and how many logs are missing."""
        ledger = self.read(project_id, parsed_since(None))
        missing = ledger["totals"]["missing"]
        return {"is_balanced": ledger["is_balanced"], "missing": missing, "checked_at": ledger["checked_at"]}

    def read(self, project_id: str, since: datetime) -> dict[str, Any]:
        """Return whether the project's ledger balances since a time, its totals, and each hour, the latest first."""
        hours = self._ledger.hours([project_id], since, _MAX_HOURS)
        unbalanced = [hour.unbalanced_since for hour in hours if hour.unbalanced_since]
        return {
            "project_id": project_id,
            "since": utc_text(since),
            "is_balanced": all(hour.is_balanced for hour in hours),
            "unbalanced_since": utc_text(min(unbalanced)) if unbalanced else None,
            "checked_at": utc_text(max(hour.checked_at for hour in hours)) if hours else None,
            "totals": _totals(hours),
            "rejected": _by_name(hour.rejected for hour in hours),
            "dead_letters": _by_name(hour.dead_letters for hour in hours),
            "hours": [_row(hour) for hour in hours],
        }


def _row(hour: LedgerHour) -> dict[str, Any]:
    row = hour.model_dump(mode="json", exclude={"schema_version", "revision", "project_id"})
    return row | {"rejected": sum(hour.rejected.values()), "rejections": hour.rejected, "is_balanced": hour.is_balanced}


def _totals(hours: Sequence[LedgerHour]) -> dict[str, int]:
    totals = {name: sum(getattr(hour, name) for hour in hours) for name in COUNTS if name != "rejected"}
    return totals | {"rejected": sum(sum(hour.rejected.values()) for hour in hours)}


def _by_name(counts: Any) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total.most_common())


def parsed_since(text: str | None) -> datetime:
    """Return the time in a query, by default a day ago. Raises Problem (422)."""
    return time_value(text, "since") if text else utc_now() - timedelta(hours=DEFAULT_HOURS)
