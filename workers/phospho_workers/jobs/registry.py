"""Which jobs there are, wired to a store, and their threads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from phospho_schemas.definitions import needs_session
from phospho_schemas.ids import HybridClock
from phospho_schemas.messages import EventDefinition, ProjectSettings
from phospho_store.jobs.backfills import BackfillRepository
from phospho_store.jobs.webhooks import WebhookRepository
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.store import Store
from phospho_workers.detection.definitions import list_definitions
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.jobs.backfills.backfill_job import BackfillJob, IsJudged
from phospho_workers.jobs.backfills.history import History
from phospho_workers.jobs.learning.examples import LabelledTasks
from phospho_workers.jobs.learning.trainer import ClassifierTrainer
from phospho_workers.jobs.learning.training_job import TrainingJob
from phospho_workers.jobs.loop.job import Job
from phospho_workers.jobs.loop.job_thread import JobThread
from phospho_workers.jobs.loop.table_changes import TableChanges
from phospho_workers.jobs.sessions.ended_sessions_job import EndedSessionsJob
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.jobs.sessions.turns_job import TurnsJob
from phospho_workers.jobs.settings import JobSettings
from phospho_workers.jobs.webhooks.found_events import FoundEvents
from phospho_workers.jobs.webhooks.judgement_hold import JudgementHold
from phospho_workers.jobs.webhooks.outbound import Outbound
from phospho_workers.jobs.webhooks.webhook_job import WebhookJob
from phospho_workers.judging.settings import JudgeSettings

logger = logging.getLogger(__name__)

# Each process has connections of its own: a job never waits for a request, nor a request for a job.
CONNECTIONS = 3
# The name of the process that runs all of them.
ALL = "jobs"


def sessions(store: Store, clock: HybridClock, settings: JobSettings) -> list[Job]:
    """Return those that look at more than one task at a time."""
    cache = DefinitionCache(DefinitionRepository(store, clock), refresh_interval_s=1.0, compiling=list_definitions)
    facts = SessionFacts(store)
    return [EndedSessionsJob(facts, cache.current), TurnsJob(facts, cache.current)]


def learning(store: Store, clock: HybridClock, settings: JobSettings) -> list[Job]:
    """Return the one that learns classifiers from labels."""
    return [TrainingJob(LabelledTasks(store), DefinitionRepository(store, clock), ClassifierTrainer())]


def backfills(store: Store, clock: HybridClock, settings: JobSettings) -> list[Job]:
    """Return the one that runs definitions over history."""
    # Never stale: a backfill may be of a version that was saved a moment ago.
    cache = DefinitionCache(DefinitionRepository(store, clock), refresh_interval_s=0.0)
    repository, is_judged = BackfillRepository(store, clock), judged_definitions(settings.judging)
    return [BackfillJob(History(store), SessionFacts(store), repository, cache.current, is_judged=is_judged)]


def judged_definitions(settings: JudgeSettings) -> IsJudged:
    """Return what tells whether there is a judge for a definition, and a budget where it has one."""
    if not settings.is_configured:
        return lambda *_: False
    # Only here: who asks nobody imports nothing of judges.
    from phospho_workers.judging.selection import judge_of

    has_llm, has_encoder = settings.llm is not None, settings.encoder is not None

    def is_judged(definition: EventDefinition, project: ProjectSettings) -> bool:
        judge = None if needs_session(definition) else judge_of(definition, has_llm=has_llm, has_encoder=has_encoder)
        return judge == "encoder" or (judge == "llm" and project.llm_daily_tokens > 0)

    return is_judged


def webhooks(store: Store, clock: HybridClock, settings: JobSettings) -> list[Job]:
    """Return the one that tells others of events."""
    if not settings.secret_key:
        logger.warning("no webhook is told of anything: PHOSPHO_SECRET_KEY is not set")
        return []
    cache = DefinitionCache(DefinitionRepository(store, clock), refresh_interval_s=1.0, compiling=list_definitions)
    job = WebhookJob(
        WebhookRepository(store, clock),
        FoundEvents(store),
        Outbound(settings.allowed_networks),
        settings.secret_key,
        judgement_hold=JudgementHold(settings.judging, cache.current),
    )
    return [job]


def judge(store: Store, clock: HybridClock, settings: JobSettings) -> list[Job]:
    """Return those that ask for judgements, where there is somebody to ask. Raises BadSetting."""
    if not settings.judging.is_configured:
        return []
    # Only here: who asks nobody imports no client.
    from phospho_workers.jobs.judges.judge_jobs import judges

    return judges(store, clock, settings.judging)


# By the name of the process that runs them.
JOBS: Mapping[str, Callable[[Store, HybridClock, JobSettings], list[Job]]] = {
    "learning": learning,
    "sessions": sessions,
    "backfills": backfills,
    "webhooks": webhooks,
    "judge": judge,
}


@contextmanager
def running(names: Sequence[str], store: Store, clock: HybridClock, settings: JobSettings) -> Iterator[list[JobThread]]:
    """Run the jobs of these names, a thread each, until the end; then let the steps in hand end."""
    with ExitStack() as stack:
        changes = TableChanges(store)
        jobs = [job for name in names for job in JOBS[name](store, clock, settings)]
        threads = [JobThread(job, changes) for job in jobs]
        for thread in threads:
            thread.start()
            stack.callback(thread.close)
        yield threads
