"""The workers' code that the API and the pages call: previews, estimates, label queues, webhooks."""

from __future__ import annotations

from functools import partial

from phospho_dashboard.job_tools import Tools
from phospho_schemas.ids import HybridClock
from phospho_store.jobs.backfills import BackfillBook
from phospho_store.jobs.session_closes import SessionClosings
from phospho_store.jobs.webhooks import WebhookBook, shown_secret
from phospho_store.registry.instructions import InstructionBook
from phospho_store.store import Store
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


def build_tools(store: Store, clock: HybridClock, settings: JobSettings) -> Tools:
    """Return the tools of the API and the pages over one store."""
    instructions = InstructionBook(store, clock)
    cache, history = DefinitionCache(instructions, refresh_interval_s=0.0), History(store)
    classifiers = TrialClassifiers(LabelledTasks(store), ClassifierTrainer())
    trials = Trials(history, SessionFacts(store), cache.current, classifiers, settings.judging)
    outbound = Outbound(settings.allowed_networks)
    return Tools(
        estimate=trials.estimate,
        diff=trials.diff,
        label_queue=LabelQueue(history, cache.current).tasks,
        classifiers=instructions,
        backfills=BackfillBook(store, clock),
        closings=SessionClosings(store, clock),
        webhooks=WebhookBook(store, clock) if settings.secret_key else None,
        secret_of=partial(shown_secret, settings.secret_key),
        url_refusal=lambda url: url_refusal(url) or host_refusal(url, settings.allowed_networks),
        ping=partial(send_test_message, outbound, settings.secret_key),
    )
