"""A definition is run over history: resumed after a kill, agreeing with live detection, and doubling nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from phospho_schemas.messages import EventDefinition, ProjectSettings
from phospho_store.backfills import BackfillBook
from phospho_store.instructions import InstructionBook
from phospho_store.registry import Registry
from phospho_store.store import Store
from phospho_workers.detection.detect import analyse
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.followers.backfills import Backfills
from phospho_workers.followers.history import History
from phospho_workers.followers.trials import Trials
from store.facts import insert, task, view
from workers.detection.tasks import keywords

TEXTS = ["a refund", "hello", "refund and thanks", "thanks"]


def cache_of(store: Store) -> DefinitionCache:
    return DefinitionCache(InstructionBook(store), 0.0)


def follower(store: Store) -> Backfills:
    return Backfills(History(store), BackfillBook(store), cache_of(store).current)


def live(store: Store, project_id: str, *rows: dict[str, object]) -> None:
    """Detect events in tasks as the worker does, with the definitions of now."""
    snapshot = cache_of(store).current()
    analyses = analyse(rows, snapshot.by_project)
    insert(store, "analysis_rows", *(row | {"definitions_revision": snapshot.revision} for row in analyses))


def found(store: Store, project_id: str) -> list[tuple[str, str, int]]:
    rows = view(store, "events", project_id)
    return sorted((row["task_id"], row["name"], row["definition_version"]) for row in rows)


@pytest.fixture
def define(registry: Registry, project_id: str) -> Callable[..., EventDefinition]:
    return lambda name, *words: registry.save_definition(keywords(name, *words, project_id=project_id))


@pytest.fixture
def tasks(store: Store, project_id: str, define: Callable[..., EventDefinition]) -> list[dict[str, object]]:
    """Four tasks in which live detection has looked for thanks, and for nothing else."""
    define("thanks", "thanks")
    rows = [
        task(project_id, f"t{n}", input=text, output="", created_at=f"2026-01-0{n + 1}T10:00:00.000Z")
        for n, text in enumerate(TEXTS)
    ]
    insert(store, "task_rows", *rows)
    live(store, project_id, *rows)
    return rows


THANKS = [("t2", "thanks", 1), ("t3", "thanks", 1)]


def test_what_is_defined_later_is_found_in_history_and_the_rest_stays(
    store: Store,
    project_id: str,
    tasks: list[dict[str, object]],
    define: Callable[..., EventDefinition],
    until_done: Callable[..., int],
) -> None:
    wanted = define("refund", "refund")
    sentiments = view(store, "analyses", project_id, "task_id, language, sentiment, sentiment_score")
    started = BackfillBook(store).start(wanted)
    assert BackfillBook(store).start(wanted).backfill_id == started.backfill_id

    until_done(follower(store))

    assert found(store, project_id) == sorted([("t0", "refund", 1), ("t2", "refund", 1), *THANKS])
    assert view(store, "analyses", project_id, "task_id, language, sentiment, sentiment_score") == sentiments
    done = BackfillBook(store).one(project_id, started.backfill_id)
    assert done is not None
    assert (done.status, done.tasks, done.tasks_done, done.events_found) == ("done", 4, 4, 2)


def test_what_a_new_version_does_not_find_is_gone(
    store: Store,
    project_id: str,
    tasks: list[dict[str, object]],
    define: Callable[..., EventDefinition],
    until_done: Callable[..., int],
) -> None:
    BackfillBook(store).start(define("thanks", "refund and thanks"))
    until_done(follower(store))
    assert found(store, project_id) == [("t2", "thanks", 2)]


def test_only_the_tasks_of_the_span_are_read(
    store: Store,
    project_id: str,
    tasks: list[dict[str, object]],
    define: Callable[..., EventDefinition],
    until_done: Callable[..., int],
) -> None:
    span = (datetime(2026, 1, 1, 11, tzinfo=UTC), datetime(2026, 1, 3, 11, tzinfo=UTC))
    BackfillBook(store).start(define("refund", "refund"), *span)
    until_done(follower(store))
    assert found(store, project_id) == sorted([("t2", "refund", 1), *THANKS])


def test_one_that_was_killed_goes_on_where_it_was(
    store: Store,
    project_id: str,
    tasks: list[dict[str, object]],
    define: Callable[..., EventDefinition],
    until_done: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("phospho_workers.followers.backfills._TASKS_AT_ONCE", 1)
    monkeypatch.setattr("phospho_workers.followers.backfills._PAGES_AT_ONCE", 2)
    started = BackfillBook(store).start(define("refund", "refund"))
    follower(store).step()
    half = BackfillBook(store).one(project_id, started.backfill_id)
    assert half is not None
    assert (half.after, half.tasks_done, half.status) == ("t1", 2, "running")

    until_done(follower(store))

    assert found(store, project_id) == sorted([("t0", "refund", 1), ("t2", "refund", 1), *THANKS])


def test_live_detection_holds_in_whichever_order_the_two_are_stored(
    store: Store,
    project_id: str,
    tasks: list[dict[str, object]],
    define: Callable[..., EventDefinition],
    until_done: Callable[..., int],
) -> None:
    wanted = define("refund", "refund")
    # Analysed again under the same instructions: live detection says all there is to say.
    live(store, project_id, tasks[0])
    # Logged again, and analysed: the backfill's row of the earlier text must not come up.
    again = tasks[2] | {"revision": 9, "input": "nothing at all"}
    insert(store, "task_rows", again)
    BackfillBook(store).start(wanted)
    until_done(follower(store))
    live(store, project_id, again)
    assert found(store, project_id) == [("t0", "refund", 1), ("t3", "thanks", 1)]
    before = found(store, project_id)
    BackfillBook(store).start(wanted)
    until_done(follower(store))
    assert found(store, project_id) == before


def test_two_definitions_are_filled_in_side_by_side(
    store: Store,
    project_id: str,
    tasks: list[dict[str, object]],
    define: Callable[..., EventDefinition],
    until_done: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("phospho_workers.followers.backfills._TASKS_AT_ONCE", 1)
    monkeypatch.setattr("phospho_workers.followers.backfills._PAGES_AT_ONCE", 1)
    for name, word in (("refund", "refund"), ("hello", "hello")):
        BackfillBook(store).start(define(name, word))
    until_done(follower(store))
    assert found(store, project_id) == sorted([("t0", "refund", 1), ("t1", "hello", 1), ("t2", "refund", 1), *THANKS])


def test_an_edit_and_a_cancel_end_it(
    store: Store,
    project_id: str,
    tasks: list[dict[str, object]],
    define: Callable[..., EventDefinition],
    until_done: Callable[..., int],
) -> None:
    book = BackfillBook(store)
    edited = book.start(define("refund", "refund"))
    cancelled = book.start(define("thanks", "thanks"))
    define("refund", "refunds")
    book.cancel(project_id, cancelled.backfill_id)
    until_done(follower(store))
    assert {one.backfill_id: one.status for one in book.of_project(project_id)} == {
        edited.backfill_id: "superseded",
        cancelled.backfill_id: "cancelled",
    }
    assert found(store, project_id) == THANKS


def test_an_estimate_says_what_it_would_cost_and_stores_nothing(
    store: Store, project_id: str, tasks: list[dict[str, object]], define: Callable[..., EventDefinition]
) -> None:
    told = Trials(History(store), cache_of(store).current).estimate(define("refund", "refund"))
    assert (told["tasks"], told["events"], told["llm_tokens"], told["sampled_tasks"]) == (4, 2, 0, 4)
    assert found(store, project_id) == THANKS


def test_a_diff_tells_what_a_new_version_would_change(
    store: Store,
    project_id: str,
    tasks: list[dict[str, object]],
    define: Callable[..., EventDefinition],
) -> None:
    old = define("refund", "refund and thanks", "hello")
    new = keywords("refund", "refund", project_id=project_id)
    told = Trials(History(store), cache_of(store).current).diff(old, new, 1000)
    counts = {name: told[name] for name in ("tasks", "newly_found", "no_longer_found", "found_by_both")}
    assert counts == {"tasks": 4, "newly_found": 1, "no_longer_found": 1, "found_by_both": 1}
    assert [one["task_id"] for one in told["examples"]["newly"]] == ["t0"]
    assert [one["task_id"] for one in told["examples"]["no_longer"]] == ["t1"]


def test_where_events_are_switched_off_none_is_taken_away(
    store: Store,
    registry: Registry,
    project_id: str,
    tasks: list[dict[str, object]],
    define: Callable[..., EventDefinition],
    until_done: Callable[..., int],
) -> None:
    registry.save_project(project_id, settings=ProjectSettings(detect_events=False))
    started = BackfillBook(store).start(define("thanks", "thanks"))
    until_done(follower(store))
    ended = BackfillBook(store).one(project_id, started.backfill_id)
    assert ended is not None
    assert (ended.status, found(store, project_id)) == ("cancelled", THANKS)
