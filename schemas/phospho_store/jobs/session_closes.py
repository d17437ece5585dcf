"""Closed sessions, which are finished without waiting for the idle timeout."""

from __future__ import annotations

from phospho_schemas.rows.jobs import SessionClosing
from phospho_schemas.times import utc_now
from phospho_store.repository import Repository
from phospho_store.store import json_lines


class SessionCloseRepository(Repository):
    """Writes of closings."""

    def close(self, project_id: str, session_id: str) -> SessionClosing | None:
        """
        Close a session as it is now, and return the closing; None where there is no such session.

        Twice is once. A task that is logged later reopens the session.
        """
        revision = self._last_revision(project_id, session_id)
        if revision is None:
            return None
        self._clock.observe(revision)
        closing = SessionClosing(
            project_id=project_id,
            session_id=session_id,
            revision=max(self._clock.next(), revision),
            created_at=utc_now(),
        )
        self._store.insert("session_close_rows", json_lines([closing]))
        return closing

    def _last_revision(self, project_id: str, session_id: str) -> int | None:
        [row] = self._store.rows(
            "SELECT max(revision) AS revision, count() AS tasks FROM task_rows FINAL"
            " WHERE project_id = {project:String} AND session_id = {session:String}",
            {"project": project_id, "session": session_id},
        )
        return int(row["revision"]) if row["tasks"] else None
