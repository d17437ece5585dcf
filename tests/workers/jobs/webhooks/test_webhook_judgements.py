"""Webhooks wait for judgements, follow labels, and get the events that people add."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from fixtures.labels import new_label
from phospho_schemas.ids import event_id
from phospho_schemas.messages import ProjectSettings
from phospho_schemas.rows.jobs import JudgementRow
from phospho_schemas.rows.webhooks import Webhook
from phospho_store.annotations.judgements import JudgementRepository
from phospho_store.annotations.labels import LabelRepository
from phospho_store.jobs.webhooks import WebhookRepository
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_workers.detection.candidates import content_of
from phospho_workers.detection.detect import analyse
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.judging.settings import NO_JUDGES, JudgeSettings, LlmSettings
from store.facts import event, insert, task
from workers.detection.tasks import semantic
from workers.jobs.receiver import Receiver, receiving
from workers.jobs.webhook_fixtures import SteppedWebhookJob, analysed, counts, received_events

ASKED = JudgeSettings(llm=LlmSettings("http://127.0.0.1:9", "model"))
NOW = datetime.now(UTC)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def hook(store: Store, registry: Registry, project_id: str, receiver: Receiver) -> Iterator[Webhook]:
    registry.save_definition(semantic("refund", "The user wants money back", project_id=project_id))
    repository = WebhookRepository(store)
    webhook = repository.add(project_id, receiver.url)
    yield webhook
    repository.remove(project_id, webhook.webhook_id)


def find(store: Store, project_id: str, task_id: str, *, is_found: bool = True, **fields: Any) -> None:
    """Store a task with an uncertain refund event, or a near miss, which a judge is asked about."""
    identity = event_id(project_id, task_id, "refund")
    candidate = {"id": identity, "name": "refund", "definition_version": 1, "engine": "semantic"}
    candidate |= {"scope": "input", "score": 0.5, "doubt": 0.9, "content": f"says-{task_id}"}
    events = [event(identity, "refund")] if is_found else []
    insert(store, "task_rows", task(project_id, task_id))
    insert(store, "analysis_rows", analysed(project_id, task_id, candidates=[candidate], **fields) | {"events": events})


def judge(store: Store, project_id: str, task_id: str, answer: str) -> None:
    row = {"project_id": project_id, "name": "refund", "definition_version": 1, "content": f"says-{task_id}"}
    row |= {"answer": answer, "score": 0.9, "judge": "llm", "model": "model", "task_id": task_id, "created_at": NOW}
    JudgementRepository(store).save_judgements([JudgementRow.model_validate(row)])


def test_webhook_gets_an_uncertain_event_once_a_judge_confirms_it(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook
) -> None:
    job = SteppedWebhookJob(store, ASKED)
    for task_id in ("sure", "yes", "no", "silent"):
        find(store, project_id, task_id)
    insert(store, "analysis_rows", analysed(project_id, "sure", ["refund"]))
    job.step_until(lambda: counts(store, project_id, hook) == (1, 0, 0))
    assert received_events(receiver) == [("event.detected", "sure", "refund")]

    judge(store, project_id, "yes", "yes")
    judge(store, project_id, "no", "no")
    judge(store, project_id, "silent", "")
    job.read_events_now()
    job.step_until(lambda: counts(store, project_id, hook) == (3, 0, 0))
    assert [task_id for _, task_id, _ in received_events(receiver)] == ["silent", "sure", "yes"]
    [affirmed] = [request for request in receiver.received if json.loads(request.body)["data"]["task_id"] == "yes"]
    assert json.loads(affirmed.body)["data"]["judge"] == "llm"


def test_webhook_fires_when_judge_confirms_near_miss_and_its_repeats(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook
) -> None:
    job = SteppedWebhookJob(store, ASKED)
    find(store, project_id, "one", is_found=False)
    job.settle()
    assert receiver.received == []
    judge(store, project_id, "one", "yes")
    find(store, project_id, "two", is_found=False)
    judge(store, project_id, "two", "no")
    job.read_events_now()
    job.step_until(lambda: counts(store, project_id, hook) == (1, 0, 0))
    assert received_events(receiver) == [("event.detected", "one", "refund")]

    candidate = {"id": "same-refund", "name": "refund", "definition_version": 1, "engine": "semantic"}
    candidate |= {"scope": "input", "score": 0.5, "doubt": 0.9, "content": "says-one"}
    insert(store, "analysis_rows", analysed(project_id, "same", candidates=[candidate]))
    job.step_until(lambda: counts(store, project_id, hook) == (2, 0, 0))
    job.settle()
    assert [task_id for _, task_id, _ in received_events(receiver)] == ["one", "same"]


def test_webhook_gets_an_event_of_the_llm_engine_once_confirmed(
    store: Store, registry: Registry, project_id: str, receiver: Receiver, hook: Webhook
) -> None:
    angry = semantic("angry", "The user is angry", project_id=project_id, scope="input")
    registry.save_definition(angry.model_copy(update={"engine": "llm"}))
    row = task(project_id, "one", analysed(project_id, "one")["revision"], input="this is a disgrace")
    insert(store, "task_rows", row)
    insert(
        store, "analysis_rows", *analyse([row], DefinitionCache(DefinitionRepository(store), 0.0).current().by_project)
    )
    job = SteppedWebhookJob(store, ASKED)
    job.settle()
    assert receiver.received == []
    fields = {
        "project_id": project_id,
        "name": "angry",
        "definition_version": 1,
        "content": content_of(row, "input"),
    }
    fields |= {"answer": "yes", "score": 0.9, "judge": "llm", "model": "model", "task_id": "one", "created_at": NOW}
    JudgementRepository(store).save_judgements([JudgementRow.model_validate(fields)])
    job.read_events_now()
    job.step_until(lambda: counts(store, project_id, hook) == (1, 0, 0))
    assert received_events(receiver) == [("event.detected", "one", "angry")]


def test_webhook_gets_a_held_event_after_the_hold_time(
    store: Store, registry: Registry, project_id: str, receiver: Receiver, hook: Webhook
) -> None:
    registry.save_project(project_id, settings=ProjectSettings(webhook_wait_s=1))
    job = SteppedWebhookJob(store, ASKED)
    find(store, project_id, "one")
    begun_s = time.monotonic()
    job.step_until(lambda: counts(store, project_id, hook) == (1, 0, 0))
    assert time.monotonic() - begun_s >= 0.9
    assert received_events(receiver) == [("event.detected", "one", "refund")]

    # By the next process, and by a judgement that comes too late, nothing is told again.
    judge(store, project_id, "one", "yes")
    again = SteppedWebhookJob(store, ASKED)
    again.settle()
    again.settle()
    assert len(receiver.received) == 1


@pytest.mark.parametrize(("judging", "wait_s"), [(NO_JUDGES, 60), (ASKED, 0)])
def test_webhook_gets_an_uncertain_event_at_once_without_a_hold(
    store: Store,
    registry: Registry,
    project_id: str,
    receiver: Receiver,
    hook: Webhook,
    judging: JudgeSettings,
    wait_s: int,
) -> None:
    registry.save_project(project_id, settings=ProjectSettings(webhook_wait_s=wait_s))
    find(store, project_id, "one")
    SteppedWebhookJob(store, judging).step_until(lambda: counts(store, project_id, hook) == (1, 0, 0))


def test_webhook_gets_an_added_event_and_no_confirmation(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook
) -> None:
    job = SteppedWebhookJob(store)
    insert(store, "task_rows", task(project_id, "plain"))
    insert(store, "analysis_rows", analysed(project_id, "plain"))
    find(store, project_id, "found")
    labels = [new_label(project_id, "refund", name, "confirmed") for name in ("plain", "found", "gone")]
    labels.append(new_label(project_id, "thanks", "plain", "rejected"))
    LabelRepository(store).save_labels(labels)
    job.step_until(lambda: counts(store, project_id, hook) == (2, 0, 0))
    job.settle()
    assert received_events(receiver) == [("event.added", "plain", "refund"), ("event.detected", "found", "refund")]
    [added] = [json.loads(request.body)["data"] for request in receiver.received if b"event.added" in request.body]
    assert (added["engine"], added["session_id"], added["score"]) == ("person", "session", 1.0)

    # Said again, and by a process that starts anew.
    LabelRepository(store).save_labels(labels)
    again = SteppedWebhookJob(store)
    again.settle()
    again.settle()
    assert len(receiver.received) == 2


def test_webhook_follows_labels_before_judgements(
    store: Store, project_id: str, receiver: Receiver, hook: Webhook
) -> None:
    job = SteppedWebhookJob(store, ASKED)
    for task_id in ("confirmed", "rejected", "denied"):
        find(store, project_id, task_id)
    find(store, project_id, "affirmed", is_found=False)
    judge(store, project_id, "denied", "no")
    labels = {"confirmed": "confirmed", "rejected": "rejected", "denied": "confirmed", "affirmed": "rejected"}
    LabelRepository(store).save_labels([new_label(project_id, "refund", *label) for label in labels.items()])
    judge(store, project_id, "affirmed", "yes")
    judge(store, project_id, "rejected", "yes")

    job.step_until(lambda: counts(store, project_id, hook) == (2, 0, 0))
    job.settle()
    assert [(kind, task_id) for kind, task_id, _ in received_events(receiver)] == [
        ("event.detected", "confirmed"),
        ("event.detected", "denied"),
    ]
