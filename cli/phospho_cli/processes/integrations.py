"""The workers' functions that the API and the pages call: previews, estimates, label queues, webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from phospho_dashboard.app import Integrations
from phospho_dashboard.definitions.detection import Detection
from phospho_dashboard.webhooks.sending import WebhookSending
from phospho_schemas.ids import HybridClock
from phospho_schemas.messages import EventDefinition
from phospho_store.jobs.webhooks import WebhookBook, shown_secret
from phospho_store.registry.instructions import InstructionBook
from phospho_store.store import Store
from phospho_workers.detection.definitions import check_definition, compile_definitions
from phospho_workers.detection.detect import Task, analyse
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.jobs.backfills.history import History
from phospho_workers.jobs.learning.examples import LabelledTasks
from phospho_workers.jobs.learning.trainer import ClassifierTrainer
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.jobs.settings import JobSettings
from phospho_workers.jobs.webhooks.addresses import host_refusal, url_refusal
from phospho_workers.jobs.webhooks.delivery import send_test_message
from phospho_workers.jobs.webhooks.outbound import Outbound
from phospho_workers.trials.label_queue import LabelQueue
from phospho_workers.trials.trial_classifiers import TrialClassifiers
from phospho_workers.trials.trials import Trials


def build_integrations(store: Store, clock: HybridClock, settings: JobSettings) -> Integrations:
    """Return the functions over one store."""
    instructions = InstructionBook(store, clock)
    cache, history = DefinitionCache(instructions, refresh_interval_s=0.0), History(store)
    classifiers = TrialClassifiers(LabelledTasks(store), ClassifierTrainer())
    trials = Trials(history, SessionFacts(store), cache.current, classifiers, settings.judging)
    outbound = Outbound(settings.allowed_networks)
    detection = Detection(
        check=check_definition,
        estimate=trials.estimate,
        diff=trials.diff,
        label_queue=LabelQueue(history, cache.current).tasks,
        preview=preview,
    )
    webhooks = WebhookSending(
        book=WebhookBook(store, clock) if settings.secret_key else None,
        secret_of=partial(shown_secret, settings.secret_key),
        url_refusal=lambda url: url_refusal(url) or host_refusal(url, settings.allowed_networks),
        send_test=partial(send_test_message, outbound, settings.secret_key),
    )
    return Integrations(detection, webhooks)


def preview(definition: EventDefinition, tasks: Sequence[Task]) -> list[dict[str, Any] | None]:
    """Return the event that a definition finds in each task, or None, and store nothing."""
    compiled = compile_definitions([definition])
    rows = analyse(tasks, {definition.project_id: compiled})
    return [next(iter(row["events"]), None) for row in rows]
