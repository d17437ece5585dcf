"""The changes of alerts in the order in which they were stored, as messages to send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from phospho_schemas.ids import derived_id
from phospho_schemas.rows.alerts import Alert, AlertEvaluation
from phospho_schemas.times import utc_now, utc_text
from phospho_store.alerts.repository import AlertRepository
from phospho_store.alerts.texts import cases_text, condition_text, value_text
from phospho_store.alerts.theme_readings import ThemeReadings
from phospho_store.store import Store, parsed_rows
from phospho_workers.jobs.alerts.messages import AlertMessage

# A theme that is no longer new, or grows no longer, is no news.
_CHANGES = """
SELECT * EXCEPT schema_version, toUnixTimestamp64Milli(inserted_at) AS stored_ms,
    concat(project_id, '\\n', alert_id, '\\n', theme, '\\n', toString(evaluated_at)) AS identity
FROM alert_evaluation_rows FINAL
WHERE project_id IN {projects:Array(String)} AND change != '' AND NOT is_muted AND (theme = '' OR change = 'fired')
    AND inserted_at >= fromUnixTimestamp64Milli({stored:Int64})
    AND inserted_at <= fromUnixTimestamp64Milli({until:Int64})
    AND (stored_ms, identity) > ({stored:Int64}, {identity:String})
ORDER BY stored_ms, identity LIMIT {limit:UInt32}
"""

_CONDITION = {"metric", "subject", "filters", "condition", "threshold", "window_minutes"}

Row = dict[str, Any]


class AlertChanges:
    """
    Reads changes of alerts that are to be sent. Blocking; raises what the store raises.

    `pages_url` is the address of the pages, for links; without it messages have none.
    """

    def __init__(self, store: Store, pages_url: str = "") -> None:
        self._store = store
        self._alerts = AlertRepository(store)
        self._themes = ThemeReadings(store)
        self._pages_url = pages_url.rstrip("/")

    def rows(self, parameters: Mapping[str, Any]) -> list[Row]:
        """Return changes, each with its `message`, or None where its alert is gone."""
        rows = self._store.rows(_CHANGES, parameters)
        project_ids = sorted({row["project_id"] for row in rows})
        alerts = {(p, alert.alert_id): alert for p in project_ids for alert in self._alerts.alerts(p)}
        titles = {project_id: self._themes.titles(project_id) for project_id in project_ids}
        changes = parsed_rows(AlertEvaluation, rows)
        return [
            row | {"message": self._message(alerts.get((row["project_id"], row["alert_id"])), change, titles)}
            for row, change in zip(rows, changes, strict=True)
        ]

    def _message(
        self, alert: Alert | None, change: AlertEvaluation, titles: Mapping[str, Mapping[str, str]]
    ) -> AlertMessage | None:
        if alert is None:
            return None
        return change_message(alert, change, titles[alert.project_id], self._pages_url)


def change_message(alert: Alert, change: AlertEvaluation, titles: Mapping[str, str], pages_url: str) -> AlertMessage:
    """Return the message of a change. Its id follows from the change, so that it is the same at each attempt."""
    at = utc_text(change.evaluated_at)
    title = titles.get(change.theme or alert.subject, "")
    facts = [("Condition", condition_text(alert, title))]
    if change.theme:
        facts.insert(0, ("Theme", title or change.theme))
    facts.append(("Value", _value(alert, change)))
    if change.baseline is not None and alert.condition in ("rises", "falls", "occurs"):
        facts.append(("Before", value_text(alert, change.baseline)))
    facts += [("Project", alert.project_id), ("Time", at)]
    return AlertMessage(
        message_id=derived_id("alert", alert.project_id, alert.alert_id, change.theme, at, change.change),
        kind="alert.fired" if change.change == "fired" else "alert.resolved",
        title=f"{'Firing' if change.change == 'fired' else 'Resolved'}: {alert.name}",
        facts=tuple(facts),
        url=f"{pages_url}/alerts/{alert.alert_id}?project={alert.project_id}" if pages_url else "",
        timestamp=at,
        data=_data(alert, change),
    )


def _value(alert: Alert, change: AlertEvaluation) -> str:
    cases = cases_text(alert, change.cases)
    return f"{value_text(alert, change.value)} ({cases})" if cases else value_text(alert, change.value)


def _data(alert: Alert, change: AlertEvaluation) -> Row:
    of_alert = alert.model_dump(mode="json", include={"alert_id", "project_id", "name"} | _CONDITION)
    return of_alert | change.model_dump(mode="json", include={"theme", "status", "value", "cases", "baseline"})


def channel_test_message(alert: Alert, pages_url: str) -> AlertMessage:
    """Return a message that says that a channel of an alert works."""
    at = utc_text(utc_now())
    change = AlertEvaluation(
        project_id=alert.project_id, alert_id=alert.alert_id, evaluated_at=utc_now(), since_at=utc_now(), status="ok"
    )
    return AlertMessage(
        message_id=f"test_{derived_id(alert.alert_id, at)}",
        kind="alert.test",
        title=f"Test: {alert.name}",
        facts=(("Condition", condition_text(alert)), ("Project", alert.project_id), ("Time", at)),
        url=f"{pages_url.rstrip('/')}/alerts/{alert.alert_id}?project={alert.project_id}" if pages_url else "",
        timestamp=at,
        data=_data(alert, change),
    )
