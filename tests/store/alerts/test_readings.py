"""A metric over sliding windows is what a count over the tasks of each window says."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from phospho_schemas.rows.alerts import THEME_FACTS, Alert
from phospho_schemas.times import utc_text
from phospho_store.alerts.readings import ReadingReader
from phospho_store.alerts.rules import ALERT_METRICS
from phospho_store.store import Store
from store.facts import analysis, feedback, insert, label, task

END = datetime(2026, 1, 1, 12, tzinfo=UTC)
PROJECT = "shop"
PRICES = {"small": (1.0, 2.0), "large": (10.0, 20.0)}
PRICE_PARAMETERS = {"models": list(PRICES), "prices_in": [1.0, 10.0], "prices_out": [2.0, 20.0]}
Logged = dict[str, Any]


def _logged() -> list[Logged]:
    """Return tasks of nine hours that end at END, with what is said of each."""
    chance = random.Random(7)
    return [
        {
            "task_id": f"t{number:03}",
            "at": END - timedelta(minutes=chance.uniform(0, 540)),
            "model": chance.choice(["small", "large", "free"]),
            "version": chance.choice(["1", "2"]),
            "tokens": (chance.randrange(100), chance.randrange(50)),
            "latency": chance.choice([None, chance.randrange(5000)]),
            "flag": chance.choice(["", "success", "failure"]),
            "sentiment": chance.choice(["positive", "negative", "neutral"]),
            "language": chance.choice(["en", "de"]),
            "score": chance.randrange(-100, 100) / 100,
            "session": f"s{chance.randrange(60)}",
            "user": chance.choice(["", "ann", "bob", "eve"]),
            "theme": chance.choice(["", "billing"]),
            "has_event": chance.random() < 0.3,
            "label": chance.choice(["", "", "confirmed", "rejected"]),
        }
        for number in range(300)
    ]


LOGGED = _logged()


@pytest.fixture(scope="module")
def reader(store: Store) -> ReadingReader:
    rows: dict[str, list[Logged]] = {"task_rows": [], "analysis_rows": [], "feedback_rows": [], "label_rows": []}
    for logged in LOGGED:
        task_id, of_both = logged["task_id"], {"created_at": utc_text(logged["at"]), "version_id": logged["version"]}
        of_both |= {"session_id": logged["session"], "user_id": logged["user"]}
        tokens_in, tokens_out = logged["tokens"]
        said = {"model": logged["model"], "tokens_in": tokens_in, "tokens_out": tokens_out}
        rows["task_rows"].append(task(PROJECT, task_id, **of_both, **said, latency_ms=logged["latency"]))
        names = ["refund"] if logged["has_event"] else []
        of_analysis = {name: logged[name] for name in ("sentiment", "language", "theme")}
        of_analysis["sentiment_score"] = logged["score"]
        rows["analysis_rows"].append(analysis(PROJECT, task_id, names=names, **of_both, **of_analysis))
        if logged["flag"]:
            rows["feedback_rows"].append(feedback(PROJECT, task_id, "f", flag=logged["flag"]))
        if logged["label"]:
            rows["label_rows"].append(label(PROJECT, task_id, label=logged["label"]))
    for table, lines in rows.items():
        insert(store, table, *lines)
    return ReadingReader(store, PRICE_PARAMETERS)


def _has_refund(logged: Logged) -> bool:
    return logged["label"] == "confirmed" or (logged["has_event"] and logged["label"] != "rejected")


def _share(tasks: Sequence[Logged], holds: Callable[[Logged], bool]) -> float | None:
    return sum(map(holds, tasks)) / len(tasks) if tasks else None


def _cost(tasks: Sequence[Logged]) -> float:
    prices = [(logged["tokens"], PRICES.get(logged["model"], (0.0, 0.0))) for logged in tasks]
    return sum(tokens[0] * price[0] + tokens[1] * price[1] for tokens, price in prices) / 1_000_000


def _mean_score(tasks: Sequence[Logged]) -> float | None:
    return sum(logged["score"] for logged in tasks) / len(tasks) if tasks else None


def _flagged(tasks: Sequence[Logged]) -> list[Logged]:
    return [logged for logged in tasks if logged["flag"]]


EXPECTED: dict[str, Callable[[Sequence[Logged]], float | None]] = {
    "tasks": len,
    "sessions": lambda tasks: len({logged["session"] for logged in tasks}),
    "users": lambda tasks: len({logged["user"] for logged in tasks if logged["user"]}),
    "tokens": lambda tasks: sum(sum(logged["tokens"]) for logged in tasks),
    "cost": _cost,
    "feedback": lambda tasks: len(_flagged(tasks)),
    "success_rate": lambda tasks: _share(_flagged(tasks), lambda logged: logged["flag"] == "success"),
    "events": lambda tasks: sum(map(_has_refund, tasks)),
    "event_rate": lambda tasks: _share(tasks, _has_refund),
    "theme_share": lambda tasks: _share(tasks, lambda logged: logged["theme"] == "billing"),
    "negative_rate": lambda tasks: _share(tasks, lambda logged: logged["sentiment"] == "negative"),
    "mean_sentiment": _mean_score,
}


def watch(metric: str, **fields: Any) -> Alert:
    subject = {"event": "refund", "theme": "billing"}.get(ALERT_METRICS[metric].option, "")  # type: ignore[index]
    given = {"project_id": PROJECT, "alert_id": "a", "name": "A", "metric": metric, "condition": "above"}
    return Alert(**given | {"subject": subject, "created_at": END} | fields)


PERCENTILES = {"latency_p50": 0.5, "latency_p95": 0.95, "latency_p99": 0.99}


def test_every_metric_has_an_expectation() -> None:
    assert EXPECTED.keys() | PERCENTILES.keys() == ALERT_METRICS.keys() - THEME_FACTS


@pytest.mark.parametrize("metric", PERCENTILES)
def test_percentile_is_between_its_neighbours(reader: ReadingReader, metric: str) -> None:
    reading = reader.reading(watch(metric, window_minutes=360), END)
    tasks = [logged for logged in LOGGED if END - timedelta(hours=6) <= logged["at"] < END]
    values = sorted(logged["latency"] for logged in tasks if logged["latency"] is not None)
    rank = PERCENTILES[metric] * (len(values) - 1)
    assert reading.cases == len(values)
    assert reading.value is not None
    assert values[max(int(rank) - 1, 0)] * 0.99 <= reading.value <= values[min(int(rank) + 2, len(values) - 1)]


@pytest.mark.parametrize("metric", EXPECTED)
def test_readings_are_what_the_tasks_of_each_window_say(reader: ReadingReader, metric: str) -> None:
    alert = watch(metric, window_minutes=60)
    readings = reader.readings(alert, END, 50)
    assert readings[-1].evaluated_at == END
    assert len(readings) == 50
    for reading in readings:
        for end, value in (
            (reading.evaluated_at, reading.value),
            (reading.evaluated_at - timedelta(hours=1), reading.baseline),
        ):
            tasks = [logged for logged in LOGGED if end - timedelta(hours=1) <= logged["at"] < end]
            assert value == pytest.approx(EXPECTED[metric](tasks)), (end, len(tasks))
    assert reader.reading(alert, END) == readings[-1]


def test_filters_narrow_a_reading(reader: ReadingReader) -> None:
    filters = {"version": "1", "language": "de", "model": "small"}
    alert = watch("event_rate", window_minutes=360, filters=filters)
    names = filters.keys()
    tasks = [logged for logged in LOGGED if all(logged[name] == filters[name] for name in names)]
    tasks = [logged for logged in tasks if END - timedelta(hours=6) <= logged["at"] < END]
    reading = reader.reading(alert, END)
    assert (reading.cases, reading.value) == (len(tasks), pytest.approx(EXPECTED["event_rate"](tasks)))
    assert len(tasks) > 5
