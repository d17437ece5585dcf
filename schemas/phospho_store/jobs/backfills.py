"""Backfills and their progress."""

from __future__ import annotations

import secrets
from datetime import datetime

from phospho_schemas.ids import HybridClock
from phospho_schemas.messages import Backfill, EventDefinition
from phospho_schemas.times import utc_now
from phospho_store.store import Store, json_lines, parsed_rows

MAX_LISTED = 200


class BackfillRepository:
    """Reads and writes of backfills. Blocking; raises what the store raises. The last write wins."""

    def __init__(self, store: Store, clock: HybridClock | None = None) -> None:
        self._store = store
        self._clock = clock or HybridClock()

    def start(
        self,
        definition: EventDefinition,
        from_at: datetime | None = None,
        to_at: datetime | None = None,
        created_by: str = "",
    ) -> Backfill:
        """Start a backfill and return it; if the same one is running already, return that."""
        now = utc_now()
        backfill = Backfill(
            project_id=definition.project_id,
            backfill_id="backfill_" + secrets.token_hex(8),
            name=definition.name,
            definition_version=definition.version,
            from_at=from_at,
            to_at=to_at,
            created_by=created_by,
            created_at=now,
            updated_at=now,
        )
        same = ("name", "definition_version", "from_at", "to_at")
        for other in self.of_project(definition.project_id):
            if other.status == "running" and all(getattr(other, name) == getattr(backfill, name) for name in same):
                return other
        return self.save(backfill)

    def save(self, backfill: Backfill) -> Backfill:
        """Store the state of a backfill and return it as it is stored."""
        self._clock.observe(backfill.revision)
        saved = backfill.model_copy(update={"revision": self._clock.next(), "updated_at": utc_now()})
        self._store.insert("backfill_rows", json_lines([saved]))
        return saved

    def cancel(self, project_id: str, backfill_id: str) -> Backfill | None:
        """Cancel a backfill and return it; None if there is none. Its results stay."""
        backfill = self.one(project_id, backfill_id)
        if backfill is None or backfill.status not in ("running", "asking"):
            return backfill
        return self.save(backfill.model_copy(update={"status": "cancelled"}))

    def one(self, project_id: str, backfill_id: str) -> Backfill | None:
        """Return a backfill, or None."""
        return next(iter(self._read("AND backfill_id = {backfill:String}", project_id, backfill_id)), None)

    def of_project(self, project_id: str) -> list[Backfill]:
        """Return the backfills of a project, the latest first, 200 at most."""
        return self._read(f"ORDER BY created_at DESC, backfill_id LIMIT {MAX_LISTED}", project_id)

    def running(self) -> list[Backfill]:
        """Return the backfills of all projects that are to be worked on, the one that has waited longest first."""
        rows = self._store.rows(
            "SELECT * EXCEPT schema_version FROM backfill_rows FINAL WHERE status = 'running'"
            f" ORDER BY updated_at, backfill_id LIMIT {MAX_LISTED}"
        )
        return parsed_rows(Backfill, rows)

    def asking(self, project_id: str | None = None) -> list[Backfill]:
        """Return the backfills that wait for judgements on their candidates, the earliest first."""
        where = "status = 'asking'" + (" AND project_id = {project:String}" if project_id is not None else "")
        rows = self._store.rows(
            f"SELECT * EXCEPT schema_version FROM backfill_rows FINAL WHERE {where}"
            f" ORDER BY created_at, backfill_id LIMIT {MAX_LISTED}",
            {"project": project_id or ""},
        )
        return parsed_rows(Backfill, rows)

    def _read(self, rest: str, project_id: str, backfill_id: str = "") -> list[Backfill]:
        rows = self._store.rows(
            "SELECT * EXCEPT schema_version FROM backfill_rows FINAL WHERE project_id = {project:String} " + rest,
            {"project": project_id, "backfill": backfill_id},
        )
        return parsed_rows(Backfill, rows)
