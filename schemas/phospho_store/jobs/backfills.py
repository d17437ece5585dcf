"""Backfills and their progress."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from phospho_schemas.messages import EventDefinition
from phospho_schemas.rows.jobs import Backfill
from phospho_schemas.times import utc_now
from phospho_store.repository import Repository

MAX_LISTED = 200


class BackfillRepository(Repository):
    """Backfills. The last write wins."""

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
        return self._save_one("backfill_rows", backfill.model_copy(update={"updated_at": utc_now()}), backfill.revision)

    def cancel(self, project_id: str, backfill_id: str) -> Backfill | None:
        """Cancel a backfill and return it; None if there is none. Its results stay."""
        backfill = self.backfill(project_id, backfill_id)
        if backfill is None or backfill.status not in ("running", "judging"):
            return backfill
        return self.save(backfill.model_copy(update={"status": "cancelled"}))

    def backfill(self, project_id: str, backfill_id: str) -> Backfill | None:
        """Return a backfill, or None."""
        rest = "WHERE project_id = {project:String} AND backfill_id = {backfill:String}"
        return self._first(Backfill, "backfill_rows", rest, project=project_id, backfill=backfill_id)

    def of_project(self, project_id: str) -> list[Backfill]:
        """Return the backfills of a project, the latest first, 200 at most."""
        return self._read_where("project_id = {project:String}", "created_at DESC, backfill_id", project=project_id)

    def running(self) -> list[Backfill]:
        """Return the backfills of all projects that are to be worked on, the one that has waited longest first."""
        return self._read_where("status = 'running'", "updated_at, backfill_id")

    def judging(self, project_id: str | None = None) -> list[Backfill]:
        """Return the backfills that wait for judgements on their candidates, the earliest first."""
        where = "status = 'judging'" + (" AND project_id = {project:String}" if project_id is not None else "")
        return self._read_where(where, "created_at, backfill_id", project=project_id or "")

    def _read_where(self, where: str, order: str, **parameters: Any) -> list[Backfill]:
        rest = f"WHERE {where} ORDER BY {order} LIMIT {MAX_LISTED}"
        return self._read(Backfill, "backfill_rows", rest, **parameters)
