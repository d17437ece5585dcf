"""The job that asks a local encoder about open candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from phospho_schemas.definitions.engines import engine_spec
from phospho_schemas.messages import EventDefinition
from phospho_schemas.rows.jobs import JudgementRow
from phospho_schemas.times import utc_now
from phospho_workers.detection.definitions import CompiledDefinitions, Snapshot
from phospho_workers.jobs.judges.judge_job import TEXTS_AT_ONCE, JudgeJob
from phospho_workers.jobs.judges.open_candidates import JudgeRepositories
from phospho_workers.judging.selection import OpenCandidate, OpenText, judge_of
from phospho_workers.runtime import metrics

if TYPE_CHECKING:
    # onnxruntime is an extra.
    from phospho_workers.judging.encoder import Encoder


class EncoderJudgeJob(JudgeJob):
    """Asks an encoder about the candidates without a judgement, 32 texts of a project at a time."""

    name = "encoder-judge"

    def __init__(
        self,
        repositories: JudgeRepositories,
        definitions: Callable[[], Snapshot],
        encoder: Encoder,
        *,
        has_llm: bool = False,
    ) -> None:
        super().__init__(repositories, definitions)
        self._encoder = encoder
        self._has_llm = has_llm

    def _judge_project(self, project_id: str, compiled: CompiledDefinitions) -> bool:
        """Judge some texts of a project, and return whether there was any."""
        definitions = {
            definition.name: definition
            for definition in compiled.definitions
            if judge_of(definition, has_llm=self._has_llm, has_encoder=True) == "encoder"
        }
        if not definitions:
            return False
        versions = {name: definition.version for name, definition in definitions.items()}
        texts = self._queue.take(project_id, versions, TEXTS_AT_ONCE)
        judgements = list(self._judgements(project_id, texts, compiled)) if texts else []
        self._repositories.judgements.save_judgements(judgements)
        for judgement in judgements:
            metrics.JUDGEMENTS.labels("encoder", judgement.answer).inc()
        return bool(judgements)

    def _judgements(
        self, project_id: str, texts: Sequence[OpenText], compiled: CompiledDefinitions
    ) -> Iterator[JudgementRow]:
        """Yield a judgement on each candidate, against the rivals that read the same."""
        definitions = {definition.name: definition for definition in compiled.definitions}
        texts_of: dict[OpenCandidate, list[str]] = {
            candidate: list(sides.values())
            for text, sides in self._repositories.candidates.current_texts(project_id, texts)
            for candidate in text.candidates
        }
        for scope in sorted({definitions[candidate.name].scope for candidate in texts_of}):
            candidates = [candidate for candidate in texts_of if definitions[candidate.name].scope == scope]
            rivals = [
                definition.description
                for definition in compiled.definitions
                if engine_spec(definition.engine).judged_with_rivals and definition.scope == scope
            ]
            scores = self._scores({candidate: texts_of[candidate] for candidate in candidates}, definitions, rivals)
            threshold = self._encoder.threshold(max(0, len(set(rivals)) - 1))
            for candidate, score in scores.items():
                yield self._judgement(project_id, candidate, score, is_there=score >= threshold)

    def _scores(
        self,
        texts_of: Mapping[OpenCandidate, Sequence[str]],
        definitions: Mapping[str, EventDefinition],
        rivals: Sequence[str],
    ) -> dict[OpenCandidate, float]:
        """Return the score of each candidate; where a definition reads both sides, that of the one that fits better."""
        pairs = [(candidate, text) for candidate, candidate_texts in texts_of.items() for text in candidate_texts]
        scores = self._encoder.scores(
            [(definitions[candidate.name].description, text) for candidate, text in pairs], rivals
        )
        best_scores: dict[OpenCandidate, float] = {}
        for (candidate, _), score in zip(pairs, scores, strict=True):
            best_scores[candidate] = max(score, best_scores.get(candidate, 0.0))
        return best_scores

    def _judgement(self, project_id: str, candidate: OpenCandidate, score: float, *, is_there: bool) -> JudgementRow:
        return JudgementRow(
            project_id=project_id,
            name=candidate.name,
            definition_version=candidate.definition_version,
            content=candidate.content,
            answer="yes" if is_there else "no",
            score=score,
            judge="encoder",
            model=self._encoder.model,
            task_id=candidate.task_id,
            created_at=utc_now(),
        )
