"""All that judges read and write, on one store."""

from __future__ import annotations

from dataclasses import dataclass

from phospho_schemas.ids import HybridClock
from phospho_store.annotations.judgements import JudgementRepository
from phospho_store.jobs.backfills import BackfillRepository
from phospho_store.store import Store
from phospho_workers.jobs.judges.open_candidates import OpenCandidates


@dataclass(frozen=True)
class JudgeRepositories:
    """The candidates to ask about, the judgements and LLM calls, and the backfills that wait for judgements."""

    candidates: OpenCandidates
    judgements: JudgementRepository
    backfills: BackfillRepository

    @classmethod
    def of(cls, store: Store, clock: HybridClock | None = None) -> JudgeRepositories:
        """Return the repositories of a store."""
        return cls(OpenCandidates(store), JudgementRepository(store, clock), BackfillRepository(store, clock))
