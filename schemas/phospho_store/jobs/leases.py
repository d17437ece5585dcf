"""Members and generations of the jobs workers: who is there, and who shares a worker's projects."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import orjson

from phospho_store.store import Store

_MEMBERS = """
SELECT toString(worker) AS worker, groupArray(member) AS members FROM job_member_rows FINAL
WHERE worker IN {workers:Array(String)} AND NOT is_gone
    AND seen_at > now64(3, 'UTC') - toIntervalMillisecond({alive:UInt32})
GROUP BY worker
"""
_GENERATIONS = """
SELECT toString(worker) AS worker, generation, members,
    dateDiff('millisecond', created_at, now64(3, 'UTC')) >= wait_ms AS is_begun
FROM job_generation_rows FINAL WHERE worker IN {workers:Array(String)}
"""


@dataclass(frozen=True)
class Generation:
    """The members that share the projects of a worker. Before it has begun, members of the last one may be at work."""

    number: int = 0
    members: tuple[str, ...] = ()
    is_begun: bool = False


class LeaseRepository:
    """Reads and writes of members and generations. All times are ClickHouse's. Blocking."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def beat(self, workers: Collection[str], member: str, *, is_gone: bool = False) -> None:
        """Note that a member of these workers is there, or gone."""
        rows = [{"worker": worker, "member": member, "is_gone": is_gone} for worker in workers]
        self._store.insert("job_member_rows", b"\n".join(map(orjson.dumps, rows)))

    def members(self, workers: Sequence[str], alive_ms: int) -> Mapping[str, frozenset[str]]:
        """Return the members of each worker that were there in the last `alive_ms`."""
        rows = self._store.rows(_MEMBERS, {"workers": list(workers), "alive": alive_ms})
        return {row["worker"]: frozenset(row["members"]) for row in rows}

    def generations(self, workers: Sequence[str]) -> Mapping[str, Generation]:
        """Return the latest generation of each worker that has one."""
        rows = self._store.rows(_GENERATIONS, {"workers": list(workers)})
        return {
            row["worker"]: Generation(int(row["generation"]), tuple(row["members"]), bool(row["is_begun"]))
            for row in rows
        }

    def propose(self, worker: str, generation: int, members: Collection[str], wait_ms: int) -> None:
        """Store a generation unless one of that number is stored. Two that propose it at once agree on the first."""
        row = {"worker": worker, "generation": generation, "members": sorted(members), "wait_ms": wait_ms}
        self._store.insert("job_generation_rows", orjson.dumps(row), token=f"{worker}:{generation}")
