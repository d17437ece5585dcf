"""The jobs of each worker: built on a store, and run in a thread each."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from phospho_schemas.ids import HybridClock
from phospho_schemas.messages import EventDefinition, ProjectSettings
from phospho_store.alerts.readings import ReadingReader
from phospho_store.alerts.repository import AlertRepository
from phospho_store.alerts.theme_readings import ThemeReadings
from phospho_store.jobs.backfills import BackfillRepository
from phospho_store.jobs.webhooks import WebhookRepository
from phospho_store.ledger.hours import Ledger
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.rollups.rollups import Rollups
from phospho_store.store import Store
from phospho_workers.detection.definitions import list_definitions
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.jobs.alerts.alert_job import AlertJob
from phospho_workers.jobs.backfills.backfill_job import BackfillJob, IsJudged
from phospho_workers.jobs.backfills.history import History
from phospho_workers.jobs.learning.examples import LabelledTasks
from phospho_workers.jobs.learning.student_job import StudentJob
from phospho_workers.jobs.learning.trainer import ClassifierTrainer
from phospho_workers.jobs.learning.training_job import TrainingJob
from phospho_workers.jobs.ledger.ledger_job import LedgerJob
from phospho_workers.jobs.loop.deferred import DeferredJob
from phospho_workers.jobs.loop.job import Job, JobThread, TableChanges
from phospho_workers.jobs.loop.leases import Holds, all_projects, held_definitions
from phospho_workers.jobs.rollups.rollup_job import RollupJob
from phospho_workers.jobs.sessions.ended_sessions_job import EndedSessionsJob
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.jobs.sessions.turns_job import TurnsJob
from phospho_workers.jobs.settings import JobSettings
from phospho_workers.jobs.themes.discovery_job import ThemeDiscoveryJob
from phospho_workers.jobs.themes.history_job import ThemeHistoryJob
from phospho_workers.jobs.webhooks.enqueuer import JudgementHold
from phospho_workers.jobs.webhooks.event_streams import EventStreams
from phospho_workers.jobs.webhooks.mail import Mailer
from phospho_workers.jobs.webhooks.outbound import Outbound
from phospho_workers.jobs.webhooks.webhook_job import WebhookJob
from phospho_workers.judging.settings import JudgeSettings

logger = logging.getLogger(__name__)

# Jobs have store connections of their own: a job never waits for a request, nor a request for a job.
CONNECTIONS = 3
# The worker that runs the jobs of all others.
ALL_JOBS = "jobs"

JobBuilder = Callable[[Store, HybridClock, JobSettings, Holds], list[Job]]


def build_training_jobs(store: Store, clock: HybridClock, settings: JobSettings, holds: Holds) -> list[Job]:
    """Return the jobs that train classifiers and teach students."""
    definitions = DefinitionRepository(store, clock)
    training = TrainingJob(LabelledTasks(store), definitions, ClassifierTrainer(), holds=holds)
    students = StudentJob(store, DefinitionRepository(store, clock), holds=holds)
    return [training, DeferredJob(students, store)]


def build_session_jobs(store: Store, clock: HybridClock, settings: JobSettings, holds: Holds) -> list[Job]:
    """Return the jobs that read more than one task at a time."""
    cache = DefinitionCache(DefinitionRepository(store, clock), refresh_interval_s=1.0, compiling=list_definitions)
    facts = SessionFacts(store)
    definitions = held_definitions(cache.current, holds)
    return [EndedSessionsJob(facts, definitions), TurnsJob(facts, definitions)]


def build_rollup_jobs(store: Store, clock: HybridClock, settings: JobSettings, holds: Holds) -> list[Job]:
    """Return the job that computes the rollups of hours."""
    return [RollupJob(Rollups(store), holds=holds)]


def build_backfill_jobs(store: Store, clock: HybridClock, settings: JobSettings, holds: Holds) -> list[Job]:
    """Return the jobs that rewrite the analyses of past tasks: one at a time, as both rewrite whole rows."""
    lock = threading.Lock()
    # Never stale: a backfill may be of a version that was saved a moment ago.
    cache = DefinitionCache(DefinitionRepository(store, clock), refresh_interval_s=0.0)
    job = BackfillJob(
        History(store),
        SessionFacts(store),
        BackfillRepository(store, clock),
        cache.current,
        is_judged=judged_definitions(settings.judging),
        holds=holds,
        lock=lock,
    )
    themes = DefinitionCache(DefinitionRepository(store, clock), compiling=list_definitions)
    return [job, ThemeHistoryJob(store, themes.current, lock, holds=holds)]


def build_theme_jobs(store: Store, clock: HybridClock, settings: JobSettings, holds: Holds) -> list[Job]:
    """Return the job that finds themes."""
    return [DeferredJob(ThemeDiscoveryJob(store, DefinitionRepository(store, clock), holds=holds), store)]


def build_webhook_jobs(store: Store, clock: HybridClock, settings: JobSettings, holds: Holds) -> list[Job]:
    """Return the job that sends events to webhooks; none without the secret key."""
    if not settings.secret_key:
        logger.warning("no webhook is sent: PHOSPHO_SECRET_KEY is not set")
        return []
    cache = DefinitionCache(DefinitionRepository(store, clock), refresh_interval_s=1.0, compiling=list_definitions)
    job = WebhookJob(
        WebhookRepository(store, clock),
        EventStreams(store, settings.pages_url),
        Outbound(settings.allowed_networks),
        settings.secret_key,
        mailer=Mailer(settings.smtp),
        judgement_hold=JudgementHold(settings.judging, cache.current),
        holds=holds,
    )
    return [job]


def build_alert_jobs(store: Store, clock: HybridClock, settings: JobSettings, holds: Holds) -> list[Job]:
    """Return the job that evaluates alerts."""
    readings = ReadingReader(store, settings.price_parameters)
    return [AlertJob(AlertRepository(store, clock), readings, ThemeReadings(store), holds)]


def build_judge_jobs(store: Store, clock: HybridClock, settings: JobSettings, holds: Holds) -> list[Job]:
    """Return a job for each judge; none without a judge. Raises BadSetting."""
    if not settings.judging.is_configured:
        return []
    # Imported here: a process without a judge imports no client.
    from phospho_workers.jobs.judges import judge_jobs

    return judge_jobs.build_judge_jobs(store, clock, settings.judging, holds)


def build_ledger_jobs(store: Store, clock: HybridClock, settings: JobSettings, holds: Holds) -> list[Job]:
    """Return the job that reconciles the ledger."""
    return [LedgerJob(Ledger(store, clock), settings.ledger_grace_s, holds)]


def judged_definitions(settings: JudgeSettings) -> IsJudged:
    """Return whether a definition has a judge, as a function of it and of its project's settings."""
    if not settings.is_configured:
        return lambda *_: False
    # Imported here: a process without a judge imports nothing of judges.
    from phospho_workers.judging.selection import judge_of

    has_llm, has_encoder = settings.llm is not None, settings.encoder is not None

    def is_judged(definition: EventDefinition, project: ProjectSettings) -> bool:
        judge = judge_of(definition, has_llm=has_llm, has_encoder=has_encoder)
        return judge == "encoder" or (judge == "llm" and project.llm_daily_tokens > 0)

    return is_judged


# By the name of `phospho worker NAME`.
JOB_BUILDERS: Mapping[str, JobBuilder] = {
    "learning": build_training_jobs,
    "sessions": build_session_jobs,
    "rollups": build_rollup_jobs,
    "backfills": build_backfill_jobs,
    "webhooks": build_webhook_jobs,
    "judge": build_judge_jobs,
    "ledger": build_ledger_jobs,
    "themes": build_theme_jobs,
    "alerts": build_alert_jobs,
}


def worker_names(worker: str) -> list[str]:
    """Return the workers that a process of this name runs."""
    return list(JOB_BUILDERS) if worker == ALL_JOBS else [worker]


def build_jobs(
    worker: str, store: Store, clock: HybridClock, settings: JobSettings, holds: Holds = all_projects
) -> list[Job]:
    """Return the jobs of a worker. Raises BadSetting."""
    return [job for name in worker_names(worker) for job in JOB_BUILDERS[name](store, clock, settings, holds)]


@contextmanager
def running_jobs(
    worker: str, store: Store, clock: HybridClock, settings: JobSettings, holds: Holds = all_projects
) -> Iterator[Sequence[JobThread]]:
    """Run the jobs of a worker on the projects that it holds, a thread each; at the end let their steps end."""
    changes = TableChanges(store)
    with ExitStack() as stack:
        threads = [JobThread(job, changes) for job in build_jobs(worker, store, clock, settings, holds=holds)]
        for thread in threads:
            thread.start()
            stack.callback(thread.close)
        yield threads
