"""The state of an alert: a pure function of the state before, and of what was read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from phospho_schemas.rows.alerts import COMPARISONS, Alert, AlertEvaluation, AlertStatus
from phospho_store.alerts.readings import Reading
from phospho_store.alerts.rules import ALERT_METRICS, is_total


def is_met(alert: Alert, reading: Reading) -> bool | None:
    """Tell whether a reading meets the condition of an alert; None where it has too few cases to say."""
    if reading.value is None or not _has_cases(alert, reading):
        return None
    if alert.condition == "absent":
        return reading.value == 0
    if alert.condition == "occurs":
        return reading.value > 0
    if alert.condition in COMPARISONS:
        return _has_changed(alert, reading.value, reading.baseline)
    return reading.value > alert.threshold if alert.condition == "above" else reading.value < alert.threshold


def _has_cases(alert: Alert, reading: Reading) -> bool:
    is_compared = alert.condition in COMPARISONS
    if is_total(alert.metric):
        # Few tasks or events before make any change look large.
        return not is_compared or min(reading.baseline_cases, _count_before(alert, reading)) >= alert.min_cases
    return reading.cases >= alert.min_cases and (not is_compared or reading.baseline_cases >= alert.min_cases)


def _count_before(alert: Alert, reading: Reading) -> float:
    is_money = ALERT_METRICS[alert.metric].unit == "money"
    return reading.baseline_cases if is_money else reading.baseline or 0.0


def _has_changed(alert: Alert, value: float, baseline: float | None) -> bool | None:
    if not baseline:
        return None
    change = 100 * (value - baseline) / baseline
    return change > alert.threshold if alert.condition == "rises" else -change > alert.threshold


def next_evaluation(alert: Alert, before: AlertEvaluation | None, reading: Reading) -> AlertEvaluation:
    """
    Return the evaluation of a reading, after the last one before it.

    An alert fires at the first reading that meets it, and is resolved by `resolve_after` in a row that don't. Readings
    that say nothing neither resolve a firing alert nor count.
    """
    is_firing = before is not None and before.status == "firing"
    clear_count = before.clear_count if before is not None else 0
    status: AlertStatus
    match is_met(alert, reading):
        case True:
            status, clear_count = "firing", 0
        case False:
            clear_count = clear_count + 1 if is_firing else 0
            status = "firing" if is_firing and clear_count < alert.resolve_after else "ok"
        case None:
            status = "firing" if is_firing else "no_data"
    is_same = before is not None and before.status == status
    return AlertEvaluation(
        project_id=alert.project_id,
        alert_id=alert.alert_id,
        theme=reading.theme,
        evaluated_at=reading.evaluated_at,
        status=status,
        change="fired" if status == "firing" and not is_firing else "resolved" if is_firing and status == "ok" else "",
        since_at=before.since_at if before is not None and is_same else reading.evaluated_at,
        clear_count=clear_count if status == "firing" else 0,
        value=reading.value,
        cases=reading.cases,
        baseline=reading.baseline,
        is_muted=alert.is_muted(reading.evaluated_at),
    )


def evaluations(alert: Alert, readings: Iterable[Reading]) -> Iterator[AlertEvaluation]:
    """Yield the evaluations of readings in their order, from a start without a state."""
    before: AlertEvaluation | None = None
    for reading in readings:
        before = next_evaluation(alert, before, reading)
        yield before
