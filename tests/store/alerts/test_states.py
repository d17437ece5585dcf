"""An alert fires once, is resolved after some readings in a row, and says nothing of too few cases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phospho_schemas.rows.alerts import Alert
from phospho_store.alerts.readings import Reading
from phospho_store.alerts.rules import alert_refusal
from phospho_store.alerts.states import evaluations, is_met

START = datetime(2026, 1, 1, tzinfo=UTC)


def alert(**fields: Any) -> Alert:
    base = {"project_id": "shop", "alert_id": "a", "name": "A", "metric": "tasks", "condition": "above"}
    return Alert(**base | {"threshold": 10.0, "created_at": START} | fields)


def readings(*values: float | None, cases: int = 100) -> list[Reading]:
    return [Reading(START + timedelta(minutes=n), value, cases) for n, value in enumerate(values)]


def states(watch: Alert, *values: float | None, cases: int = 100) -> list[str]:
    """Return the status at each reading, with a mark where it changes in a way that is sent."""
    marks = {"fired": "!", "resolved": "?", "": ""}
    return [row.status + marks[row.change] for row in evaluations(watch, readings(*values, cases=cases))]


def test_alert_fires_once_and_is_resolved_after_some_in_a_row() -> None:
    flapping = states(alert(), 1, 11, 12, 1, 1, 20, 1, 1, 1, 1, 11)
    assert flapping == ["ok", "firing!", *["firing"] * 6, "ok?", "ok", "firing!"]


def test_readings_of_few_cases_neither_fire_nor_resolve() -> None:
    rate = alert(metric="success_rate", condition="below", threshold=0.8, min_cases=20)
    assert states(rate, None, 0.5, 0.9, cases=19) == ["no_data"] * 3
    assert states(rate, 0.5, None, 0.9, None, 0.9, 0.9) == ["firing!", *["firing"] * 4, "ok?"]


@pytest.mark.parametrize(
    ("condition", "value", "baseline", "cases", "met"),
    [
        ("rises", 31, 20, 20, True),
        ("rises", 29, 20, 20, False),
        ("rises", 31, 19, 19, None),
        ("falls", 9, 20, 20, True),
        ("falls", 11, 20, 20, False),
        ("rises", 31, 0, 0, None),
    ],
)
def test_change_needs_enough_cases_before(
    condition: str, value: float, baseline: float, cases: int, met: bool | None
) -> None:
    watch = alert(condition=condition, threshold=50.0, min_cases=20)
    assert is_met(watch, Reading(START, value, int(value), baseline, cases)) is met


def test_absence_is_met_by_nothing() -> None:
    watch = alert(condition="absent", threshold=0.0)
    assert states(watch, 3, 0, 0, 1) == ["ok", "firing!", "firing", "firing"]


def test_change_while_muted_is_marked() -> None:
    watch = alert(muted_until_at=START + timedelta(minutes=1))
    assert [row.is_muted for row in evaluations(watch, readings(11, 1))] == [True, False]


@given(st.lists(st.one_of(st.none(), st.floats(0, 20)), max_size=60), st.integers(1, 5))
def test_changes_alternate_and_start_with_a_fire(values: list[float | None], resolve_after: int) -> None:
    """No two fires follow each other, and between a fire and its end are at least `resolve_after` readings."""
    watch = alert(metric="latency_p95", resolve_after=resolve_after)
    changes = [(number, row.change) for number, row in enumerate(evaluations(watch, readings(*values))) if row.change]
    assert [change for _, change in changes] == (["fired", "resolved"] * len(changes))[: len(changes)]
    for (fired, _), (resolved, _) in zip(changes[::2], changes[1::2], strict=False):
        assert resolved - fired >= resolve_after


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"window_minutes": 7}, "window_minutes"),
        ({"metric": "events"}, "subject"),
        ({"subject": "refund"}, "subject"),
        ({"metric": "success_rate", "condition": "absent"}, "condition"),
        ({"condition": "rises", "threshold": 0.0}, "threshold"),
        ({"condition": "occurs"}, "condition"),
        ({"metric": "new_theme"}, "condition"),
        ({"filters": {"q": "hello"}}, "filters"),
        ({"filters": {"user": "ann"}}, "filters"),
        ({"metric": "new_theme", "condition": "occurs", "filters": {"model": "m"}}, "filters"),
    ],
)
def test_alert_that_makes_no_sense_is_refused(fields: dict[str, Any], word: str) -> None:
    assert word in str(alert_refusal(alert(**fields)))


def test_alert_that_makes_sense_is_not_refused() -> None:
    assert alert_refusal(alert()) is None
    assert alert_refusal(alert(metric="new_theme", condition="occurs")) is None
