"""The gauges of projects: what the page and SQL count, bounded, and there while the store is away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from fixtures.waiting import wait_until
from phospho_dashboard.health import project_gauges as events_gauge
from phospho_dashboard.health.project_gauges import ProjectGauges
from phospho_store.errors import StoreUnavailable


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


class AwayStore:
    """A store that can be taken away."""

    def __init__(self, store: Any) -> None:
        self.store, self.is_away, self.reads = store, False, 0

    def rows(self, sql: str) -> Any:
        self.reads += 1
        if self.is_away:
            raise StoreUnavailable("away")
        return self.store.rows(sql)


class SlowStore(AwayStore):
    """A store in which a read takes as long as `on_read` does."""

    on_read: Callable[[], object] = staticmethod(lambda: None)

    def rows(self, sql: str) -> Any:
        found = super().rows(sql)
        self.on_read()
        return found


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def test_the_page_sql_and_metrics_count_the_same(world: Any) -> None:
    project = "counted"
    world.registry.save_project(project)
    client = world.client(world.registry.create_key(project).secret)
    for number in range(6):
        world.add_task(project, f"t{number}", session_id=f"s{number % 2}")
        world.add_analysis(project, f"t{number}", *(["thanks"] * (number % 3)), session_id=f"s{number % 2}")
        world.add_analysis(project, f"t{number}", *(["thanks"] * (number % 3)), session_id=f"s{number % 2}")
    registry = CollectorRegistry()
    registry.register(ProjectGauges(world.store))

    page = client.get("/api/v1/event-stats").json()
    sql = "SELECT name, count() AS events FROM events GROUP BY name"
    by_sql = client.post("/api/v1/sql", json={"query": sql}).json()["data"]

    assert by_sql == [{"name": "thanks", "events": 6}]
    assert [(row["name"], row["events"], row["sessions"]) for row in page["events"]] == [("thanks", 6, 2)]
    assert value(registry, "phospho_project_events", project_id=project, event="thanks") == 6
    assert value(registry, "phospho_project_tasks", project_id=project) == 6
    assert value(registry, "phospho_project_sessions", project_id=project) == 2


def test_scrapes_within_the_ttl_ask_the_store_once(world: Any) -> None:
    store, clock = AwayStore(world.store), Clock()
    gauges = ProjectGauges(store, clock=clock)  # type: ignore[arg-type]

    list(gauges.collect())
    once = store.reads
    clock.now_s = 0.9
    list(gauges.collect())
    assert store.reads == once
    clock.now_s = 1.0
    list(gauges.collect())
    assert store.reads == 2 * once


def test_what_took_long_to_count_is_counted_seldom(world: Any) -> None:
    store, clock = SlowStore(world.store), Clock()
    store.on_read = lambda: clock.advance(0.1)
    gauges = ProjectGauges(store, clock=clock)  # type: ignore[arg-type]

    list(gauges.collect())
    once = store.reads
    took_s = clock.now_s
    clock.now_s += 19 * took_s
    list(gauges.collect())
    assert store.reads == once
    clock.now_s += 2 * took_s
    list(gauges.collect())
    assert store.reads == 2 * once


def test_a_scrape_does_not_wait_for_a_count_that_hangs(world: Any) -> None:
    store, clock, may_go_on = SlowStore(world.store), Clock(), threading.Event()
    gauges = ProjectGauges(store, max_wait_s=0.05, clock=clock)  # type: ignore[arg-type]
    world.add_task("mine", "before-it-hangs")
    before: list[object] = []

    def has_counted() -> bool:
        before[:] = gauges.collect()
        return bool(before)

    wait_until(has_counted, "the first count has not ended")
    store.on_read = lambda: may_go_on.wait(30)
    clock.now_s = 100.0
    reads = store.reads

    during = [list(gauges.collect()) for _ in range(3)]

    assert during == [before] * 3
    assert store.reads == reads + 1
    may_go_on.set()
    gauges.close()


def test_the_counts_are_those_of_the_views_whatever_was_sent_again(world: Any) -> None:
    for number in range(8):
        world.add_task("again", f"t{number % 5}", revision=number + 1, session_id=f"s{number % 3}")
        world.add_analysis("again", f"t{number % 5}", *["a", "b"][: number % 3], revision=number + 1)
        world.add_feedback("again", f"t{number % 5}", "success", feedback_id=f"f{number}")
        world.add_dead_letter(f"d{number % 4}", "again", b"x")
    registry = CollectorRegistry()
    registry.register(ProjectGauges(world.store))

    def counted(sql: str) -> int:
        return int(world.store.rows(f"SELECT count() AS n FROM {sql} AND project_id = 'again'")[0]["n"])

    for view in ("tasks", "sessions", "dead_letters"):
        assert value(registry, f"phospho_project_{view}", project_id="again") == counted(f"{view} WHERE 1")
    for event in ("a", "b"):
        shown = value(registry, "phospho_project_events", project_id="again", event=event)
        assert shown == counted(f"events WHERE name = '{event}'")
        assert shown


def test_the_last_counts_stay_while_the_store_is_away(world: Any) -> None:
    world.add_task("mine", "for-the-gauge")
    store, clock = AwayStore(world.store), Clock()
    registry = CollectorRegistry()
    registry.register(ProjectGauges(store, clock=clock))  # type: ignore[arg-type]
    before = value(registry, "phospho_project_tasks", project_id="mine")

    store.is_away, clock.now_s = True, 10.0

    assert before is not None
    assert value(registry, "phospho_project_tasks", project_id="mine") == before


def test_registering_and_scraping_without_a_store_does_not_fail(world: Any) -> None:
    store = AwayStore(world.store)
    store.is_away = True
    registry = CollectorRegistry()

    registry.register(ProjectGauges(store))  # type: ignore[arg-type]

    assert store.reads == 0
    assert generate_latest(registry) == b""


def test_a_metric_has_a_bounded_number_of_series(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add_task("mine", "many")
    world.add_analysis("mine", "many", *(["often"] * 3), *(f"event-{n}" for n in range(50)))
    monkeypatch.setattr(events_gauge, "MAX_SERIES", 10)

    families = {family.name: family.samples for family in ProjectGauges(world.store).collect()}

    assert len(families["phospho_project_events"]) == 10
    assert max(len(samples) for samples in families.values()) <= 10
