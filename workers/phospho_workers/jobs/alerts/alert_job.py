"""The job `alerts`: evaluates each alert when it is due. The job `webhooks` sends what changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import zip_longest

from phospho_schemas.rows.alerts import THEME_FACTS, Alert, AlertEvaluation, last_due, next_due_ms
from phospho_schemas.times import utc_now
from phospho_store.alerts.readings import Reading, ReadingReader
from phospho_store.alerts.repository import AlertRepository
from phospho_store.alerts.states import next_evaluation
from phospho_store.alerts.theme_readings import ThemeReadings
from phospho_store.errors import StoreError
from phospho_workers.jobs.loop.job import MAX_PAUSE_S
from phospho_workers.jobs.loop.leases import Holds, all_projects

# A task is stored and analysed within seconds: a window is read this long after its end.
SETTLING_MS = 10_000
_STEP_S = 1.0
# A failed evaluation is tried again after this, so that slow failures don't fill every step.
_REST_S = 10.0
_NEVER_MS = 2**62

Key = tuple[str, str]


class AlertJob:
    """
    Evaluates alerts at whole steps of their windows, and stores each evaluation.

    An evaluation follows from the stored tasks, its time, and the evaluation before it, so one that is repeated
    replaces itself. Evaluations that were missed, as while no process ran, are left out.
    """

    name = "alerts"
    pause_s = 1.0
    tables = ("alert_rows",)

    def __init__(
        self,
        repository: AlertRepository,
        readings: ReadingReader,
        themes: ThemeReadings,
        holds: Holds = all_projects,
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._repository = repository
        self._readings = readings
        self._themes = themes
        self._holds = holds
        self._now = now
        self._revision = -1
        self._alerts: list[Alert] = []
        self._next_due_ms = 0
        # By alert, the time of its last evaluation as far as this process knows; the table decides.
        self._evaluated_at: dict[Key, datetime] = {}
        # The last attempt by alert, and by project with an empty id: a failing or dear one waits for all others.
        self._tried_s: dict[Key, float] = {}
        self._rests_until_s: dict[Key, float] = {}

    @property
    def max_pause_s(self) -> float:
        return min(MAX_PAUSE_S, max(self._next_due_ms - self._settled_ms(), 0) / 1000)

    def step(self) -> bool:
        """Evaluate due alerts for a second; True where more wait. Raises the error of one after the others."""
        self._refresh_alerts()
        begun_s = time.monotonic()
        failure: StoreError | None = None
        now_ms = self._settled_ms()
        self._next_due_ms = min((next_due_ms(alert, now_ms) for alert in self._alerts), default=_NEVER_MS)
        for alert in self._due(now_ms):
            if time.monotonic() - begun_s >= _STEP_S:
                return True
            self._tried_s[_key(alert)] = self._tried_s[alert.project_id, ""] = time.monotonic()
            try:
                self._evaluate(alert, last_due(alert, now_ms))
            except StoreError as error:
                failure = error
                self._rests_until_s[_key(alert)] = time.monotonic() + _REST_S
        if failure is not None:
            raise failure
        return False

    def _settled_ms(self) -> int:
        return round(self._now().timestamp() * 1000) - SETTLING_MS

    def _refresh_alerts(self) -> None:
        revision = self._repository.revision()
        if revision != self._revision:
            self._alerts = self._repository.alerts()
            keys = {key for alert in self._alerts for key in (_key(alert), (alert.project_id, ""))}
            self._tried_s = {key: at_s for key, at_s in self._tried_s.items() if key in keys}
            self._evaluated_at = {key: at for key, at in self._evaluated_at.items() if key in keys}
            self._revision = revision

    def _due(self, now_ms: int) -> list[Alert]:
        """Return the alerts to evaluate. Projects take turns; what was tried longest ago comes first."""
        due: dict[str, list[Alert]] = {}
        for alert in sorted(self._alerts, key=lambda alert: self._tried_s.get(_key(alert), 0.0)):
            can_be_tried = self._holds(alert.project_id) and not self._rests(alert)
            if can_be_tried and not self._is_evaluated(alert, last_due(alert, now_ms)):
                due.setdefault(alert.project_id, []).append(alert)
        projects = sorted(due, key=lambda project_id: self._tried_s.get((project_id, ""), 0.0))
        turns = zip_longest(*(due[project_id] for project_id in projects))
        return [alert for turn in turns for alert in turn if alert is not None]

    def _rests(self, alert: Alert) -> bool:
        """Tell whether the last evaluation of an alert failed a short time ago."""
        if time.monotonic() < self._rests_until_s.get(_key(alert), 0.0):
            return True
        self._rests_until_s.pop(_key(alert), None)
        return False

    def _is_evaluated(self, alert: Alert, at: datetime) -> bool:
        evaluated_at = self._evaluated_at.get(_key(alert))
        return evaluated_at is not None and evaluated_at >= at

    def _evaluate(self, alert: Alert, at: datetime) -> None:
        before = self._repository.last(alert)
        if before is None or before.evaluated_at < at:
            evaluations = self._evaluations(alert, at, before)
            if not self._holds(alert.project_id):
                return
            self._repository.save_evaluations(evaluations)
        self._evaluated_at[_key(alert)] = at

    def _evaluations(self, alert: Alert, at: datetime, before: AlertEvaluation | None) -> Sequence[AlertEvaluation]:
        if alert.metric not in THEME_FACTS:
            return [next_evaluation(alert, before, self._readings.reading(alert, at))]
        readings = {reading.theme: reading for reading in self._themes.readings(alert, at)}
        last = self._repository.last_of_themes(alert)
        ended_themes = [name for name, row in last.items() if row.status == "firing" and name not in readings]
        themes = [*readings.values(), *(Reading(at, 0.0, alert.min_cases, theme=name) for name in ended_themes)]
        of_themes = [next_evaluation(alert, last.get(reading.theme), reading) for reading in themes]
        # The whole tells how many themes there are. It is what `before` is of, and each theme is sent by itself.
        whole = next_evaluation(alert, before, Reading(at, float(len(readings)), len(readings)))
        return [*of_themes, whole.model_copy(update={"change": ""})]


def _key(alert: Alert) -> Key:
    return alert.project_id, alert.alert_id
