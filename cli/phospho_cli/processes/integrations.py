"""The workers' functions that the API and the pages call: previews, estimates, label queues, webhooks."""

from __future__ import annotations

from functools import partial

from phospho_dashboard.app import Integrations
from phospho_dashboard.definitions.checks import Detection
from phospho_dashboard.webhooks.webhooks import WebhookSending
from phospho_schemas.ids import HybridClock
from phospho_store.jobs.webhooks import WebhookRepository, shown_secret
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.store import Store
from phospho_workers.detection.definitions import check_definition
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.jobs.backfills.history import History
from phospho_workers.jobs.learning.examples import LabelledTasks
from phospho_workers.jobs.learning.trainer import ClassifierTrainer
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.jobs.settings import JobSettings
from phospho_workers.jobs.webhooks.addresses import host_refusal, url_refusal
from phospho_workers.jobs.webhooks.delivery import send_test_message
from phospho_workers.jobs.webhooks.outbound import Outbound
from phospho_workers.trials.backfill_estimate import BackfillEstimate
from phospho_workers.trials.definition_run import LabelQueue, preview_events
from phospho_workers.trials.version_diff import TrialClassifiers, VersionDiff


def build_integrations(store: Store, clock: HybridClock, settings: JobSettings) -> Integrations:
    """Return the functions over one store."""
    instructions = DefinitionRepository(store, clock)
    cache, history = DefinitionCache(instructions, refresh_interval_s=0.0), History(store)
    facts = SessionFacts(store)
    classifiers = TrialClassifiers(LabelledTasks(store), ClassifierTrainer())
    outbound = Outbound(settings.allowed_networks)
    detection = Detection(
        check=check_definition,
        estimate=BackfillEstimate(history, facts, cache.current, settings.judging).estimate,
        diff=VersionDiff(history, facts, cache.current, classifiers).diff,
        label_queue=LabelQueue(history, cache.current).tasks,
        preview=preview_events,
    )
    webhooks = WebhookSending(
        repository=WebhookRepository(store, clock) if settings.secret_key else None,
        secret_of=partial(shown_secret, settings.secret_key),
        url_refusal=lambda url: url_refusal(url) or host_refusal(url, settings.allowed_networks),
        send_test=partial(send_test_message, outbound, settings.secret_key),
    )
    return Integrations(detection, webhooks)
