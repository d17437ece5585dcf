"""The judges that there are, wired to a store."""

from __future__ import annotations

import logging

from phospho_schemas.ids import HybridClock
from phospho_store.annotations.judgements import JudgementRepository
from phospho_store.jobs.backfills import BackfillRepository
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.store import Store
from phospho_workers.detection.definitions import list_definitions
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.jobs.judges.encoder_job import EncoderJudgeJob
from phospho_workers.jobs.judges.llm_job import LlmJudgeJob
from phospho_workers.jobs.judges.open_candidates import OpenCandidates
from phospho_workers.jobs.loop.job import Job
from phospho_workers.judging.settings import EncoderSettings, JudgeSettings

logger = logging.getLogger(__name__)

_Books = tuple[OpenCandidates, JudgementRepository, BackfillRepository]


def judges(store: Store, clock: HybridClock, settings: JudgeSettings) -> list[Job]:
    """Return a job for each judge of the settings. Raises BadSetting for an encoder that can't be used."""
    cache = DefinitionCache(DefinitionRepository(store, clock), compiling=list_definitions)
    books = OpenCandidates(store), JudgementRepository(store, clock), BackfillRepository(store, clock)
    jobs: list[Job] = []
    if settings.llm is not None:
        logger.info("asks %s at %s, inside the budget of each project", settings.llm.model, settings.llm.host)
        has_encoder = settings.encoder is not None
        jobs.append(LlmJudgeJob(*books, cache.current, settings.llm, has_encoder=has_encoder))
    if settings.encoder is not None:
        jobs.append(_encoder_judge(books, cache, settings.encoder, settings.llm is not None))
    return jobs


def _encoder_judge(books: _Books, cache: DefinitionCache, settings: EncoderSettings, has_llm: bool) -> Job:
    # Only here: onnxruntime is an extra.
    from phospho_workers.judging.encoder import Encoder

    return EncoderJudgeJob(*books, cache.current, Encoder(settings), has_llm=has_llm)
