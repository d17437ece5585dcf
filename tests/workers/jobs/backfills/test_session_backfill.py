"""Definitions that read sessions, run over history: sessions that are over, and turns, each once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from phospho_schemas.messages import EventDefinition, ProjectSettings
from phospho_store.jobs.backfills import BackfillRepository
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.jobs.backfills.backfill_job import BackfillJob
from phospho_workers.jobs.backfills.history import History
from phospho_workers.jobs.learning.examples import LabelledTasks
from phospho_workers.jobs.learning.trainer import ClassifierTrainer
from phospho_workers.jobs.sessions.ended_sessions_job import EndedSessionsJob
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.jobs.sessions.turns_job import TurnsJob
from phospho_workers.trials.backfill_estimate import BackfillEstimate
from phospho_workers.trials.version_diff import TrialClassifiers, VersionDiff
from store.facts import view
from workers.detection.tasks import keywords
from workers.jobs.logged_sessions import NOW, said_long_ago, say


@dataclass(frozen=True)
class Past:
    """A project with three sessions of long ago, of two tasks each."""

    store: Store
    project_id: str
    until_done: Callable[[object], int]

    @property
    def repository(self) -> BackfillRepository:
        return BackfillRepository(self.store)

    @property
    def cache(self) -> DefinitionCache:
        return DefinitionCache(DefinitionRepository(self.store), 0.0)

    def define(self, name: str, *words: str, **fields: Any) -> EventDefinition:
        return Registry(self.store).save_definition(keywords(name, *words, project_id=self.project_id, **fields))

    def job(self) -> BackfillJob:
        return BackfillJob(History(self.store), SessionFacts(self.store), self.repository, self.cache.current)

    def estimates(self) -> BackfillEstimate:
        return BackfillEstimate(History(self.store), SessionFacts(self.store), self.cache.current)

    def diffs(self) -> VersionDiff:
        classifiers = TrialClassifiers(LabelledTasks(self.store), ClassifierTrainer())
        return VersionDiff(History(self.store), SessionFacts(self.store), self.cache.current, classifiers)

    def run(self, definition: EventDefinition, **span: Any) -> str:
        """Backfill a definition to the end, and return how that ended."""
        started = self.repository.start(definition, **span)
        self.until_done(self.job())
        ended = self.repository.backfill(self.project_id, started.backfill_id)
        assert ended is not None
        return f"{ended.status}: {ended.tasks_done} tasks, {ended.events_found} events"

    def follow(self) -> None:
        """Look at what comes, as processes do that have just started."""
        self.until_done(EndedSessionsJob(SessionFacts(self.store), self.cache.current))
        self.until_done(TurnsJob(SessionFacts(self.store), self.cache.current))

    def found(self) -> list[tuple[str, str, int]]:
        rows = view(self.store, "events", self.project_id)
        return sorted((row["task_id"], row["name"], row["definition_version"]) for row in rows)


@pytest.fixture
def past(store: Store, registry: Registry, project_id: str, until_done: Callable[[object], int]) -> Past:
    registry.save_project(project_id, settings=ProjectSettings(session_idle_minutes=10))
    for session_id, first, last in (("a", "a refund", "thanks"), ("b", "refund", "hm"), ("c", "hello", "thanks")):
        said_long_ago(store, project_id, session_id, first, minutes_ago=500)
        said_long_ago(store, project_id, session_id, last, minutes_ago=499)
    return Past(store, project_id, until_done)


WHOLE = [("a-499", "refund", 1), ("b-499", "refund", 1)]
LAST = [("a-499", "thanks", 1), ("c-499", "thanks", 1)]
NEAR = [("a-499", "near", 1), ("a-500", "near", 1), ("b-499", "near", 1), ("b-500", "near", 1)]


def test_session_backfill_finds_events_once_in_sessions_and_turns(past: Past) -> None:
    whole = past.define("refund", "refund", scope="session")
    last = past.define("thanks", "thanks", is_last_task=True)
    near = past.define("near", "refund", scope="input", context_turns=1)
    past.follow()
    assert past.found() == []

    assert past.run(whole) == "done: 6 tasks, 2 events"
    assert past.found() == WHOLE
    past.run(last)
    assert past.run(near) == "done: 6 tasks, 4 events"
    everything = sorted(WHOLE + LAST + NEAR)
    assert past.found() == everything

    past.run(whole)
    past.follow()
    assert past.found() == everything


def test_session_backfill_replaces_only_events_of_its_definition(past: Past) -> None:
    for definition in (
        past.define("refund", "refund", scope="session"),
        past.define("thanks", "thanks", is_last_task=True),
    ):
        past.run(definition)
    past.run(past.define("refund", "a refund", scope="session"))
    assert past.found() == sorted([("a-499", "refund", 2), *LAST])


def test_session_backfill_reads_sessions_that_end_in_its_span(past: Past) -> None:
    said_long_ago(past.store, past.project_id, "a", "bye", minutes_ago=100)
    definition = past.define("refund", "refund", scope="session")
    past.run(definition, to_at=NOW - timedelta(minutes=300))
    assert past.found() == [("b-499", "refund", 1)]
    past.run(definition, from_at=NOW - timedelta(minutes=300))
    assert past.found() == [("a-100", "refund", 1), ("b-499", "refund", 1)]


def test_session_backfill_continues_after_a_kill(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phospho_workers.jobs.backfills.backfill_job._TASKS_AT_ONCE", 1)
    monkeypatch.setattr("phospho_workers.jobs.backfills.backfill_job._PAGES_AT_ONCE", 1)
    started = past.repository.start(past.define("refund", "refund", scope="session"))
    past.job().step()
    assert past.found() == [("a-499", "refund", 1)]
    past.until_done(past.job())
    assert past.found() == WHOLE
    done = past.repository.backfill(past.project_id, started.backfill_id)
    assert done is not None
    assert (done.status, done.tasks_done, done.events_found) == ("done", 6, 2)


def test_session_backfill_leaves_open_sessions_to_the_session_job(past: Past) -> None:
    definition = past.define("refund", "refund", scope="session")
    say(past.store, past.project_id, "b", "refund again", minutes_ago=20)
    past.run(definition)
    assert past.found() == [("a-499", "refund", 1)]
    # Now it is over.
    say(past.store, past.project_id, "later", "hello", minutes_ago=5)
    past.follow()
    assert past.found() == [("a-499", "refund", 1), ("b-20", "refund", 1)]


def test_session_backfill_detects_all_definitions_in_a_live_session(past: Past) -> None:
    """The session job sees that the session was read, and does not read it again."""
    past.define("thanks", "thanks", is_last_task=True)
    definition = past.define("refund", "refund", scope="session")
    say(past.store, past.project_id, "new", "refund", minutes_ago=60)
    say(past.store, past.project_id, "new", "thanks", minutes_ago=59)
    say(past.store, past.project_id, "later", "hello", minutes_ago=5)
    past.run(definition)
    expected = sorted([*WHOLE, ("new-59", "refund", 1), ("new-59", "thanks", 1)])
    assert past.found() == expected
    past.follow()
    assert past.found() == expected


def test_estimate_and_diff_read_sessions_and_store_nothing(past: Past) -> None:
    estimate = past.estimates().estimate(past.define("refund", "refund", scope="session"))
    assert (estimate["tasks"], estimate["events"], estimate["llm_tokens"], estimate["sampled_tasks"]) == (6, 2, 0, 6)

    old = past.define("near", "refund", scope="input", context_turns=1)
    new = keywords("near", "a refund", "hello", project_id=past.project_id, scope="session")
    diff = past.diffs().diff(old, new, 1000)
    counts = {name: diff[name] for name in ("tasks", "newly_found", "no_longer_found", "found_by_both")}
    assert counts == {"tasks": 6, "newly_found": 1, "no_longer_found": 3, "found_by_both": 1}
    assert [example["task_id"] for example in diff["examples"]["newly"]] == ["c-499"]
    assert past.found() == []
