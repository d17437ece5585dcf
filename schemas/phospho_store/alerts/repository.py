"""Reads and writes of alerts and of their evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from phospho_schemas.rows.alerts import Alert, AlertEvaluation
from phospho_store.repository import Repository
from phospho_store.store import parsed_rows

MAX_CHANGES = 100
_OF_ALERT = "project_id = {project:String} AND alert_id = {alert:String}"
_LIMIT = "LIMIT {limit:UInt32}"
# In the order of the key, of which the last rows are read: FINAL would read all.
_LAST = f"""
SELECT * EXCEPT (schema_version, inserted_at) FROM alert_evaluation_rows
WHERE {_OF_ALERT} AND theme = '' ORDER BY theme DESC, evaluated_at DESC, revision DESC LIMIT 1
"""


class AlertRepository(Repository):
    """Alerts and evaluations. The last write wins."""

    def save(self, alert: Alert) -> Alert:
        """Store an alert and return it as it is stored."""
        return self._save_one("alert_rows", alert, max(alert.revision, self.revision()))

    def revision(self) -> int:
        """Return a number that rises whenever an alert changes: a cheap query."""
        return self._greatest_revision("alert_rows")

    def alerts(self, project_id: str | None = None) -> list[Alert]:
        """Return the alerts of one project or of all, the oldest first."""
        where = "AND project_id = {project:String}" if project_id is not None else ""
        rest = f"WHERE NOT is_deleted {where} ORDER BY created_at, alert_id"
        return self._read(Alert, "alert_rows", rest, project=project_id or "")

    def last(self, alert: Alert) -> AlertEvaluation | None:
        """Return the last evaluation of an alert as a whole, or None."""
        rows = self._store.rows(_LAST, {"project": alert.project_id, "alert": alert.alert_id})
        return next(iter(parsed_rows(AlertEvaluation, rows)), None)

    def last_of_themes(self, alert: Alert) -> dict[str, AlertEvaluation]:
        """Return the last evaluation of each theme that an alert has fired for."""
        rest = f"WHERE {_OF_ALERT} AND theme != '' ORDER BY theme, evaluated_at DESC LIMIT 1 BY theme"
        rows = self._evaluations(rest, project=alert.project_id, alert=alert.alert_id)
        return {row.theme: row for row in rows}

    def changes(self, project_id: str, alert_id: str = "", limit: int = MAX_CHANGES) -> list[AlertEvaluation]:
        """Return when alerts of a project, or one of them, fired and were resolved, the latest first."""
        where = _OF_ALERT if alert_id else "project_id = {project:String}"
        rest = f"WHERE {where} AND change != '' ORDER BY evaluated_at DESC, alert_id, theme {_LIMIT}"
        return self._evaluations(rest, project=project_id, alert=alert_id, limit=limit)

    def recent(self, alert: Alert, limit: int) -> list[AlertEvaluation]:
        """Return the last evaluations of an alert as a whole, the latest first."""
        rest = f"WHERE {_OF_ALERT} AND theme = '' ORDER BY evaluated_at DESC {_LIMIT}"
        return self._evaluations(rest, project=alert.project_id, alert=alert.alert_id, limit=limit)

    def save_evaluations(self, evaluations: Sequence[AlertEvaluation]) -> None:
        """Store evaluations, all or none."""
        self._save("alert_evaluation_rows", evaluations)

    def _evaluations(self, rest: str, **parameters: Any) -> list[AlertEvaluation]:
        return self._read(AlertEvaluation, "alert_evaluation_rows", rest, **parameters)
