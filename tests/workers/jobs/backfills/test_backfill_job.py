"""A definition is run over history: resumed after a kill, agreeing with live detection, and doubling nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from phospho_schemas.messages import EventDefinition, ProjectSettings
from phospho_schemas.rows.jobs import Backfill
from phospho_store.jobs.backfills import BackfillRepository
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_workers.detection.detect import analyse
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.jobs.backfills.backfill_job import BackfillJob
from phospho_workers.jobs.backfills.history import History
from phospho_workers.jobs.learning.examples import LabelledTasks
from phospho_workers.jobs.learning.trainer import ClassifierTrainer
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.judging.settings import NO_JUDGES, JudgeSettings, LlmSettings
from phospho_workers.trials.backfill_estimate import BackfillEstimate
from phospho_workers.trials.version_diff import TrialClassifiers, VersionDiff
from store.facts import insert, task, view
from workers.detection.tasks import definition, keywords

TEXTS = ["a refund", "hello", "refund and thanks", "thanks"]


@dataclass(frozen=True)
class Past:
    """Four tasks of a project in which live detection has looked for thanks, and for nothing else."""

    store: Store
    project_id: str
    tasks: list[dict[str, object]]
    until_done: Callable[[object], int]

    @property
    def repository(self) -> BackfillRepository:
        return BackfillRepository(self.store)

    @property
    def cache(self) -> DefinitionCache:
        return DefinitionCache(DefinitionRepository(self.store), 0.0)

    def define(self, name: str, *words: str) -> EventDefinition:
        return Registry(self.store).save_definition(keywords(name, *words, project_id=self.project_id))

    def live(self, *rows: dict[str, object]) -> None:
        """Detect events in tasks as the worker does, with the definitions of now."""
        snapshot = self.cache.current()
        analyses = analyse(rows, snapshot.by_project)
        insert(self.store, "analysis_rows", *(row | {"definitions_revision": snapshot.revision} for row in analyses))

    def job(self) -> BackfillJob:
        return BackfillJob(History(self.store), SessionFacts(self.store), self.repository, self.cache.current)

    def estimates(self, judging: JudgeSettings = NO_JUDGES) -> BackfillEstimate:
        return BackfillEstimate(History(self.store), SessionFacts(self.store), self.cache.current, judging)

    def diffs(self) -> VersionDiff:
        classifiers = TrialClassifiers(LabelledTasks(self.store), ClassifierTrainer())
        return VersionDiff(History(self.store), SessionFacts(self.store), self.cache.current, classifiers)

    def run(self) -> None:
        """Run a job that has just started until it has nothing left to do."""
        self.until_done(self.job())

    def found(self) -> list[tuple[str, str, int]]:
        rows = view(self.store, "events", self.project_id)
        return sorted((row["task_id"], row["name"], row["definition_version"]) for row in rows)

    def backfill(self, backfill_id: str) -> Backfill:
        backfill = self.repository.backfill(self.project_id, backfill_id)
        assert backfill is not None
        return backfill


@pytest.fixture
def past(store: Store, project_id: str, until_done: Callable[[object], int]) -> Past:
    rows = [
        task(project_id, f"t{n}", input=text, output="", created_at=f"2026-01-0{n + 1}T10:00:00.000Z")
        for n, text in enumerate(TEXTS)
    ]
    past = Past(store, project_id, rows, until_done)
    past.define("thanks", "thanks")
    insert(store, "task_rows", *rows)
    past.live(*rows)
    return past


THANKS = [("t2", "thanks", 1), ("t3", "thanks", 1)]


def test_backfill_finds_a_new_definition_and_keeps_other_events(past: Past) -> None:
    wanted = past.define("refund", "refund")
    sentiments = view(past.store, "analyses", past.project_id, "task_id, language, sentiment, sentiment_score")
    started = past.repository.start(wanted)
    assert past.repository.start(wanted).backfill_id == started.backfill_id

    past.run()

    assert past.found() == sorted([("t0", "refund", 1), ("t2", "refund", 1), *THANKS])
    assert view(past.store, "analyses", past.project_id, "task_id, language, sentiment, sentiment_score") == sentiments
    done = past.backfill(started.backfill_id)
    assert (done.status, done.tasks, done.tasks_done, done.events_found) == ("done", 4, 4, 2)


def test_backfill_removes_events_that_a_new_version_does_not_find(past: Past) -> None:
    past.repository.start(past.define("thanks", "refund and thanks"))
    past.run()
    assert past.found() == [("t2", "thanks", 2)]


def test_backfill_reads_only_the_tasks_of_its_span(past: Past) -> None:
    span = (datetime(2026, 1, 1, 11, tzinfo=UTC), datetime(2026, 1, 3, 11, tzinfo=UTC))
    past.repository.start(past.define("refund", "refund"), *span)
    past.run()
    assert past.found() == sorted([("t2", "refund", 1), *THANKS])


def test_backfill_continues_after_a_kill(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phospho_workers.jobs.backfills.backfill_job._TASKS_AT_ONCE", 1)
    monkeypatch.setattr("phospho_workers.jobs.backfills.backfill_job._PAGES_AT_ONCE", 2)
    started = past.repository.start(past.define("refund", "refund"))
    past.job().step()
    half = past.backfill(started.backfill_id)
    assert (half.after, half.tasks_done, half.status) == ("t1", 2, "running")

    past.run()

    assert past.found() == sorted([("t0", "refund", 1), ("t2", "refund", 1), *THANKS])


def test_backfill_never_wins_against_live_detection(past: Past) -> None:
    wanted = past.define("refund", "refund")
    # Analysed again under the same instructions: live detection says all there is to say.
    past.live(past.tasks[0])
    # Logged again, and analysed: the backfill's row of the earlier text must not come up.
    again = past.tasks[2] | {"revision": 9, "input": "nothing at all"}
    insert(past.store, "task_rows", again)
    past.repository.start(wanted)
    past.run()
    past.live(again)
    assert past.found() == [("t0", "refund", 1), ("t3", "thanks", 1)]
    before = past.found()
    past.repository.start(wanted)
    past.run()
    assert past.found() == before


def test_backfills_of_two_definitions_keep_each_others_events(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phospho_workers.jobs.backfills.backfill_job._TASKS_AT_ONCE", 1)
    monkeypatch.setattr("phospho_workers.jobs.backfills.backfill_job._PAGES_AT_ONCE", 1)
    for name, word in (("refund", "refund"), ("hello", "hello")):
        past.repository.start(past.define(name, word))
    past.run()
    assert past.found() == sorted([("t0", "refund", 1), ("t1", "hello", 1), ("t2", "refund", 1), *THANKS])


class Delayed(History):
    """History of a process that others overtake: before it first saves, they do what they have to do."""

    def __init__(self, store: Store, others: Callable[[], object]) -> None:
        super().__init__(store)
        self._others = [others]

    def save(self, analyses: Sequence[Mapping[str, Any]]) -> None:
        if self._others:
            self._others.pop()()
        super().save(analyses)


@pytest.mark.parametrize("others_steps", [1, 2, 100])
def test_backfills_of_two_processes_lose_nothing(past: Past, others_steps: int) -> None:
    """The one that writes last has read first."""
    for wanted in (past.define("refund", "refund"), past.define("flight", "refund")):
        past.repository.start(wanted)
    other = past.job()

    def overtake() -> None:
        for _ in range(others_steps):
            other.step()

    BackfillJob(Delayed(past.store, overtake), SessionFacts(past.store), past.repository, past.cache.current).step()
    past.run()
    both = [(task_id, name, 1) for task_id in ("t0", "t2") for name in ("flight", "refund")]
    assert past.found() == sorted([*both, *THANKS])


def test_backfill_ends_after_an_edit_or_a_cancel(past: Past) -> None:
    repository = past.repository
    edited = repository.start(past.define("refund", "refund"))
    cancelled = repository.start(past.define("thanks", "thanks"))
    past.define("refund", "refunds")
    repository.cancel(past.project_id, cancelled.backfill_id)
    past.run()
    assert {backfill.backfill_id: backfill.status for backfill in repository.of_project(past.project_id)} == {
        edited.backfill_id: "superseded",
        cancelled.backfill_id: "cancelled",
    }
    assert past.found() == THANKS


def test_estimate_returns_the_cost_and_stores_nothing(past: Past) -> None:
    estimate = past.estimates().estimate(past.define("refund", "refund"))
    assert (estimate["tasks"], estimate["events"], estimate["llm_tokens"], estimate["sampled_tasks"]) == (4, 2, 0, 4)
    assert past.found() == THANKS


def test_estimate_prices_the_questions_to_the_llm(past: Past) -> None:
    """It counted the characters of the texts alone: a few tokens for a call that sends some 300."""
    angry = Registry(past.store).save_definition(
        definition("angry", "llm", description="The user is angry", project_id=past.project_id)
    )
    llm = LlmSettings("http://127.0.0.1:9", "model", usd_per_million_in=1000.0, usd_per_million_out=1000.0)
    estimate = past.estimates(JudgeSettings(llm)).estimate(angry)
    assert estimate["llm_calls"] == 4
    assert 4 * 200 < estimate["llm_tokens"] < 4 * 500
    assert estimate["llm_usd"] == pytest.approx(estimate["llm_tokens"] / 1000, abs=0.01)
    assert estimate["llm_days"] == 1


def test_diff_returns_what_a_new_version_would_change(past: Past) -> None:
    old = past.define("refund", "refund and thanks", "hello")
    new = keywords("refund", "refund", project_id=past.project_id)
    diff = past.diffs().diff(old, new, 1000)
    counts = {name: diff[name] for name in ("tasks", "newly_found", "no_longer_found", "found_by_both")}
    assert counts == {"tasks": 4, "newly_found": 1, "no_longer_found": 1, "found_by_both": 1}
    assert [example["task_id"] for example in diff["examples"]["newly"]] == ["t0"]
    assert [example["task_id"] for example in diff["examples"]["no_longer"]] == ["t1"]


def test_backfill_removes_nothing_where_event_detection_is_off(past: Past, registry: Registry) -> None:
    registry.save_project(past.project_id, settings=ProjectSettings(detect_events=False))
    started = past.repository.start(past.define("thanks", "thanks"))
    past.run()
    ended = past.backfill(started.backfill_id)
    assert (ended.status, past.found()) == ("cancelled", THANKS)
