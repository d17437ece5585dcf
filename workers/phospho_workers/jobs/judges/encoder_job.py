"""The job that asks a local encoder; it costs nothing but time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from phospho_schemas.definitions import needs_session
from phospho_schemas.messages import EventDefinition, JudgementRow
from phospho_store.annotations.judgements import JudgementRepository
from phospho_store.jobs.backfills import BackfillRepository
from phospho_store.registry.definition_sets import TABLES
from phospho_workers.detection.definitions import CompiledDefinitions, Snapshot
from phospho_workers.jobs.judges.candidate_queue import CandidateQueue
from phospho_workers.jobs.judges.open_candidates import OpenCandidates
from phospho_workers.jobs.loop.round_robin import RoundRobin
from phospho_workers.judging.selection import OpenCandidate, OpenText, judge_of
from phospho_workers.runtime import metrics

_TEXTS_AT_ONCE = 32


class PairScorer(Protocol):
    """What is asked of an encoder: see judging.encoder."""

    model: str
    threshold: float

    def scores(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Return the score of each pair of a description and a text, in [0, 1]."""


class EncoderJudgeJob:
    """Asks an encoder about the candidates that have no judgement, 32 texts of a project a step."""

    name = "encoder-judge"
    pause_s = 1.0
    tables = (*TABLES, "analysis_rows", "backfill_rows")
    max_pause_s = 5.0

    def __init__(
        self,
        candidates: OpenCandidates,
        repository: JudgementRepository,
        backfills: BackfillRepository,
        definitions: Callable[[], Snapshot],
        encoder: PairScorer,
        *,
        has_llm: bool = False,
    ) -> None:
        self._candidates = candidates
        self._repository = repository
        self._definitions = definitions
        self._encoder = encoder
        self._has_llm = has_llm
        self._queue = CandidateQueue(candidates, backfills)
        self._round_robin = RoundRobin()

    def step(self) -> bool:
        compiled = self._definitions().by_project
        return self._round_robin.step(compiled, lambda name: self._project(name, compiled[name]))

    def _project(self, project_id: str, compiled: CompiledDefinitions) -> bool:
        """Ask about some texts of a project, and tell whether that brought any judgement."""
        chosen = {
            one.name: one
            for one in compiled.definitions
            if judge_of(one, has_llm=self._has_llm, has_encoder=True) == "encoder" and not needs_session(one)
        }
        if not chosen:
            return False
        texts = self._queue.take(project_id, {name: one.version for name, one in chosen.items()}, _TEXTS_AT_ONCE)
        judgements = list(self._judged(project_id, texts, chosen)) if texts else []
        self._repository.save_judgements(judgements)
        for judgement in judgements:
            metrics.JUDGEMENTS.labels("encoder", judgement.answer).inc()
        return bool(judgements)

    def _judged(
        self, project_id: str, texts: Sequence[OpenText], chosen: Mapping[str, EventDefinition]
    ) -> Iterator[JudgementRow]:
        """Yield a judgement on each candidate: of a definition of both sides, that of the side which fits better."""
        asked = [
            (one, side)
            for text, said in self._candidates.said(project_id, texts)
            for one in text.candidates
            for side in said.values()
        ]
        scores = self._encoder.scores([(chosen[one.name].description, side) for one, side in asked])
        best: dict[OpenCandidate, float] = {}
        for (one, _), score in zip(asked, scores, strict=True):
            best[one] = max(score, best.get(one, 0.0))
        now = datetime.now(UTC)
        for one, score in best.items():
            yield self._judgement(project_id, one, score, now)

    def _judgement(self, project_id: str, candidate: OpenCandidate, score: float, now: datetime) -> JudgementRow:
        return JudgementRow(
            project_id=project_id,
            name=candidate.name,
            definition_version=candidate.definition_version,
            content=candidate.content,
            answer="yes" if score >= self._encoder.threshold else "no",
            score=score,
            judge="encoder",
            model=self._encoder.model,
            task_id=candidate.task_id,
            created_at=now,
        )
