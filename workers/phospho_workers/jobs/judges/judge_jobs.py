"""The judge jobs, built on a store."""

from __future__ import annotations

import logging
from collections.abc import Callable

from phospho_schemas.ids import HybridClock
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.store import Store
from phospho_workers.detection.definitions import Snapshot, list_definitions
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.jobs.judges.encoder_job import EncoderJudgeJob
from phospho_workers.jobs.judges.llm_job import LlmJudgeJob
from phospho_workers.jobs.judges.open_candidates import JudgeRepositories
from phospho_workers.jobs.loop.job import Job
from phospho_workers.jobs.loop.leases import Holds, held_definitions
from phospho_workers.judging.settings import EncoderSettings, JudgeSettings

logger = logging.getLogger(__name__)


def build_judge_jobs(store: Store, clock: HybridClock, settings: JudgeSettings, holds: Holds) -> list[Job]:
    """Return a job for each judge of the settings. Raises BadSetting for an encoder that can't be used."""
    cache = DefinitionCache(DefinitionRepository(store, clock), compiling=list_definitions)
    definitions = held_definitions(cache.current, holds)
    repositories = JudgeRepositories.of(store, clock)
    has_llm, has_encoder = settings.llm is not None, settings.encoder is not None
    jobs: list[Job] = []
    if settings.llm is not None:
        logger.info("asks %s at %s, inside the budget of each project", settings.llm.model, settings.llm.host)
        jobs.append(LlmJudgeJob(repositories, definitions, settings.llm, has_encoder=has_encoder))
    if settings.encoder is not None:
        jobs.append(_encoder_job(repositories, definitions, settings.encoder, has_llm=has_llm))
    return jobs


def _encoder_job(
    repositories: JudgeRepositories, definitions: Callable[[], Snapshot], settings: EncoderSettings, *, has_llm: bool
) -> Job:
    # Imported here: onnxruntime is an extra.
    from phospho_workers.judging.encoder import Encoder

    return EncoderJudgeJob(repositories, definitions, Encoder(settings), has_llm=has_llm)
