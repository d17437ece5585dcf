"""An LLM is asked where detection is unsure, once about each text, inside the budget of the day."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fixtures.llm_server import LlmServer, llm_server, question_in, raw, status
from phospho_schemas.messages import EventDefinition, JudgementRow, ProjectSettings
from phospho_store.annotations.judgements import JudgementRepository
from phospho_store.annotations.labels import LabelRepository, new_label
from phospho_store.jobs.backfills import BackfillRepository
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_workers.detection.definitions import Snapshot
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.jobs.backfills.backfill_job import BackfillJob
from phospho_workers.jobs.backfills.history import History
from phospho_workers.jobs.judges.judge_repositories import JudgeRepositories
from phospho_workers.jobs.judges.llm_job import LlmJudgeJob
from phospho_workers.jobs.registry import judged_definitions
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.judging import llm_client as chat
from phospho_workers.judging.circuit_breaker import CircuitBreaker
from phospho_workers.judging.llm_client import LlmClient
from phospho_workers.judging.settings import JudgeSettings, LlmSettings
from store.facts import analysis, event, insert, task, view
from workers.detection.tasks import definition
from workers.jobs.judgement_fixtures import analyse_again, found, log

UntilDone = Callable[..., int]


pytestmark = pytest.mark.usefixtures("logged_now")


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[LlmServer]:
    """An LLM that says yes where the text has the name of the event in it."""
    monkeypatch.setattr(chat, "_FIRST_BACKOFF_S", 0.001)
    with llm_server(lambda event, said: {"answer": "yes" if event["name"] in str(said) else "no"}) as server:
        yield server


def judge(
    store: Store, project_id: str, llm: LlmServer, circuit: CircuitBreaker | None = None, **fields: Any
) -> LlmJudgeJob:
    """Return the judge of one project: those of other tests wait for the next day, or for ever."""
    settings = LlmSettings(llm.base_url, "model-1", usd_per_million_in=1.0, usd_per_million_out=2.0)
    cache = DefinitionCache(DefinitionRepository(store), refresh_interval_s=0.0)

    def of_project() -> Snapshot:
        snapshot = cache.current()
        return Snapshot(snapshot.revision, {project_id: snapshot.by_project[project_id]})

    asking = LlmClient(settings, circuit)
    return LlmJudgeJob(JudgeRepositories.of(store), of_project, settings, client=asking, **fields)


def define(registry: Registry, project_id: str, *names: str, **fields: Any) -> list[EventDefinition]:
    known = {"project_id": project_id, "engine": "llm", "description": "It happens", "scope": "input"}
    return [registry.save_definition(definition(name, **(known | fields))) for name in names]


def unsure(name: str, doubt: float = 0.5, content: str = "c1", **fields: Any) -> dict[str, Any]:
    known = {"id": f"id-{name}", "name": name, "definition_version": 1, "engine": "semantic", "scope": "input"}
    return known | {"score": 0.4, "doubt": doubt, "content": content} | fields


def test_what_only_an_llm_can_tell_becomes_an_event_of_its_task(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "refund", "greeting")
    log(store, project_id, {"t1": "a refund please", "t2": "hello", "t3": "greeting and refund"})
    assert found(store, project_id) == {}

    until_done(judge(store, project_id, llm))

    assert found(store, project_id) == {("t1", "refund"): "llm", ("t3", "refund"): "llm", ("t3", "greeting"): "llm"}
    assert len(llm.asked) == 3, "definitions of one task share a call"
    [one] = [row for row in view(store, "events", project_id) if row["task_id"] == "t1"]
    assert (one["engine"], one["scope"], one["score"], one["session_id"]) == ("llm", "input", 1.0, "session")


def test_nothing_is_asked_twice_nor_after_a_restart_nor_about_equal_texts(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "refund")
    log(store, project_id, {"t1": "a refund", "t2": "a refund"})
    job = judge(store, project_id, llm)
    until_done(job)
    assert len(llm.asked) == 1

    log(store, project_id, {"t3": "a refund"})
    until_done(job)
    until_done(judge(store, project_id, llm))

    assert len(llm.asked) == 1
    assert found(store, project_id) == {(name, "refund"): "llm" for name in ("t1", "t2", "t3")}


def test_a_replay_changes_nothing(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "refund")
    log(store, project_id, {"t1": "a refund", "t2": "hello"})
    until_done(judge(store, project_id, llm))
    before = view(store, "events", project_id)

    log(store, project_id, {"t1": "a refund", "t2": "hello"}, revision=2)
    until_done(judge(store, project_id, llm))

    assert view(store, "events", project_id) == before
    assert len(llm.asked) == 2


def test_a_judgement_is_of_what_the_task_said_and_of_the_definition_as_it_was(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "refund")
    log(store, project_id, {"t1": "a refund"})
    until_done(judge(store, project_id, llm))

    log(store, project_id, {"t1": "never mind"}, revision=2)
    assert found(store, project_id) == {}
    log(store, project_id, {"t1": "a refund"}, revision=3)
    assert found(store, project_id) == {("t1", "refund"): "llm"}

    define(registry, project_id, "refund", description="Something else happens")
    analyse_again(store, task(project_id, "t1", 3, input="a refund"))
    assert found(store, project_id) == {}
    until_done(judge(store, project_id, llm))
    assert found(store, project_id) == {("t1", "refund"): "llm"}
    assert len(llm.asked) == 2


def test_a_task_that_is_logged_again_while_it_waits_is_judged_by_what_it_says_then(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "refund")
    log(store, project_id, {f"t{number}": f"calm {number}" for number in range(40)})
    job = judge(store, project_id, llm)
    job.step()
    asked = {question_in(body)["interaction"]["user"] for body in llm.asked}
    waiting = next(number for number in range(40) if f"calm {number}" not in asked)

    log(store, project_id, {f"t{waiting}": "a refund", "other": f"calm {waiting}"}, revision=2)
    until_done(job)
    until_done(judge(store, project_id, llm))

    assert found(store, project_id) == {(f"t{waiting}", "refund"): "llm"}, "nobody said yes to what the other says"


def test_what_detection_found_and_the_llm_denies_is_no_event_and_what_it_affirms_names_it(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "refund", "thanks", "angry", engine="semantic")
    insert(store, "task_rows", task(project_id, "t1", input="refund"))
    events = [event("e1", "refund"), event("e2", "thanks"), event("e3", "certain")]
    candidates = [unsure("refund"), unsure("thanks"), unsure("angry")]
    insert(store, "analysis_rows", analysis(project_id, "t1", events=events, candidates=candidates))

    until_done(judge(store, project_id, llm))

    assert found(store, project_id) == {("t1", "refund"): "llm", ("t1", "certain"): "keyword"}
    [affirmed] = [row for row in view(store, "events", project_id) if row["name"] == "refund"]
    assert (affirmed["evidence"], affirmed["score"], affirmed["id"]) == ("refund", 0.5, "e1")
    [session] = view(store, "sessions", project_id)
    assert session["event_names"] == ["certain", "refund"]


def test_a_call_asks_along_what_else_it_could_be_and_what_was_said_is_not_asked_again(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "refund", "thanks", engine="semantic")
    define(registry, project_id, "reply", engine="semantic", scope="output")
    insert(store, "task_rows", task(project_id, "t1", input="thanks"))
    insert(store, "analysis_rows", analysis(project_id, "t1", candidates=[unsure("refund")]))
    until_done(judge(store, project_id, llm))
    assert judgements(store, project_id) == {("refund", "no"), ("thanks", "yes")}
    assert found(store, project_id) == {}, "detection does not doubt that there are no thanks"

    define(registry, project_id, "complaint", engine="semantic")
    insert(store, "analysis_rows", analysis(project_id, "t1", 2, candidates=[unsure("thanks"), unsure("complaint")]))
    insert(store, "task_rows", task(project_id, "t1", 2, input="thanks"))
    until_done(judge(store, project_id, llm))

    assert names_asked(llm) == [["refund", "thanks"], ["complaint"]]
    assert found(store, project_id) == {("t1", "thanks"): "llm"}


def test_what_was_said_of_an_earlier_version_is_asked_along_anew(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "refund", "thanks", engine="semantic")
    insert(store, "task_rows", task(project_id, "t1"))
    insert(store, "analysis_rows", analysis(project_id, "t1", candidates=[unsure("refund")]))
    until_done(judge(store, project_id, llm))

    define(registry, project_id, "thanks", engine="semantic", description="Something else happens")
    define(registry, project_id, "complaint", engine="semantic")
    insert(store, "task_rows", task(project_id, "t1", 2))
    insert(store, "analysis_rows", analysis(project_id, "t1", 2, candidates=[unsure("complaint")]))
    until_done(judge(store, project_id, llm))

    assert names_asked(llm) == [["refund", "thanks"], ["complaint", "thanks"]]


def names_asked(llm: LlmServer) -> list[list[str]]:
    return [sorted(event["name"] for event in question_in(body)["events"].values()) for body in llm.asked]


def judgements(store: Store, project_id: str) -> set[tuple[str, str]]:
    rows = store.rows(f"SELECT name, answer FROM judgement_rows FINAL WHERE project_id = '{project_id}'")
    return {(row["name"], row["answer"]) for row in rows}


def test_people_come_before_the_llm(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "refund", "thanks")
    log(store, project_id, {"t1": "a refund"})
    until_done(judge(store, project_id, llm))
    LabelRepository(store).save_labels(
        [new_label(project_id, "refund", "t1", "rejected"), new_label(project_id, "thanks", "t1", "confirmed")]
    )
    assert found(store, project_id) == {("t1", "thanks"): "person"}
    LabelRepository(store).save_labels([new_label(project_id, "refund", "t1", "confirmed")])
    assert found(store, project_id) == {("t1", "thanks"): "person", ("t1", "refund"): "llm"}


def test_a_range_and_a_category_are_the_event_s(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "mood", score_range={"type": "range", "min": 1, "max": 5})
    define(registry, project_id, "topic", score_range={"type": "category", "categories": ["bill", "other"]})
    given = {"mood": {"answer": "yes", "value": 2.5}, "topic": {"answer": "yes", "category": "bill"}}
    llm.rule = lambda event, _: given[event["name"]]
    log(store, project_id, {"t1": "my bill is wrong"})

    until_done(judge(store, project_id, llm))

    shown = {row["name"]: (row["value"], row["category"]) for row in view(store, "events", project_id)}
    assert shown == {"mood": (2.5, ""), "topic": (None, "bill")}


def test_no_judgement_is_remembered_and_leaves_what_was_found(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "refund", engine="semantic")
    insert(store, "task_rows", task(project_id, "t1"))
    found_one = analysis(project_id, "t1", events=[event("e1", "refund")], candidates=[unsure("refund")])
    insert(store, "analysis_rows", found_one)
    llm.faults = [raw(b"garbage")]

    until_done(judge(store, project_id, llm))
    until_done(judge(store, project_id, llm))

    assert len(llm.asked) == 1
    assert found(store, project_id) == {("t1", "refund"): "keyword"}


def test_what_had_no_readable_answer_is_asked_again_hours_later_and_when_a_backfill_is_asked_for(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    [refund] = define(registry, project_id, "refund")
    log(store, project_id, {"t1": "a refund", "t2": "refund me"})
    llm.faults = [raw(b"garbage"), raw(b"garbage")]
    until_done(judge(store, project_id, llm, now=lambda: datetime.now(UTC) - timedelta(hours=1)))
    until_done(judge(store, project_id, llm))
    assert (len(llm.asked), found(store, project_id)) == (2, {})

    BackfillRepository(store).start(refund)
    BackfillRepository(store).save(
        BackfillRepository(store).of_project(project_id)[0].model_copy(update={"status": "asking"})
    )
    llm.faults = [raw(b"garbage")]
    until_done(judge(store, project_id, llm))
    assert (len(llm.asked), len(found(store, project_id))) == (4, 1), "each once, whatever comes of it"
    assert [one.status for one in BackfillRepository(store).of_project(project_id)] == ["done"]

    [row] = store.rows(f"SELECT * FROM judgement_rows FINAL WHERE project_id = '{project_id}' AND answer = ''")
    long_ago = datetime.now(UTC) - timedelta(hours=7)
    known = JudgementRow(
        **{name: row[name] for name in ("project_id", "name", "definition_version", "content")},
        answer="",
        judge="llm",
        task_id=row["task_id"],
        created_at=long_ago,
    )
    JudgementRepository(store).save_judgements([known])
    store.command("OPTIMIZE TABLE judgement_rows FINAL")
    until_done(judge(store, project_id, llm))
    assert (len(llm.asked), len(found(store, project_id))) == (5, 2)


def test_tasks_of_long_ago_are_asked_about_when_a_backfill_is_and_after_those_of_now(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    [refund] = define(registry, project_id, "refund")
    log(store, project_id, {"old": "a refund", "older": "refund"}, created_at="2026-01-01T10:00:00.000Z")
    until_done(judge(store, project_id, llm))
    assert llm.asked == [], "what was imported is not what people look at now"

    is_judged = judged_definitions(JudgeSettings(llm=LlmSettings(llm.base_url, "model-1")))
    cache = DefinitionCache(DefinitionRepository(store), refresh_interval_s=0.0)
    repository = BackfillRepository(store)
    backfills = BackfillJob(History(store), SessionFacts(store), repository, cache.current, is_judged=is_judged)
    repository.start(refund)
    until_done(backfills)
    assert [one.status for one in repository.of_project(project_id)] == ["asking"]
    log(store, project_id, {f"new{number}": f"hello {number}" for number in range(40)})

    until_done(judge(store, project_id, llm))

    said = [question_in(body)["interaction"]["user"] for body in llm.asked]
    assert set(said[-2:]) == {"a refund", "refund"}
    assert found(store, project_id) == {("old", "refund"): "llm", ("older", "refund"): "llm"}
    assert [one.status for one in repository.of_project(project_id)] == ["done"]


def test_a_backfill_waits_for_the_budget_and_ends_where_nobody_is_asked_any_more(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    [refund] = define(registry, project_id, "refund")
    log(store, project_id, {"old": "a refund"}, created_at="2026-01-01T10:00:00.000Z")
    set_budget(registry, project_id, llm_daily_tokens=10)
    is_judged = judged_definitions(JudgeSettings(llm=LlmSettings(llm.base_url, "model-1")))
    cache = DefinitionCache(DefinitionRepository(store), refresh_interval_s=0.0)
    repository = BackfillRepository(store)
    backfills = BackfillJob(History(store), SessionFacts(store), repository, cache.current, is_judged=is_judged)
    repository.start(refund)
    until_done(backfills)
    until_done(judge(store, project_id, llm))
    assert [one.status for one in repository.of_project(project_id)] == ["asking"]

    set_budget(registry, project_id, llm_daily_tokens=0)
    until_done(backfills)

    [ended] = repository.of_project(project_id)
    assert (ended.status, ended.detail) == ("done", "nobody is asked about what is in doubt")


def calls(store: Store, project_id: str) -> list[dict[str, Any]]:
    return store.rows(f"SELECT * FROM llm_call_rows FINAL WHERE project_id = '{project_id}' ORDER BY call_id")


def set_budget(registry: Registry, project_id: str, **settings: Any) -> None:
    registry.save_project(project_id, settings=ProjectSettings(**settings))


@pytest.mark.parametrize("settings", [{"llm_daily_tokens": 20_000}, {"llm_daily_usd": 0.02}])
def test_the_budget_of_a_day_is_never_passed(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone, settings: dict[str, Any]
) -> None:
    set_budget(registry, project_id, **settings)
    define(registry, project_id, "refund")
    log(store, project_id, {f"t{number}": f"text {number}" for number in range(80)})

    for _ in range(3):  # each as after a restart
        until_done(judge(store, project_id, llm))

    rows = calls(store, project_id)
    tokens = sum(row["tokens_in"] + row["tokens_out"] for row in rows)
    assert tokens == llm.tokens
    assert 0 < len(llm.asked) < 80
    assert tokens <= settings.get("llm_daily_tokens", tokens)
    assert sum(row["usd"] for row in rows) <= settings.get("llm_daily_usd", 1)
    assert {row["outcome"] for row in rows} == {"answered"}
    [usage] = JudgementRepository(store).usage(project_id, days=1)
    assert (usage["calls"], usage["tokens_in"] + usage["tokens_out"]) == (len(llm.asked), llm.tokens)


def test_a_server_that_works_and_never_answers_does_not_pass_the_budget(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    set_budget(registry, project_id, llm_daily_tokens=20_000)
    define(registry, project_id, "refund")
    log(store, project_id, {f"t{number}": f"text {number}" for number in range(10)})
    llm.faults = [status(500)] * 1_000
    for _ in range(6):
        until_done(judge(store, project_id, llm, CircuitBreaker(max_failures=1_000)))

    [usage] = JudgementRepository(store).usage(project_id, days=1)
    used = usage["tokens_in"] + usage["tokens_out"]
    one = used / len(llm.asked)
    assert 20_000 - one < used <= 20_000, "each attempt counts, and no more are made than there is room for"


def test_the_next_day_has_a_budget_of_its_own(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    set_budget(registry, project_id, llm_daily_tokens=2_500)
    define(registry, project_id, "refund")
    log(store, project_id, {f"t{number}": f"text {number}" for number in range(40)})
    today = datetime(2026, 1, 1, 23, 59, tzinfo=UTC)
    for _ in range(8):
        until_done(judge(store, project_id, llm, now=lambda: today))
    of_today = len(llm.asked)
    until_done(judge(store, project_id, llm, now=lambda: today))
    assert len(llm.asked) == of_today

    until_done(judge(store, project_id, llm, now=lambda: datetime(2026, 1, 2, 0, 1, tzinfo=UTC)))

    assert len(llm.asked) > of_today > 0


def test_a_call_that_a_process_died_in_has_spent_what_it_reserved(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    set_budget(registry, project_id, llm_daily_tokens=2_500)
    define(registry, project_id, "refund")
    log(store, project_id, {"t1": "a refund"})
    dying = judge(store, project_id, llm)
    dying._chat.ask = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        dying.step()
    assert [row["outcome"] for row in calls(store, project_id)] == ["reserved"]

    until_done(judge(store, project_id, llm))

    assert llm.asked == [], "there is room for one call, and it may have been made"


def test_without_a_budget_nobody_is_asked(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    set_budget(registry, project_id, llm_daily_tokens=0)
    define(registry, project_id, "refund")
    log(store, project_id, {"t1": "a refund"})
    assert until_done(judge(store, project_id, llm)) == 0
    assert llm.asked == []


def test_what_was_not_answered_is_asked_when_the_server_is_back(
    store: Store,
    registry: Registry,
    project_id: str,
    llm: LlmServer,
    until_done: UntilDone,
    caplog: pytest.LogCaptureFixture,
) -> None:
    define(registry, project_id, "refund")
    log(store, project_id, {f"t{number}": f"refund {number}" for number in range(10)})
    llm.faults = [status(503)] * 1_000
    now_s = 0.0
    job = judge(store, project_id, llm, CircuitBreaker(max_failures=2, first_pause_s=5, clock=lambda: now_s))
    until_done(job)
    assert job._chat.circuit.is_open
    last = JudgementRepository(store).last_call()
    assert last is not None
    assert (last["reason"], bool(last["left_alone_until"])) == ("HTTP 503", True)
    asked = len(llm.asked)
    until_done(job)
    assert len(llm.asked) == asked, "it is left alone"
    assert found(store, project_id) == {}

    llm.faults, now_s = [], 6.0
    until_done(job)

    assert len(found(store, project_id)) == 10
    told = [line for line in caplog.messages if "127.0.0.1" in line]
    assert [line.partition(" at 127.0.0.1 ")[2] for line in told] == [
        "does not answer (HTTP 503): it is left alone for 5 s, and asked again then; see `phospho llm usage`",
        "answers again",
    ]
    assert sum(row["tokens_in"] + row["tokens_out"] for row in calls(store, project_id)) == llm.tokens


def test_the_llm_engine_reads_its_share_of_the_tasks_and_always_the_same(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    set_budget(registry, project_id, llm_sample=0.25)
    define(registry, project_id, "refund")
    inputs = {f"t{number}": f"refund {number}" for number in range(200)}
    log(store, project_id, inputs)
    until_done(judge(store, project_id, llm))
    sampled = found(store, project_id)
    assert 25 < len(sampled) < 75

    log(store, project_id, inputs, revision=2)
    until_done(judge(store, project_id, llm))
    assert found(store, project_id) == sampled


@pytest.mark.parametrize("opinion", ["none", "encoder"])
def test_a_definition_says_who_is_asked(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone, opinion: str
) -> None:
    define(registry, project_id, "refund", engine="semantic", judge=opinion)
    insert(store, "task_rows", task(project_id, "t1"))
    insert(store, "analysis_rows", analysis(project_id, "t1", candidates=[unsure("refund")]))
    until_done(judge(store, project_id, llm, has_encoder=True))
    assert llm.asked == []


def test_a_keyword_is_checked_where_its_definition_asks_for_it(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "refund", engine="keyword", keywords=["money"], judge="llm")
    log(store, project_id, {"t1": "money back: a refund", "t2": "I have no money", "t3": "hello"})
    assert set(found(store, project_id)) == {("t1", "refund"), ("t2", "refund")}
    until_done(judge(store, project_id, llm))
    assert found(store, project_id) == {("t1", "refund"): "llm"}
    assert len(llm.asked) == 2


@pytest.mark.parametrize("name", ["it's", '"', "\\", "a\tb", "{x}", "字\u202e", "%s", "n" * 128, "x'), ('y"])
def test_any_name_can_be_judged(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone, name: str
) -> None:
    llm.rule = lambda event, _: {"answer": "yes"}
    define(registry, project_id, name)
    log(store, project_id, {"t1": "hello"})
    until_done(judge(store, project_id, llm))
    assert found(store, project_id) == {("t1", name): "llm"}


def test_two_thousand_definitions_ask_about_a_bounded_number_of_them(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    many = [definition(f"event {n}", "llm", description="It happens", project_id=project_id) for n in range(2_000)]
    store.insert("definition_rows", b"\n".join(one.model_dump_json().encode() for one in many))
    registry.save_definition(many[0])
    log(store, project_id, {"t1": "hello", "t2": "good bye"})
    until_done(judge(store, project_id, llm))
    assert len(llm.asked) == 2 * 4, "64 a task, 20 a call"
