"""The outcome of a run under faults: losses, doubles, the ledger, and rows that differ from those of a quiet run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from chaos.load import Load
from fixtures.shapes import OnKafka
from phospho_store.ledger.hours import HourKey, Ledger

# With the columns that depend on the project. The others of a quiet run of the same input are equal.
_VIEWS = {
    "tasks": "project_id",
    "sessions": "project_id",
    "events": "project_id, id",
    "analyses": "project_id",
    "feedback": "project_id",
}
_KEYS = {"tasks": "task_id", "analyses": "task_id", "sessions": "session_id", "feedback": "(task_id, feedback_id)"}
_BALANCE = ("received", "accepted", "stored", "already_known", "dead_lettered", "pending", "missing")


@dataclass(frozen=True)
class Outcome:
    """
    The result of a run. `lost` are accepted tasks without a row or an analysis, `doubled` rows with the key of another,
    `differing` rows of the views that a quiet run of the same input has not, or has otherwise.
    """

    faults: Counter[str]
    accepted: int
    lost: int
    doubled: int
    differing: Mapping[str, int]
    dead_letters: int
    ledger: Mapping[str, int]
    catch_up_s: float
    megabytes: Mapping[str, int]
    exits: Counter[str]
    answers: str

    @property
    def is_good(self) -> bool:
        bad = self.lost + self.doubled + sum(self.differing.values()) + self.dead_letters
        return not bad and self.is_balanced

    @property
    def is_balanced(self) -> bool:
        """True where each accepted log is stored, once or as one that was logged again."""
        return self.ledger["accepted"] == self.ledger["stored"] + self.ledger["already_known"] > 0

    def __str__(self) -> str:
        faults = ", ".join(f"{number} {name}" for name, number in sorted(self.faults.items()))
        ledger = ", ".join(f"{name} {number}" for name, number in self.ledger.items())
        memory = ", ".join(f"{name} {number}" for name, number in sorted(self.megabytes.items()))
        exits = ", ".join(f"{number} {name}" for name, number in sorted(self.exits.items()))
        return (
            f"{self.faults.total()} faults ({faults}); {self.accepted} tasks accepted, lost {self.lost},"
            f" doubled {self.doubled}, differing rows {sum(self.differing.values())}, dead letters {self.dead_letters};"
            f" the ledger {'balances' if self.is_balanced else 'DOES NOT BALANCE'} ({ledger});"
            f" REST answers: {self.answers}; caught up in {self.catch_up_s:.1f} s; peak memory in MB: {memory};"
            f" ended by themselves: {exits or 'none'}"
        )


def lost_tasks(shape: OnKafka, load: Load) -> set[str]:
    """Return the accepted tasks without a row or without an analysis."""
    return (load.accepted - _ids(shape, "tasks")) | (load.accepted - _ids(shape, "analyses"))


def doubled_rows(shape: OnKafka) -> int:
    """Return the number of rows that readers see with the key of another."""
    return sum(_number(shape, f"count() - uniqExact({key})", view) for view, key in _KEYS.items())


def dead_letters(shape: OnKafka) -> int:
    return _number(shape, "count()", "dead_letters")


def differing_rows(shape: OnKafka, quiet: OnKafka) -> dict[str, int]:
    """Return, for each view, the number of rows that only one of two projects has."""
    differing = {}
    for view in _VIEWS:
        rows, quiet_rows = Counter(_rows(shape, view)), Counter(_rows(quiet, view))
        differing[view] = max((rows - quiet_rows).total(), (quiet_rows - rows).total())
        assert quiet_rows, f"the quiet run has no {view}: the comparison proves nothing"
    return differing


def ledger_totals(shape: OnKafka) -> dict[str, int]:
    """Compute every hour of a project's ledger from the facts, without a time of grace, and add them up."""
    ledger = Ledger(shape.store)
    hours = "SELECT DISTINCT toUnixTimestamp(toStartOfHour(received_at)) * 1000 AS hour_ms FROM receipt_rows"
    keys = [HourKey(shape.project_id, int(row["hour_ms"])) for row in _select(shape, hours)]
    balances = [ledger.compute(key, ledger.now_ms(), grace_ms=0).model_dump() for key in keys]
    return {name: sum(balance[name] for balance in balances) for name in _BALANCE}


def _ids(shape: OnKafka, view: str) -> set[str]:
    return {row["task_id"] for row in _select(shape, f"SELECT task_id FROM {view}")}


def _number(shape: OnKafka, expression: str, view: str) -> int:
    return int(_select(shape, f"SELECT {expression} AS n FROM {view}")[0]["n"])


def _rows(shape: OnKafka, view: str) -> list[bytes]:
    sql = f"SELECT * EXCEPT ({_VIEWS[view]}) FROM {view} WHERE project_id = {{project:String}}"
    return shape.store.raw(sql, "TSV", {"project": shape.project_id}).splitlines()


def _select(shape: OnKafka, sql: str) -> list[dict[str, object]]:
    return shape.store.rows(f"{sql} WHERE project_id = {{project:String}}", {"project": shape.project_id})
