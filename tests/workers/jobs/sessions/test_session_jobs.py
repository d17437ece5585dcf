"""Sessions that are over are read once in each state; a late task replaces earlier events."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from fixtures.labels import new_label
from phospho_schemas.messages import MAX_CONTEXT_TURNS, ProjectSettings
from phospho_store.annotations.labels import LabelRepository
from phospho_store.jobs.session_closes import SessionCloseRepository
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_store.views import views
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.jobs.sessions.ended_sessions_job import EndedSessionsJob
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.jobs.sessions.turns_job import TurnsJob
from phospho_workers.runtime.metrics import REGISTRY
from store.facts import insert, view
from workers.detection.tasks import keywords
from workers.jobs.logged_sessions import CLOCK, NOW, move, said, say


@pytest.fixture(autouse=True)
def _definitions(registry: Registry, project_id: str) -> None:
    registry.save_project(project_id, settings=ProjectSettings(session_idle_minutes=10))
    registry.save_definition(keywords("refund", "refund", project_id=project_id, scope="session"))
    registry.save_definition(keywords("thanks", "thanks", project_id=project_id, is_last_task=True))


def ended(store: Store) -> EndedSessionsJob:
    """Return a job as a process that has just started has it."""
    return EndedSessionsJob(SessionFacts(store), DefinitionCache(DefinitionRepository(store), 0.0).current)


def turns(store: Store) -> TurnsJob:
    return TurnsJob(SessionFacts(store), DefinitionCache(DefinitionRepository(store), 0.0).current)


def looked_for_since_an_hour(store: Store, project_id: str, name: str) -> None:
    """Store a first version of a definition: what it finds is looked for since then, whatever was made of it since."""
    first = {"name": name, "version": 0, "revision": int((NOW.timestamp() - 3600) * 1000) << 16}
    insert(store, "definition_rows", {"project_id": project_id, "created_at": NOW.isoformat()} | first)


def say_earlier(store: Store, project_id: str, *texts: tuple[str, str, float]) -> None:
    """Log tasks that arrived two minutes ago, longer than what has arrived is asked for again."""
    arrived = {"inserted_at": (datetime.now(UTC) - timedelta(minutes=2)).isoformat(timespec="milliseconds")}
    for session_id, text, minutes_ago in texts:
        say(store, project_id, session_id, text, minutes_ago=minutes_ago, **arrived)


def found(store: Store, project_id: str) -> list[tuple[str, str, str]]:
    rows = view(store, "events", project_id)
    return sorted((row["session_id"], row["name"], row["task_id"]) for row in rows)


def looked_at(what: str) -> float:
    return REGISTRY.get_sample_value(f"phospho_{what}_analysed_total") or 0.0


def test_session_ends_when_idle_by_the_time_of_events(
    store: Store, project_id: str, until_done: Callable[..., int]
) -> None:
    job = ended(store)
    say(store, project_id, "a", "a refund please", minutes_ago=25)
    say(store, project_id, "a", "thanks", minutes_ago=20)
    until_done(job)
    assert found(store, project_id) == []

    say(store, project_id, "b", "hello", minutes_ago=11)
    until_done(job)
    assert found(store, project_id) == []

    say(store, project_id, "b", "hello again", minutes_ago=10)
    until_done(job)
    assert found(store, project_id) == [("a", "refund", "a-20"), ("a", "thanks", "a-20")]


def test_late_task_replaces_the_events_of_its_session(
    store: Store, project_id: str, until_done: Callable[..., int]
) -> None:
    job = ended(store)
    say(store, project_id, "a", "a refund please", minutes_ago=60)
    say(store, project_id, "b", "thanks", minutes_ago=30)
    until_done(job)
    assert found(store, project_id) == [("a", "refund", "a-60")]

    say(store, project_id, "a", "thanks a lot", minutes_ago=29)
    # At once, before anybody has looked again.
    assert found(store, project_id) == []
    until_done(job)
    assert found(store, project_id) == []

    say(store, project_id, "b", "anything", minutes_ago=5)
    until_done(job)
    assert found(store, project_id) == [("a", "refund", "a-29"), ("a", "thanks", "a-29")]


def test_last_session_of_a_quiet_project_ends_by_the_clock(
    store: Store, project_id: str, until_done: Callable[..., int]
) -> None:
    arrived = NOW - timedelta(minutes=11)
    say(store, project_id, "a", "refund", minutes_ago=12, inserted_at=arrived.isoformat(timespec="milliseconds"))
    looked_for_since_an_hour(store, project_id, "refund")
    until_done(ended(store))
    assert found(store, project_id) == [("a", "refund", "a-12")]


def test_closed_session_is_over_until_its_next_task(
    store: Store, project_id: str, until_done: Callable[..., int]
) -> None:
    job = ended(store)
    say(store, project_id, "a", "refund", minutes_ago=1)
    until_done(job)
    assert found(store, project_id) == []

    assert SessionCloseRepository(store, CLOCK).close(project_id, "a") is not None
    until_done(job)
    assert found(store, project_id) == [("a", "refund", "a-1")]

    say(store, project_id, "a", "thanks", minutes_ago=0.5)
    until_done(job)
    assert found(store, project_id) == []
    assert SessionCloseRepository(store).close(project_id, "unknown") is None


def test_session_jobs_read_only_what_is_missing_after_a_kill(
    store: Store, project_id: str, until_done: Callable[..., int]
) -> None:
    for number in range(3):
        say(store, project_id, f"s{number}", "refund", minutes_ago=60 + number)
    say(store, project_id, "watermark", "hello", minutes_ago=45)
    until_done(ended(store))
    say(store, project_id, "later", "refund", minutes_ago=40)
    say(store, project_id, "s0", "and more", minutes_ago=39)
    say(store, project_id, "watermark", "hello", minutes_ago=20)
    before = looked_at("sessions")

    until_done(ended(store))

    assert [session for session, _, _ in found(store, project_id)] == ["later", "s0", "s1", "s2"]
    assert looked_at("sessions") == before + 2


def test_two_session_jobs_at_once_find_what_one_finds(
    store: Store, project_id: str, until_done: Callable[..., int]
) -> None:
    say(store, project_id, "a", "refund", minutes_ago=60)
    say(store, project_id, "b", "hello", minutes_ago=20)
    first, second = ended(store), ended(store)
    until_done(first)
    once = found(store, project_id)
    until_done(second)
    assert found(store, project_id) == once == [("a", "refund", "a-60")]


def test_session_job_reads_all_pages_of_sessions(
    store: Store, project_id: str, until_done: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phospho_workers.jobs.sessions.ended_sessions_job._SESSIONS_AT_ONCE", 3)
    monkeypatch.setattr("phospho_workers.jobs.sessions.ended_sessions_job._TRANSCRIPTS_AT_ONCE", 2)
    for number in range(8):
        say(store, project_id, f"s{number}", "refund", minutes_ago=60)
    say(store, project_id, "z", "hello", minutes_ago=20)
    assert until_done(ended(store)) >= 2
    assert len(found(store, project_id)) == 8


def test_label_corrects_an_event_of_a_session(store: Store, project_id: str, until_done: Callable[..., int]) -> None:
    say(store, project_id, "a", "refund", minutes_ago=60)
    say(store, project_id, "b", "hello", minutes_ago=20)
    until_done(ended(store))
    repository = LabelRepository(store)
    repository.save_labels([new_label(project_id, "refund", "a-60", "confirmed")])
    assert [(row["name"], row["label"]) for row in view(store, "events", project_id)] == [("refund", "confirmed")]
    repository.save_labels([new_label(project_id, "refund", "a-60", "rejected")])
    assert found(store, project_id) == []


def test_session_is_read_again_after_its_last_task_leaves(
    store: Store, project_id: str, until_done: Callable[..., int]
) -> None:
    """The tasks that are left have a smaller revision than the state that was read."""
    looked_for_since_an_hour(store, project_id, "refund")
    say_earlier(store, project_id, ("a", "refund", 60), ("a", "thanks", 59), ("b", "hello", 30))
    job = ended(store)
    until_done(job)
    assert found(store, project_id) == [("a", "refund", "a-59"), ("a", "thanks", "a-59")]

    move(store, project_id, "a", "thanks", minutes_ago=59, to="b")
    # At once, before anybody has looked again.
    assert found(store, project_id) == []
    until_done(job)
    assert found(store, project_id) == [("a", "refund", "a-60")]


def test_session_ends_by_the_tasks_left_after_one_leaves_early(
    store: Store, project_id: str, until_done: Callable[..., int]
) -> None:
    looked_for_since_an_hour(store, project_id, "refund")
    say_earlier(store, project_id, ("a", "refund", 60), ("a", "hm", 21), ("b", "hello", 20))
    job = ended(store)
    until_done(job)
    assert found(store, project_id) == []
    move(store, project_id, "a", "hm", minutes_ago=21, to="b")
    until_done(job)
    assert found(store, project_id) == [("a", "refund", "a-60")]


def test_events_of_a_task_leave_the_session_with_it(
    store: Store, project_id: str, until_done: Callable[..., int]
) -> None:
    say(store, project_id, "a", "refund", minutes_ago=60)
    say(store, project_id, "a", "hm", minutes_ago=59)
    say(store, project_id, "b", "hello", minutes_ago=30)
    # The last one of the session has the greatest revision by far, as if by a fast clock.
    insert(store, "task_rows", said(project_id, "a", "bye", 58) | {"revision": CLOCK.next() + (3_600_000 << 16)})
    until_done(ended(store))
    assert found(store, project_id) == [("a", "refund", "a-58")]
    move(store, project_id, "a", "refund", minutes_ago=60, to="b")
    assert found(store, project_id) == []
    until_done(ended(store))
    assert found(store, project_id) == []


def test_late_task_of_a_smaller_revision_is_read(store: Store, project_id: str, until_done: Callable[..., int]) -> None:
    job = ended(store)
    earlier = said(project_id, "a", "refund", 61)
    say(store, project_id, "a", "hm", minutes_ago=60)
    say(store, project_id, "b", "hello", minutes_ago=30)
    until_done(job)
    insert(store, "task_rows", earlier)
    until_done(job)
    assert found(store, project_id) == [("a", "refund", "a-60")]


def test_replayed_history_is_not_read_by_the_session_job(
    store: Store, registry: Registry, project_id: str, until_done: Callable[..., int]
) -> None:
    """Sessions that were over before the definitions were made arrive again, unchanged."""
    registry.save_definition(keywords("near", "refund", project_id=project_id, scope="input", context_turns=1))
    jobs = [ended(store), turns(store)]
    say(store, project_id, "b", "hello", minutes_ago=15)
    for job in jobs:
        until_done(job)
    for minutes in (500, 499):
        row = said(project_id, "a", "refund", minutes)
        insert(store, "task_rows", row | {"revision": int((NOW.timestamp() - minutes * 60) * 1000) << 16})
    for job in (*jobs, ended(store), turns(store)):
        until_done(job)
    assert found(store, project_id) == []
    # One more task, and it is a session of now.
    say(store, project_id, "a", "thanks", minutes_ago=30)
    for job in jobs:
        until_done(job)
    assert found(store, project_id) == [("a", "near", "a-30"), ("a", "refund", "a-30"), ("a", "thanks", "a-30")]


def test_turn_is_read_again_when_its_predecessor_leaves(
    store: Store, registry: Registry, project_id: str, until_done: Callable[..., int]
) -> None:
    registry.save_definition(keywords("near", "refund", project_id=project_id, scope="input", context_turns=1))
    looked_for_since_an_hour(store, project_id, "near")
    say_earlier(store, project_id, ("a", "a refund", 9), ("a", "well", 8), ("a", "hm", 7))
    job = turns(store)
    until_done(job)
    assert found(store, project_id) == [("a", "near", "a-8"), ("a", "near", "a-9")]
    before = looked_at("turns")
    move(store, project_id, "a", "a refund", minutes_ago=9, to="b")
    assert found(store, project_id) == []
    until_done(job)
    # In its new session by itself, and those that were after it.
    assert (found(store, project_id), looked_at("turns")) == ([("b", "near", "a-9")], before + 3)


def test_turns_job_reads_every_turn_of_a_long_session(
    store: Store, registry: Registry, project_id: str, until_done: Callable[..., int]
) -> None:
    registry.save_definition(keywords("near", "refund", project_id=project_id, scope="input", context_turns=1))
    long = [said(project_id, "a", "refund" if number % 2 else "hm", number) for number in range(2_101)]
    insert(store, "task_rows", *long)
    until_done(turns(store))
    [counted] = store.rows(
        "SELECT count() AS events FROM events WHERE project_id = {project:String}", {"project": project_id}
    )
    # The first of all says nothing of it, and has none before it.
    assert counted["events"] == 2_100


def test_state_of_a_turn_covers_its_greatest_context() -> None:
    assert f"ROWS BETWEEN {MAX_CONTEXT_TURNS} PRECEDING AND CURRENT ROW" in views()["found_events"]


def test_turns_are_read_with_context_and_again_after_a_change(
    store: Store, registry: Registry, project_id: str, until_done: Callable[..., int]
) -> None:
    registry.save_definition(keywords("near", "refund", project_id=project_id, scope="input", context_turns=1))
    job = turns(store)
    for text, minutes in (("a refund", 9), ("well", 8), ("hm", 7)):
        say(store, project_id, "a", text, minutes_ago=minutes)
    until_done(job)
    assert found(store, project_id) == [("a", "near", "a-8"), ("a", "near", "a-9")]

    # The first one is logged again, without it; and a late one comes in between.
    say(store, project_id, "a", "nothing", minutes_ago=9)
    say(store, project_id, "a", "refund", minutes_ago=7.5)
    until_done(job)
    expected = [("a", "near", "a-7"), ("a", "near", "a-7.5")]
    assert found(store, project_id) == expected

    before = looked_at("turns")
    until_done(turns(store))
    assert found(store, project_id) == expected
    assert looked_at("turns") == before
