"""The views say the same after any order of inserts, any replay and any merge (invariants 2, 3 and 4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.examples import examples
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from store.facts import analysis, feedback, insert, task, view
from store.session_model import Facts

VIEWS = ("tasks", "sessions", "events", "analyses", "feedback")
TASK_COLUMNS = "task_id, session_id, user_id, tokens_in, flag"
EVENT_COLUMNS = "id, name, task_id, session_id"
SESSION_COLUMNS = (
    "session_id, first_task_at, last_task_at, tasks, user_ids, tokens_in, successes, failures, feedback, events,"
    " event_names, sentiment_score"
)

Row = dict[str, Any]
Insert = tuple[str, tuple[Row, ...]]


def sessions(store: Store, project_id: str, columns: str) -> list[Row]:
    return view(store, "sessions", project_id, columns)


def test_a_task_logged_again_is_the_same_task(store: Store, project_id: str) -> None:
    insert(store, "task_rows", task(project_id, "a", 1, output="", tokens_out=None))
    insert(store, "task_rows", task(project_id, "a", 2, output="the whole answer", tokens_out=9))
    [found] = view(store, "tasks", project_id, "task_id, output, tokens_out")
    assert found == {"task_id": "a", "output": "the whole answer", "tokens_out": 9}
    assert sessions(store, project_id, "tasks, tokens_out") == [{"tasks": 1, "tokens_out": 9}]


def test_an_older_write_that_arrives_late_changes_nothing(store: Store, project_id: str) -> None:
    insert(store, "task_rows", task(project_id, "a", 2, output="new"))
    insert(store, "task_rows", task(project_id, "a", 1, output="old"))
    assert view(store, "tasks", project_id, "output") == [{"output": "new"}]


@pytest.mark.parametrize("logged", ["", "success", "failure"])
def test_last_feedback_wins_over_the_logged_flag(store: Store, project_id: str, logged: str) -> None:
    insert(store, "task_rows", task(project_id, "a", 99, flag=logged))
    assert view(store, "tasks", project_id, "flag") == [{"flag": logged}]
    insert(store, "feedback_rows", feedback(project_id, "a", "first", 5, "failure"))
    insert(store, "feedback_rows", feedback(project_id, "a", "second", 7, "success"))
    insert(store, "feedback_rows", feedback(project_id, "a", "late", 6, "failure"))
    assert view(store, "tasks", project_id, "flag") == [{"flag": "success"}]
    assert sessions(store, project_id, "successes, failures, feedback") == [
        {"successes": 1, "failures": 0, "feedback": 3}
    ]


def test_feedback_of_one_revision_has_no_order_of_arrival(store: Store, fresh_project: Callable[[], str]) -> None:
    flags = []
    for names in (("f1", "f2"), ("f2", "f1")):
        project_id = fresh_project()
        insert(store, "task_rows", task(project_id, "a"))
        for name in names:
            flag = "success" if name == "f1" else "failure"
            insert(store, "feedback_rows", feedback(project_id, "a", name, 5, flag))
        flags += view(store, "tasks", project_id, "flag") + sessions(store, project_id, "successes, failures")
    assert flags == [{"flag": "failure"}, {"successes": 0, "failures": 1}] * 2


def test_events_that_a_later_analysis_lacks_are_gone(store: Store, project_id: str) -> None:
    insert(store, "task_rows", task(project_id, "a"))
    insert(store, "analysis_rows", analysis(project_id, "a", 1, ["refund", "greeting"]))
    insert(store, "analysis_rows", analysis(project_id, "a", 2, ["refund"]))
    assert view(store, "events", project_id, "name") == [{"name": "refund"}]
    assert view(store, "analyses", project_id, "event_names") == [{"event_names": ["refund"]}]
    assert sessions(store, project_id, "events, event_names") == [{"events": 1, "event_names": ["refund"]}]


def test_an_analysis_by_earlier_definitions_does_not_come_back(store: Store, project_id: str) -> None:
    """As when an older part of the topic of analyses is read again, in another split."""
    insert(store, "task_rows", task(project_id, "a"))
    insert(store, "analysis_rows", analysis(project_id, "a", 1, ["refund"], definitions_revision=8))
    insert(store, "analysis_rows", analysis(project_id, "a", 1, ["greeting"], definitions_revision=7))
    assert view(store, "events", project_id, "name") == [{"name": "refund"}]
    insert(store, "analysis_rows", analysis(project_id, "a", 2, [], definitions_revision=3))
    assert view(store, "events", project_id, "name") == []


def test_a_task_that_moves_to_another_session_leaves_the_first(store: Store, project_id: str) -> None:
    insert(store, "task_rows", task(project_id, "a", 1, session_id="one"), task(project_id, "b", 1, session_id="one"))
    insert(store, "task_rows", task(project_id, "a", 2, session_id="two"))
    found = sessions(store, project_id, "session_id, tasks")
    assert found == [{"session_id": "one", "tasks": 1}, {"session_id": "two", "tasks": 1}]


def test_a_task_sent_again_with_another_time_moves_its_session(store: Store, project_id: str) -> None:
    insert(store, "task_rows", task(project_id, "a", 1, created_at="2020-01-01T00:00:00.000Z"))
    insert(store, "task_rows", task(project_id, "a", 2, created_at="2026-01-01T00:00:00.000Z"))
    expected = "2026-01-01 00:00:00.000"
    [found] = sessions(store, project_id, "first_task_at, last_task_at")
    assert found == {"first_task_at": expected, "last_task_at": expected}


def test_what_detection_has_not_said_yet_is_nothing(store: Store, project_id: str) -> None:
    insert(store, "task_rows", task(project_id, "a"))
    [found] = sessions(store, project_id, "events, event_names, languages, sentiment_score, feedback")
    assert found == {"events": 0, "event_names": [], "languages": [], "sentiment_score": None, "feedback": 0}


def test_projects_with_the_same_ids_do_not_mix(store: Store, fresh_project: Callable[[], str]) -> None:
    projects = [fresh_project(), fresh_project()]
    for number, project_id in enumerate(projects, start=1):
        insert(store, "task_rows", task(project_id, "a", tokens_in=number))
        insert(store, "analysis_rows", analysis(project_id, "a", names=[f"event-{number}"]))
        flag = "success" if number == 1 else "failure"
        insert(store, "feedback_rows", feedback(project_id, "a", "f", flag=flag))
    found = [sessions(store, project_id, "tokens_in, successes, event_names")[0] for project_id in projects]
    assert found == [
        {"tokens_in": 1, "successes": 1, "event_names": ["event-1"]},
        {"tokens_in": 2, "successes": 0, "event_names": ["event-2"]},
    ]


def test_no_view_shows_what_an_import_run_twice_would_change(store: Store, registry: Registry) -> None:
    """Revision and the times of arrival stay in the tables. Dead letters are known by when they arrived."""
    query = "SELECT DISTINCT name FROM system.columns WHERE database = 'phospho' AND table IN {views:Array(String)}"
    shown = {row["name"] for row in store.rows(query, {"views": [*VIEWS, "definitions"]})}
    assert not shown & {"revision", "received_at", "inserted_at", "schema_version"}


ids = st.integers(0, 3).map(lambda number: f"t{number}")
session_ids = st.integers(0, 2).map(lambda number: f"s{number}")
revisions = st.integers(1, 6)
times = st.integers(0, 9).map(
    lambda day: f"2026-01-0{day + 1}T10:00:00.000Z" if day < 9 else "2001-01-01T00:00:00.000Z"
)
fields_of_task = st.fixed_dictionaries(
    {
        "session_id": session_ids,
        "created_at": times,
        "user_id": st.sampled_from(["", "u1", "u2"]),
        "flag": st.sampled_from(["", "success", "failure"]),
        "tokens_in": st.none() | st.integers(0, 1000),
    }
)
fields_of_analysis = st.fixed_dictionaries(
    {
        "session_id": session_ids,
        "created_at": times,
        "names": st.lists(st.sampled_from(["refund", "greeting", "complaint"]), unique=True, max_size=3),
        "sentiment_score": st.none() | st.integers(-8, 8).map(lambda eighths: eighths / 8),
    }
)
facts = st.one_of(
    st.tuples(st.just("task_rows"), ids, revisions, fields_of_task),
    st.tuples(st.just("analysis_rows"), ids, revisions, fields_of_analysis),
    st.tuples(
        st.just("feedback_rows"), ids, revisions,
        st.fixed_dictionaries(
            {"feedback_id": st.sampled_from(["f1", "f2"]), "flag": st.sampled_from(["success", "failure"])}
        ),
    ),
)  # fmt: skip
# A step: facts that are new, a replay of the last so many inserts, or a merge of a table.
steps = st.lists(
    st.lists(facts, min_size=1, max_size=5)
    | st.integers(1, 6)
    | st.sampled_from(["task_rows", "analysis_rows", "feedback_rows"]),
    min_size=1,
    max_size=10,
)
_ROW = {"task_rows": task, "analysis_rows": analysis, "feedback_rows": feedback}


class World:
    """A project in the store beside what the model says of it; the same revision always has the same content."""

    def __init__(self, store: Store, project_id: str) -> None:
        self.store = store
        self.project_id = project_id
        self.facts = Facts()
        self.inserts: list[Insert] = []
        self._rows: dict[tuple[str, ...], Row] = {}

    def take(self, step: Any) -> None:
        if isinstance(step, str):
            self.store.command(f"OPTIMIZE TABLE {step} FINAL")
        elif isinstance(step, int):
            for table, rows in self.inserts[-step:]:
                insert(self.store, table, *rows)
        else:
            self._insert(step)

    def _insert(self, new: list[tuple[str, str, int, Row]]) -> None:
        by_table: dict[str, list[Row]] = {}
        for table, task_id, revision, fields in new:
            row = self._row(table, task_id, revision, fields)
            self.facts.add(table, row)
            by_table.setdefault(table, []).append(row)
        for table, rows in by_table.items():
            self.inserts.append((table, tuple(rows)))
            insert(self.store, table, *rows)

    def _row(self, table: str, task_id: str, revision: int, fields: Row) -> Row:
        identity = (table, task_id, fields.get("feedback_id", ""), str(revision))
        return self._rows.setdefault(identity, _ROW[table](self.project_id, task_id, revision=revision, **fields))

    def digest(self) -> list[list[Row]]:
        return [view(self.store, name, self.project_id, "* EXCEPT project_id") for name in VIEWS]


def in_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=orjson.dumps)


@settings(max_examples=examples(0.15), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_after_every_step_the_views_are_those_of_the_model(
    store: Store, fresh_project: Callable[[], str], steps: list[Any]
) -> None:
    world = World(store, fresh_project())
    for step in steps:
        world.take(step)
        assert sessions(store, world.project_id, SESSION_COLUMNS) == in_order(world.facts.sessions())
    assert view(store, "tasks", world.project_id, TASK_COLUMNS) == in_order(world.facts.tasks())
    assert view(store, "events", world.project_id, EVENT_COLUMNS) == in_order(world.facts.events())


@settings(max_examples=examples(0.1), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps, order=st.randoms(use_true_random=False))
def test_every_view_is_that_of_one_clean_pass(
    store: Store, fresh_project: Callable[[], str], steps: list[Any], order: Any
) -> None:
    """The same facts in another order, each once, and never merged."""
    messy, clean = World(store, fresh_project()), World(store, fresh_project())
    for step in steps:
        messy.take(step)
    rows = [(table, row) for table, inserted in messy.inserts for row in inserted]
    order.shuffle(rows)
    for table, row in rows:
        insert(store, table, row | {"project_id": clean.project_id})
    assert clean.digest() == messy.digest()
