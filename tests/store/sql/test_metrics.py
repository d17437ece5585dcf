"""Each metric by each dimension has the same numbers from facts and from the views."""

from __future__ import annotations

import itertools
from typing import Any

import orjson
import pytest

from phospho_store.annotations.corrections import read_corrections
from phospho_store.sql.metric_rows import ProjectSpan, fact_rows, view_rows
from phospho_store.sql.metrics import DIMENSIONS, METRICS, OTHER, Question
from phospho_store.store import Store

PROJECT = "metrics"
SPAN = ProjectSpan(PROJECT, 1_767_225_600_000, 1_767_830_400_000)  # the first week of 2026
PRICES = {"models": ["large"], "prices_in": [2.0], "prices_out": [8.0]}
_ENVELOPE = {"project_id": PROJECT, "revision": 1}


@pytest.fixture(scope="module")
def facts(store: Store) -> Store:
    """Tasks of four days with analyses, corrections of every kind and feedback, one task of another project."""
    tasks, analyses = [], []
    for number in range(24):
        at = f"2026-01-0{1 + number % 4}T{number:02}:30:00.000Z"
        shared = _ENVELOPE | {"task_id": f"t{number:02}", "session_id": f"s{number // 2}", "created_at": at}
        shared |= {"user_id": f"user {number % 5}", "version_id": f"v{number % 3}"}
        tasks.append(
            shared
            | {"received_at": at, "input": "hello", "output": "hi", "model": "large" if number % 2 else "small"}
            | {"tokens_in": number, "latency_ms": 100.0 * number, "flag": "success" if number % 6 == 0 else ""}
            | {"metadata": {"plan": "pro" if number % 4 else "free", "price": number / 2, "deep": {"key": number}}}
        )
        events = [
            {"id": f"{number}-{name}", "name": name, "definition_version": 1, "engine": "keyword", "scope": "input"}
            | {"score": 0.5, "evidence": "hello"}
            for name, is_found in (("refund", number % 2 == 0), ("praise", number % 3 == 0), ("rare", number == 5))
            if is_found
        ]
        if number != 7:
            feeling = {"sentiment": "negative" if number % 4 == 0 else "neutral", "sentiment_score": number / 24}
            found = {"language": "en", "language_score": 0.9, "theme": f"theme-{number % 2}", "events": events}
            analyses.append(shared | feeling | found)
    tasks.append(tasks[0] | {"project_id": "another"})
    label = _ENVELOPE | {"created_at": "2026-01-05T10:00:00.000Z", "event_id": "e"}
    labels = [
        label | {"task_id": task, "event_name": "refund", "label": answer}
        for task, answer in (("t00", "rejected"), ("t01", "confirmed"), ("t07", "confirmed"))
    ]
    feedback = _ENVELOPE | {"task_id": "t03", "feedback_id": "f", "flag": "failure", "score": 0, "comment": ""}
    feedback |= {"created_at": "2026-01-05T10:00:00.000Z", "received_at": "2026-01-05T10:00:00.000Z"}
    for table, rows in (("task_rows", tasks), ("analysis_rows", analyses), ("label_rows", labels)):
        store.insert(table, b"\n".join(map(orjson.dumps, rows)))
    store.insert("feedback_rows", orjson.dumps(feedback))
    return store


def _of_facts(store: Store, question: Question, filters: dict[str, str]) -> list[dict[str, Any]]:
    corrections, _ = read_corrections(store, PROJECT)
    scope = ProjectSpan(SPAN.project_id, SPAN.start_ms, SPAN.end_ms, corrections)
    sql = question.sql(fact_rows(scope, question.columns, filters))
    return store.rows(sql, scope.parameters(**question.parameters, **filters, **PRICES))


def _of_views(store: Store, question: Question, filters: dict[str, str]) -> list[dict[str, Any]]:
    sql = question.sql(view_rows(SPAN.of_span(), question.columns, filters))
    return store.rows(sql, SPAN.parameters(**question.parameters, **filters, **PRICES))


# Each metric with one dimension, and each share by what it is a share of.
_BY = ["", *DIMENSIONS]
_PAIRS = [(name, _BY[number % len(_BY)]) for number, name in enumerate(METRICS)]
_PAIRS += [("event_rate", "event"), ("event_session_rate", "event"), ("theme_share", "theme"), ("events", "event")]


def test_metrics_are_the_same_from_facts_and_from_views(facts: Store) -> None:
    for (name, by), interval in zip(_PAIRS, itertools.cycle(["day", "", "week", "hour", "month"]), strict=False):
        filters = {"model": {"language": "en"}, "flag": {"theme": "theme-0"}, "": {"event": "refund"}}.get(by, {})
        question = Question(name, key="price", by=by, by_key="plan", interval=interval, zone="Europe/Berlin", parts=2)
        rows = _of_facts(facts, question, filters)
        assert rows, (name, by)
        assert rows == _of_views(facts, question, filters), (name, by, interval)


def test_metric_counts_its_cases(facts: Store) -> None:
    def only(question: Question) -> dict[str, Any]:
        [row] = _of_facts(facts, question, {})
        return row

    assert only(Question("tasks")) == {"tasks": 24, "cases": 24}
    assert only(Question("success_rate")) == {"success_rate": 0.8, "cases": 5}
    # Of 12 found, one is rejected; two are added, one of them to a task without an analysis.
    assert only(Question("event_rate", event="refund")) == {"event_rate": 13 / 24, "cases": 24}
    assert only(Question("metadata_sum", key="price")) == {"metadata_sum": 138.0, "cases": 24}
    assert only(Question("metadata_mean", key="deep.key")) == {"metadata_mean": 11.5, "cases": 24}
    assert only(Question("metadata_mean", key="nothing")) == {"metadata_mean": None, "cases": 0}
    assert only(Question("cost"))["cost"] == pytest.approx(2 * sum(range(1, 24, 2)) / 1e6)


def test_share_by_its_own_dimension_is_of_all_tasks(facts: Store) -> None:
    events = _of_facts(facts, Question("event_rate", by="event", parts=2), {})
    assert [(row["value"], row["cases"]) for row in events] == [("praise", 24), ("refund", 24)]
    assert [row["event_rate"] for row in events] == [8 / 24, 13 / 24]
    themes = _of_facts(facts, Question("theme_share", by="theme", parts=1), {})
    assert [(row["value"], row["cases"]) for row in themes] == [(OTHER, 23), ("theme-0", 23)]
    assert sum(row["theme_share"] for row in themes) == 1


def test_parts_beyond_the_largest_are_counted_together(facts: Store) -> None:
    rows = _of_facts(facts, Question("tasks", by="user", parts=2), {})
    assert [row["value"] for row in rows] == [OTHER, "user 0", "user 1"]
    assert sum(row["tasks"] for row in rows) == 24
    assert _of_facts(facts, Question("tasks", by="metadata", by_key="it's `odd`\\"), {})[0]["value"] == ""
