"""The dashboard counts from rollups what it counts from facts, whatever arrives, late, again or not at all any more."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.examples import examples
from phospho_dashboard.analytics.overview import Overview
from phospho_dashboard.queries.extent import Extents
from phospho_dashboard.queries.filters import Filters, Scope
from phospho_dashboard.queries.periods import Extent, Span, buckets_of
from phospho_dashboard.settings import Prices
from phospho_schemas.ids import HybridClock, derived_uuid
from phospho_schemas.times import zone_named
from phospho_store.forgetting.forget import Forgetting
from phospho_store.registry.registry import Registry
from phospho_store.retention import enforce
from phospho_store.rollups.coverage import SEALED, Coverage, CoverageReader
from phospho_store.rollups.rollups import Rollups
from phospho_store.sql.corrections import NO_CORRECTIONS
from phospho_store.sql.sessions import SESSION_STATE
from phospho_store.store import Store
from phospho_workers.jobs.rollups.rollup_job import RollupJob
from store.facts import analysis, event, feedback, insert, judgement, label, task

Row = dict[str, Any]

CLOCK = HybridClock()
_PROJECTS = itertools.count()
DAY_MS, HOUR_MS = 86_400_000, 3_600_000
FIRST_MS = 1_767_225_600_000  # 2026-01-01
# Of a client's own, and of the layout whose time says the hour, or another one.
IDS = ["a", "b", "c", *(derived_uuid(FIRST_MS + hour * HOUR_MS, str(hour)) for hour in (0, 1, 30, 31))]
NAMES = ["refund", "thanks", "complaint"]
SPANS = [
    Span(FIRST_MS - DAY_MS, FIRST_MS + 3 * DAY_MS),
    Span(FIRST_MS + 600_000, FIRST_MS + 2 * DAY_MS + 1_500_000),
    Span(),
]
_FIND_IN_SESSIONS = f"""
INSERT INTO session_analysis_rows
    (project_id, session_id, turn, state, revision, definitions_revision, task_id, tasks, created_at, events)
SELECT {{project:String}}, session_id, '', {SESSION_STATE}, max(task_rows.revision), 1,
    argMax(task_id, (created_at, task_id)), count(), max(created_at),
    [tuple('id', 'bored', 1, 'keyword', 'session', 1, '', 0, '', NULL, '')]
FROM task_rows FINAL WHERE project_id = {{project:String}} GROUP BY session_id
"""
_KEEP_SESSIONS = """
INSERT INTO session_task_rows (project_id, task_id, session_id, created_at)
SELECT project_id, task_id, session_id, created_at FROM task_rows WHERE project_id = {project:String}
"""


def at(hour: int, minute: int = 0) -> str:
    day, of_day = divmod(hour, 24)
    return f"2026-01-{day + 1:02}T{of_day:02}:{minute:02}:00.000Z"


class World:
    """A project, its dashboard from rollups and from facts, and the job between them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.project_id = f"rollups-{next(_PROJECTS)}"
        self.rollups = Rollups(store)
        self.job = RollupJob(self.rollups, settling_ms=0)
        self.inserts: list[tuple[str, Row]] = []
        self._views = itertools.cycle(itertools.product(SPANS, ("UTC", "Asia/Kolkata")))

    def add(self, table: str, row: Row) -> None:
        self.inserts.append((table, row))
        insert(self.store, table, row)

    def run_job(self) -> None:
        while self.job.step():
            pass

    def read(self, span: Span, zone: str = "UTC", rollups: CoverageReader | None = None) -> Row:
        overview = Overview(self.store, Prices("USD", {}))
        overview._rollups = rollups or CoverageReader(self.store, few_tasks=0)
        scope = Scope(self.project_id, Filters(), span, Extents(self.store).corrections(self.project_id))
        extent = Extent(FIRST_MS, FIRST_MS + 3 * DAY_MS)
        read: Row = overview.read(scope, buckets_of(span, extent, FIRST_MS + 4 * DAY_MS, zone_named(zone)))
        return read

    def check(self) -> None:
        """Compare one span of one zone, the next one at each call."""
        span, zone = next(self._views)
        assert self.read(span, zone) == self.read(span, zone, NoRollups(self.store))

    def sealed_hours(self) -> int:
        """Return how many hours are taken from rollups, which have rows in them."""
        coverage = CoverageReader(self.store, few_tasks=0).coverage(self.project_id, (None, None), (), NO_CORRECTIONS)
        assert coverage is not None
        sql = f"SELECT uniqExact(hour) AS hours FROM rollup_rows WHERE project_id = {{project:String}} AND {SEALED}"
        [row] = self.store.rows(sql, {"project": self.project_id, **coverage.parameters})
        return int(row["hours"])

    def command(self, sql: str) -> None:
        self.store.command(sql, {"project": self.project_id})


class NoRollups(CoverageReader):
    def coverage(self, *_: Any, **__: Any) -> None:
        return None


class DeletedMeanwhile(CoverageReader):
    """Begins deletions of a world's tasks once a reader has its coverage, of as many readings as `deletions`."""

    def __init__(self, world: World, deletions: int) -> None:
        super().__init__(world.store, few_tasks=0)
        self._world = world
        self._left = deletions

    def coverage(self, *arguments: Any) -> Coverage | None:
        coverage = super().coverage(*arguments)
        if self._left:
            self._left -= 1
            hour = FIRST_MS + (3 + self._left) * HOUR_MS
            condition = f"created_at = fromUnixTimestamp64Milli({hour})"
            self._world.rollups.begin_deletion(self._world.project_id, condition, {})
        return coverage


@pytest.fixture
def project_world(store: Store) -> World:
    return World(store)


ids, hours = st.sampled_from(IDS), st.integers(0, 50)
models, versions, users = st.sampled_from(["", "m1", "m2"]), st.sampled_from(["", "v1"]), st.sampled_from(["", "u1"])
tasks = st.fixed_dictionaries(
    {
        "session_id": st.sampled_from(["s1", "s2", "s3"]),
        "user_id": users,
        "model": models,
        "version_id": versions,
        "flag": st.sampled_from(["", "success", "failure"]),
        "tokens_in": st.none() | st.integers(0, 1000),
        "latency_ms": st.none() | st.floats(0, 100_000, allow_nan=False),
    }
)
analyses = st.fixed_dictionaries(
    {
        "names": st.lists(st.sampled_from(NAMES), unique=True, max_size=3),
        "language": st.sampled_from(["", "en", "fr"]),
        "sentiment": st.sampled_from(["", "positive", "negative"]),
        "is_in_doubt": st.booleans(),
    }
)
labels = st.sampled_from(["confirmed", "rejected", ""])
revisions = st.integers(1, 5)
steps = st.one_of(
    st.tuples(st.just("task"), ids, revisions, hours, tasks),
    st.tuples(st.just("task"), ids, revisions, hours, tasks),
    st.tuples(st.just("analysis"), ids, revisions, hours, analyses),
    st.tuples(st.just("feedback"), ids, revisions, st.sampled_from(["success", "failure"])),
    st.tuples(st.just("label"), ids, st.sampled_from(NAMES), labels),
    st.tuples(st.just("judgement"), st.sampled_from(["yes", "no"])),
    st.sampled_from([("sessions",), ("merge",), ("replay",), ("expire",), ("job",), ("job",), ("job",)]),
)


def take(world: World, step: Any) -> None:
    kind, *values = step
    if kind == "task":
        task_id, revision, hour, fields = values
        world.add("task_rows", task(world.project_id, task_id, revision, created_at=at(hour), **fields))
    elif kind == "analysis":
        take_analysis(world, *values)
    elif kind == "feedback":
        task_id, revision, flag = values
        world.add("feedback_rows", feedback(world.project_id, task_id, "f", revision, flag))
    elif kind == "label":
        task_id, name, text = values
        world.add("label_rows", label(world.project_id, task_id, name, CLOCK.next(), label=text))
    elif kind == "judgement":
        world.add("judgement_rows", judgement(world.project_id, "a", "doubt", CLOCK.next(), answer=values[0]))
    elif kind == "sessions":
        world.command(_KEEP_SESSIONS)
        world.command(_FIND_IN_SESSIONS)
    elif kind == "merge":
        for table in ("task_rows", "analysis_rows", "rollup_rows", "rollup_hour_rows"):
            world.store.command(f"OPTIMIZE TABLE {table} FINAL")
    elif kind == "replay":
        for table, row in world.inserts:
            insert(world.store, table, row)
    elif kind == "expire":
        expire(world)
    else:
        world.run_job()


def take_analysis(world: World, task_id: str, revision: int, hour: int, fields: Row) -> None:
    values = dict(fields)
    names, is_in_doubt = values.pop("names"), values.pop("is_in_doubt")
    candidate = {
        name: event(f"{task_id}-refund", "refund")[name] for name in ("id", "name", "engine", "scope", "score")
    }
    doubts = [candidate | {"definition_version": 1, "doubt": 0.5, "content": "doubt"}] if is_in_doubt else []
    row = analysis(world.project_id, task_id, revision, names, created_at=at(hour), candidates=doubts, **values)
    world.add("analysis_rows", row)


def expire(world: World) -> None:
    """Delete what was before 20 hours of the first day, as the hourly retention does."""
    cutoff_days = 10
    registry = Registry(world.store)
    registry.save_project(world.project_id, retention_days=cutoff_days)
    now = datetime.fromtimestamp((FIRST_MS + 20 * HOUR_MS) / 1000, UTC) + timedelta(days=cutoff_days)
    list(enforce(world.store, registry, now))
    registry.save_project(world.project_id, retention_days=0)
    world.inserts.clear()


TASK: Row = {"session_id": "s1", "user_id": "u1", "model": "m1", "flag": "success", "tokens_in": 3, "latency_ms": 4.7}
FOUND: Row = {"names": ["refund"], "language": "en", "sentiment": "positive", "is_in_doubt": True}
OTHER_ID, ID_OF_HOUR_0 = IDS[0], IDS[3]


@pytest.mark.parametrize(
    "story",
    [
        pytest.param([("task", OTHER_ID, 2, 40, TASK), ("merge",)], id="moved-and-merged"),
        pytest.param([("task", ID_OF_HOUR_0, 2, 40, TASK | {"flag": ""}), ("merge",), ("expire",)], id="moved-expired"),
        pytest.param([("analysis", OTHER_ID, 2, 3, FOUND | {"names": []})], id="analysed-again"),
        pytest.param([("feedback", OTHER_ID, 1, "failure")], id="feedback"),
        pytest.param([("label", OTHER_ID, "refund", "rejected")], id="rejected"),
        pytest.param([("label", ID_OF_HOUR_0, "thanks", "confirmed")], id="confirmed"),
        pytest.param([("judgement", "no")], id="judgement"),
        pytest.param([("sessions",), ("job",), ("task", "b", 1, 49, TASK)], id="session-reopened"),
        pytest.param([("task", "c", 1, 4, TASK), ("replay",)], id="late-and-replayed"),
        pytest.param([("expire",)], id="expired"),
    ],
)  # fmt: skip
def test_sealed_hours_equal_facts_when_something_changes(store: Store, story: list[Any]) -> None:
    world = World(store)
    for task_id, hour in ((OTHER_ID, 3), (ID_OF_HOUR_0, 0), ("b", 30)):
        take(world, ("task", task_id, 1, hour, TASK))
        take(world, ("analysis", task_id, 1, hour, FOUND))
    world.run_job()
    assert world.sealed_hours() == 3

    for step in story:
        take(world, step)
    world.check()
    world.run_job()
    world.check()


@settings(max_examples=examples(0.05), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(steps, min_size=3, max_size=10))
def test_rollups_equal_facts_after_every_step(store: Store, steps: list[Any]) -> None:
    world = World(store)
    for step in steps:
        take(world, step)
        world.check()
    world.run_job()
    world.check()


def test_forgotten_user_is_in_no_rollup(store: Store) -> None:
    world = World(store)
    for task_id, user in ((OTHER_ID, "u1"), (ID_OF_HOUR_0, "u2")):
        take(world, ("task", task_id, 1, 3, TASK | {"user_id": user, "session_id": user}))
    world.run_job()
    assert world.sealed_hours() == 1

    Forgetting(store, CLOCK).forget(world.project_id, "user", "u1")
    world.check()
    rows = store.rows("SELECT value FROM rollup_rows WHERE project_id = {p:String}", {"p": world.project_id})
    assert "u1" not in {row["value"] for row in rows}


@pytest.mark.parametrize("deletions", [1, 3])
def test_deletion_that_begins_during_a_reading_loses_no_hour(store: Store, deletions: int) -> None:
    world = World(store)
    for hour in (3, 4, 5):
        take(world, ("task", f"id-{hour}", 1, hour, TASK))
    world.run_job()
    assert world.sealed_hours() == 3

    numbers = world.read(Span(), rollups=DeletedMeanwhile(world, deletions))
    assert numbers == world.read(Span(), rollups=NoRollups(store))
    assert numbers["totals"]["tasks"] == 3
