"""The LLM judge asks about candidates, once about each text, inside the daily budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fixtures.labels import new_label
from fixtures.providers.llm_server import LlmServer, llm_server, question_in, raw, status
from phospho_schemas.messages import EventDefinition, ProjectSettings
from phospho_schemas.rows.jobs import JudgementRow
from phospho_store.annotations.judgements import JudgementRepository
from phospho_store.annotations.labels import LabelRepository
from phospho_store.jobs.backfills import BackfillRepository
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_workers.detection.definitions import Snapshot
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.jobs.backfills.backfill_job import BackfillJob
from phospho_workers.jobs.backfills.history import History
from phospho_workers.jobs.judges.llm_job import LlmJudgeJob
from phospho_workers.jobs.judges.open_candidates import JudgeRepositories
from phospho_workers.jobs.registry import judged_definitions
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.judging import llm_client as chat
from phospho_workers.judging.llm_client import CircuitBreaker, LlmClient
from phospho_workers.judging.settings import JudgeSettings, LlmSettings
from store.facts import analysis, event, insert, task, view
from workers.detection.tasks import definition
from workers.jobs.judgement_fixtures import analyse_again, found, log

UntilDone = Callable[..., int]


pytestmark = pytest.mark.usefixtures("logged_now")


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[LlmServer]:
    """An LLM that says yes where the text contains the name of the event."""
    monkeypatch.setattr(chat, "_FIRST_BACKOFF_S", 0.001)
    with llm_server(lambda event, said: {"answer": "yes" if event["name"] in str(said) else "no"}) as server:
        yield server


def llm_judge(
    store: Store, project_id: str, llm: LlmServer, circuit: CircuitBreaker | None = None, **fields: Any
) -> LlmJudgeJob:
    """Return the judge of one project: candidates of other tests' projects are left alone."""
    settings = LlmSettings(llm.base_url, "model-1", usd_per_million_in=1.0, usd_per_million_out=2.0)
    cache = DefinitionCache(DefinitionRepository(store), refresh_interval_s=0.0)

    def of_project() -> Snapshot:
        snapshot = cache.current()
        return Snapshot(snapshot.revision, {project_id: snapshot.by_project[project_id]})

    client = LlmClient(settings, circuit)
    return LlmJudgeJob(JudgeRepositories.of(store), of_project, settings, client=client, **fields)


def define(registry: Registry, project_id: str, *names: str, **fields: Any) -> list[EventDefinition]:
    defaults = {"project_id": project_id, "engine": "llm", "description": "It happens", "scope": "input"}
    return [registry.save_definition(definition(name, **(defaults | fields))) for name in names]


def unsure(name: str, doubt: float = 0.5, content: str = "c1", **fields: Any) -> dict[str, Any]:
    defaults = {"id": f"id-{name}", "name": name, "definition_version": 1, "engine": "semantic", "scope": "input"}
    return defaults | {"score": 0.4, "doubt": doubt, "content": content} | fields


def test_llm_judge_finds_events_of_the_llm_engine(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "refund", "greeting")
    log(store, project_id, {"t1": "a refund please", "t2": "hello", "t3": "greeting and refund"})
    assert found(store, project_id) == {}

    until_done(llm_judge(store, project_id, llm))

    assert found(store, project_id) == {("t1", "refund"): "llm", ("t3", "refund"): "llm", ("t3", "greeting"): "llm"}
    assert len(llm.asked) == 3, "definitions of one task share a call"
    [row] = [row for row in view(store, "events", project_id) if row["task_id"] == "t1"]
    assert (row["engine"], row["scope"], row["score"], row["session_id"]) == ("llm", "input", 1.0, "session")


def test_llm_judge_asks_about_a_text_once(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "refund")
    log(store, project_id, {"t1": "a refund", "t2": "a refund"})
    job = llm_judge(store, project_id, llm)
    until_done(job)
    assert len(llm.asked) == 1

    log(store, project_id, {"t3": "a refund"})
    until_done(job)
    until_done(llm_judge(store, project_id, llm))

    assert len(llm.asked) == 1
    assert found(store, project_id) == {(name, "refund"): "llm" for name in ("t1", "t2", "t3")}


def test_llm_judge_changes_nothing_after_a_replay(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "refund")
    log(store, project_id, {"t1": "a refund", "t2": "hello"})
    until_done(llm_judge(store, project_id, llm))
    before = view(store, "events", project_id)

    log(store, project_id, {"t1": "a refund", "t2": "hello"}, revision=2)
    until_done(llm_judge(store, project_id, llm))

    assert view(store, "events", project_id) == before
    assert len(llm.asked) == 2


def test_judgement_holds_for_its_text_and_definition_version(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "refund")
    log(store, project_id, {"t1": "a refund"})
    until_done(llm_judge(store, project_id, llm))

    log(store, project_id, {"t1": "never mind"}, revision=2)
    assert found(store, project_id) == {}
    log(store, project_id, {"t1": "a refund"}, revision=3)
    assert found(store, project_id) == {("t1", "refund"): "llm"}

    define(registry, project_id, "refund", description="Something else happens")
    analyse_again(store, task(project_id, "t1", 3, input="a refund"))
    assert found(store, project_id) == {}
    until_done(llm_judge(store, project_id, llm))
    assert found(store, project_id) == {("t1", "refund"): "llm"}
    assert len(llm.asked) == 2


def test_llm_judge_reads_the_present_text_of_a_waiting_task(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "refund")
    log(store, project_id, {f"t{number}": f"calm {number}" for number in range(40)})
    job = llm_judge(store, project_id, llm)
    job.step()
    asked = {question_in(body)["interaction"]["user"] for body in llm.asked}
    waiting = next(number for number in range(40) if f"calm {number}" not in asked)

    log(store, project_id, {f"t{waiting}": "a refund", "other": f"calm {waiting}"}, revision=2)
    until_done(job)
    until_done(llm_judge(store, project_id, llm))

    assert found(store, project_id) == {(f"t{waiting}", "refund"): "llm"}, "nobody said yes to what the other says"


def test_llm_judge_removes_denied_events_and_signs_affirmed_ones(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "refund", "thanks", "angry", engine="semantic")
    insert(store, "task_rows", task(project_id, "t1", input="refund"))
    events = [event("e1", "refund"), event("e2", "thanks"), event("e3", "certain")]
    candidates = [unsure("refund"), unsure("thanks"), unsure("angry")]
    insert(store, "analysis_rows", analysis(project_id, "t1", events=events, candidates=candidates))

    until_done(llm_judge(store, project_id, llm))

    assert found(store, project_id) == {("t1", "refund"): "llm", ("t1", "certain"): "keyword"}
    [affirmed] = [row for row in view(store, "events", project_id) if row["name"] == "refund"]
    assert (affirmed["evidence"], affirmed["score"], affirmed["id"]) == ("refund", 0.5, "e1")
    [session] = view(store, "sessions", project_id)
    assert session["event_names"] == ["certain", "refund"]


def test_llm_judge_asks_about_other_definitions_in_the_same_call(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "refund", "thanks", engine="semantic")
    define(registry, project_id, "reply", engine="semantic", scope="output")
    insert(store, "task_rows", task(project_id, "t1", input="thanks"))
    insert(store, "analysis_rows", analysis(project_id, "t1", candidates=[unsure("refund")]))
    until_done(llm_judge(store, project_id, llm))
    assert judgements(store, project_id) == {("refund", "no"), ("thanks", "yes")}
    assert found(store, project_id) == {}, "detection does not doubt that there are no thanks"

    define(registry, project_id, "complaint", engine="semantic")
    insert(store, "analysis_rows", analysis(project_id, "t1", 2, candidates=[unsure("thanks"), unsure("complaint")]))
    insert(store, "task_rows", task(project_id, "t1", 2, input="thanks"))
    until_done(llm_judge(store, project_id, llm))

    assert names_asked(llm) == [["refund", "thanks"], ["complaint"]]
    assert found(store, project_id) == {("t1", "thanks"): "llm"}


def test_llm_judge_asks_again_about_a_new_definition_version(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "refund", "thanks", engine="semantic")
    insert(store, "task_rows", task(project_id, "t1"))
    insert(store, "analysis_rows", analysis(project_id, "t1", candidates=[unsure("refund")]))
    until_done(llm_judge(store, project_id, llm))

    define(registry, project_id, "thanks", engine="semantic", description="Something else happens")
    define(registry, project_id, "complaint", engine="semantic")
    insert(store, "task_rows", task(project_id, "t1", 2))
    insert(store, "analysis_rows", analysis(project_id, "t1", 2, candidates=[unsure("complaint")]))
    until_done(llm_judge(store, project_id, llm))

    assert names_asked(llm) == [["refund", "thanks"], ["complaint", "thanks"]]


def names_asked(llm: LlmServer) -> list[list[str]]:
    return [sorted(event["name"] for event in question_in(body)["events"].values()) for body in llm.asked]


def judgements(store: Store, project_id: str) -> set[tuple[str, str]]:
    rows = store.rows(f"SELECT name, answer FROM judgement_rows FINAL WHERE project_id = '{project_id}'")
    return {(row["name"], row["answer"]) for row in rows}


def test_label_comes_before_a_judgement_of_the_llm(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "refund", "thanks")
    log(store, project_id, {"t1": "a refund"})
    until_done(llm_judge(store, project_id, llm))
    LabelRepository(store).save_labels(
        [new_label(project_id, "refund", "t1", "rejected"), new_label(project_id, "thanks", "t1", "confirmed")]
    )
    assert found(store, project_id) == {("t1", "thanks"): "person"}
    LabelRepository(store).save_labels([new_label(project_id, "refund", "t1", "confirmed")])
    assert found(store, project_id) == {("t1", "thanks"): "person", ("t1", "refund"): "llm"}


def test_llm_judge_gives_an_event_its_value_and_category(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "mood", score_range={"type": "range", "min": 1, "max": 5})
    define(registry, project_id, "topic", score_range={"type": "category", "categories": ["bill", "other"]})
    given = {"mood": {"answer": "yes", "value": 2.5}, "topic": {"answer": "yes", "category": "bill"}}
    llm.rule = lambda event, _: given[event["name"]]
    log(store, project_id, {"t1": "my bill is wrong"})

    until_done(llm_judge(store, project_id, llm))

    shown = {row["name"]: (row["value"], row["category"]) for row in view(store, "events", project_id)}
    assert shown == {"mood": (2.5, ""), "topic": (None, "bill")}


def test_llm_judge_keeps_events_after_an_unreadable_answer(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "refund", engine="semantic")
    insert(store, "task_rows", task(project_id, "t1"))
    row = analysis(project_id, "t1", events=[event("e1", "refund")], candidates=[unsure("refund")])
    insert(store, "analysis_rows", row)
    llm.faults = [raw(b"garbage")]

    until_done(llm_judge(store, project_id, llm))
    until_done(llm_judge(store, project_id, llm))

    assert len(llm.asked) == 1
    assert found(store, project_id) == {("t1", "refund"): "keyword"}


def test_llm_judge_retries_an_unreadable_answer_later_or_by_backfill(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    [refund] = define(registry, project_id, "refund")
    log(store, project_id, {"t1": "a refund", "t2": "refund me"})
    llm.faults = [raw(b"garbage"), raw(b"garbage")]
    until_done(llm_judge(store, project_id, llm, now=lambda: datetime.now(UTC) - timedelta(hours=1)))
    until_done(llm_judge(store, project_id, llm))
    assert (len(llm.asked), found(store, project_id)) == (2, {})

    BackfillRepository(store).start(refund)
    BackfillRepository(store).save(
        BackfillRepository(store).of_project(project_id)[0].model_copy(update={"status": "judging"})
    )
    llm.faults = [raw(b"garbage")]
    until_done(llm_judge(store, project_id, llm))
    assert (len(llm.asked), len(found(store, project_id))) == (4, 1), "each once, whatever comes of it"
    assert [backfill.status for backfill in BackfillRepository(store).of_project(project_id)] == ["done"]

    [row] = store.rows(f"SELECT * FROM judgement_rows FINAL WHERE project_id = '{project_id}' AND answer = ''")
    long_ago = datetime.now(UTC) - timedelta(hours=7)
    unreadable = JudgementRow(
        **{name: row[name] for name in ("project_id", "name", "definition_version", "content")},
        answer="",
        judge="llm",
        task_id=row["task_id"],
        created_at=long_ago,
    )
    JudgementRepository(store).save_judgements([unreadable])
    store.command("OPTIMIZE TABLE judgement_rows FINAL")
    until_done(llm_judge(store, project_id, llm))
    assert (len(llm.asked), len(found(store, project_id))) == (5, 2)


def test_llm_judge_asks_about_old_tasks_by_backfill_after_new_ones(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    [refund] = define(registry, project_id, "refund")
    log(store, project_id, {"old": "a refund", "older": "refund"}, created_at="2026-01-01T10:00:00.000Z")
    until_done(llm_judge(store, project_id, llm))
    assert llm.asked == [], "what was imported is not what people look at now"

    is_judged = judged_definitions(JudgeSettings(llm=LlmSettings(llm.base_url, "model-1")))
    cache = DefinitionCache(DefinitionRepository(store), refresh_interval_s=0.0)
    repository = BackfillRepository(store)
    backfills = BackfillJob(History(store), SessionFacts(store), repository, cache.current, is_judged=is_judged)
    repository.start(refund)
    until_done(backfills)
    assert [backfill.status for backfill in repository.of_project(project_id)] == ["judging"]
    log(store, project_id, {f"new{number}": f"hello {number}" for number in range(40)})

    until_done(llm_judge(store, project_id, llm))

    texts = [question_in(body)["interaction"]["user"] for body in llm.asked]
    assert set(texts[-2:]) == {"a refund", "refund"}
    assert found(store, project_id) == {("old", "refund"): "llm", ("older", "refund"): "llm"}
    assert [backfill.status for backfill in repository.of_project(project_id)] == ["done"]


def test_backfill_waits_for_the_llm_budget_and_ends_without_a_judge(
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
    until_done(llm_judge(store, project_id, llm))
    assert [backfill.status for backfill in repository.of_project(project_id)] == ["judging"]

    set_budget(registry, project_id, llm_daily_tokens=0)
    until_done(backfills)

    [ended] = repository.of_project(project_id)
    assert (ended.status, ended.detail) == ("done", "nobody is asked about what is in doubt")


def calls(store: Store, project_id: str) -> list[dict[str, Any]]:
    return store.rows(f"SELECT * FROM llm_call_rows FINAL WHERE project_id = '{project_id}' ORDER BY call_id")


def set_budget(registry: Registry, project_id: str, **settings: Any) -> None:
    registry.save_project(project_id, settings=ProjectSettings(**settings))


@pytest.mark.parametrize("settings", [{"llm_daily_tokens": 20_000}, {"llm_daily_usd": 0.02}])
def test_llm_judge_never_exceeds_the_daily_budget(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone, settings: dict[str, Any]
) -> None:
    set_budget(registry, project_id, **settings)
    define(registry, project_id, "refund")
    log(store, project_id, {f"t{number}": f"text {number}" for number in range(80)})

    for _ in range(3):  # each as after a restart
        until_done(llm_judge(store, project_id, llm))

    rows = calls(store, project_id)
    tokens = sum(row["tokens_in"] + row["tokens_out"] for row in rows)
    assert tokens == llm.tokens
    assert 0 < len(llm.asked) < 80
    assert tokens <= settings.get("llm_daily_tokens", tokens)
    assert sum(row["usd"] for row in rows) <= settings.get("llm_daily_usd", 1)
    assert {row["outcome"] for row in rows} == {"answered"}
    [usage] = JudgementRepository(store).usage(project_id, days=1)
    assert (usage["calls"], usage["tokens_in"] + usage["tokens_out"]) == (len(llm.asked), llm.tokens)


def test_llm_judge_counts_failed_attempts_in_the_budget(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    set_budget(registry, project_id, llm_daily_tokens=20_000)
    define(registry, project_id, "refund")
    log(store, project_id, {f"t{number}": f"text {number}" for number in range(10)})
    llm.faults = [status(500)] * 1_000
    for _ in range(6):
        until_done(llm_judge(store, project_id, llm, CircuitBreaker(max_failures=1_000)))

    [usage] = JudgementRepository(store).usage(project_id, days=1)
    used = usage["tokens_in"] + usage["tokens_out"]
    tokens_of_one = used / len(llm.asked)
    assert 20_000 - tokens_of_one < used <= 20_000, "each attempt counts, and no more are made than there is room for"


def test_llm_judge_has_a_new_budget_the_next_day(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    set_budget(registry, project_id, llm_daily_tokens=2_500)
    define(registry, project_id, "refund")
    log(store, project_id, {f"t{number}": f"text {number}" for number in range(40)})
    today = datetime(2026, 1, 1, 23, 59, tzinfo=UTC)
    for _ in range(8):
        until_done(llm_judge(store, project_id, llm, now=lambda: today))
    of_today = len(llm.asked)
    until_done(llm_judge(store, project_id, llm, now=lambda: today))
    assert len(llm.asked) == of_today

    until_done(llm_judge(store, project_id, llm, now=lambda: datetime(2026, 1, 2, 0, 1, tzinfo=UTC)))

    assert len(llm.asked) > of_today > 0


def test_llm_judge_spends_the_reserved_cost_of_a_call_it_died_in(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    set_budget(registry, project_id, llm_daily_tokens=2_500)
    define(registry, project_id, "refund")
    log(store, project_id, {"t1": "a refund"})
    dying = llm_judge(store, project_id, llm)
    dying._client.ask = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        dying.step()
    assert [row["outcome"] for row in calls(store, project_id)] == ["reserved"]

    until_done(llm_judge(store, project_id, llm))

    assert llm.asked == [], "there is room for one call, and it may have been made"


def test_llm_judge_asks_nothing_without_a_budget(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    set_budget(registry, project_id, llm_daily_tokens=0)
    define(registry, project_id, "refund")
    log(store, project_id, {"t1": "a refund"})
    assert until_done(llm_judge(store, project_id, llm)) == 0
    assert llm.asked == []


def test_llm_judge_asks_again_when_the_server_is_back(
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
    job = llm_judge(store, project_id, llm, CircuitBreaker(max_failures=2, first_pause_s=5, clock=lambda: now_s))
    until_done(job)
    assert job._client.circuit.is_open
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
    lines = [line for line in caplog.messages if "127.0.0.1" in line]
    assert [line.partition(" at 127.0.0.1 ")[2] for line in lines] == [
        "does not answer (HTTP 503): it is left alone for 5 s, and asked again then; see `phospho llm usage`",
        "answers again",
    ]
    assert sum(row["tokens_in"] + row["tokens_out"] for row in calls(store, project_id)) == llm.tokens


def test_llm_engine_samples_the_same_share_of_tasks(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    set_budget(registry, project_id, llm_sample=0.25)
    define(registry, project_id, "refund")
    inputs = {f"t{number}": f"refund {number}" for number in range(200)}
    log(store, project_id, inputs)
    until_done(llm_judge(store, project_id, llm))
    sampled = found(store, project_id)
    assert 25 < len(sampled) < 75

    log(store, project_id, inputs, revision=2)
    until_done(llm_judge(store, project_id, llm))
    assert found(store, project_id) == sampled


@pytest.mark.parametrize("opinion", ["none", "encoder"])
def test_llm_judge_leaves_definitions_of_other_judges_alone(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone, opinion: str
) -> None:
    define(registry, project_id, "refund", engine="semantic", judge=opinion)
    insert(store, "task_rows", task(project_id, "t1"))
    insert(store, "analysis_rows", analysis(project_id, "t1", candidates=[unsure("refund")]))
    until_done(llm_judge(store, project_id, llm, has_encoder=True))
    assert llm.asked == []


def test_llm_judge_checks_a_keyword_definition_that_asks_for_it(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    define(registry, project_id, "refund", engine="keyword", keywords=["money"], judge="llm")
    log(store, project_id, {"t1": "money back: a refund", "t2": "I have no money", "t3": "hello"})
    assert set(found(store, project_id)) == {("t1", "refund"), ("t2", "refund")}
    until_done(llm_judge(store, project_id, llm))
    assert found(store, project_id) == {("t1", "refund"): "llm"}
    assert len(llm.asked) == 2


def test_llm_judge_accepts_any_definition_name(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    names = ["it's", '"', "\\", "a\tb", "{x}", "字\u202e", "%s", "n" * 128, "x'), ('y"]
    llm.rule = lambda event, _: {"answer": "yes"}
    define(registry, project_id, *names)
    log(store, project_id, {"t1": "hello"})
    until_done(llm_judge(store, project_id, llm))
    assert found(store, project_id) == {("t1", name): "llm" for name in names}


def test_llm_judge_asks_about_a_bounded_number_of_definitions(
    store: Store, registry: Registry, project_id: str, llm: LlmServer, until_done: UntilDone
) -> None:
    many = [definition(f"event {n}", "llm", description="It happens", project_id=project_id) for n in range(2_000)]
    store.insert("definition_rows", b"\n".join(each.model_dump_json().encode() for each in many))
    registry.save_definition(many[0])
    log(store, project_id, {"t1": "hello", "t2": "good bye"})
    until_done(llm_judge(store, project_id, llm))
    assert len(llm.asked) == 2 * 4, "64 a task, 20 a call"
