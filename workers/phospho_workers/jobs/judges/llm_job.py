"""The job that asks an LLM, inside each project's budget of the day."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from phospho_schemas.definitions import needs_session
from phospho_schemas.ids import derived_uuid
from phospho_schemas.messages import EventDefinition, JudgementRow, LlmCallRow, ProjectSettings
from phospho_store.annotations.judgements import JudgementRepository, Used
from phospho_store.jobs.backfills import BackfillRepository
from phospho_store.registry.definition_sets import TABLES
from phospho_workers.detection.definitions import CompiledDefinitions, Snapshot
from phospho_workers.detection.text.sides import Side
from phospho_workers.jobs.judges.candidate_queue import CandidateQueue
from phospho_workers.jobs.judges.open_candidates import OpenCandidates
from phospho_workers.jobs.loop.round_robin import RoundRobin
from phospho_workers.judging.llm_client import LlmCall, LlmClient
from phospho_workers.judging.prompts import MAX_DEFINITIONS, Question
from phospho_workers.judging.selection import OpenCandidate, OpenText, candidates_to_ask, judge_of
from phospho_workers.judging.settings import LlmSettings
from phospho_workers.runtime import metrics

logger = logging.getLogger(__name__)

_TEXTS_AT_ONCE = 32
# A project that has spent its budget is asked about again after this long: somebody may have raised it.
_REST = timedelta(seconds=15)


# Candidates of one text, and what is asked about them.
_Question = tuple[Sequence[OpenCandidate], Question]


@dataclass(frozen=True)
class _Asked:
    """A question with what it is about, how often it may be sent, and the row of its call: first what is reserved."""

    question: Question
    candidates: Sequence[OpenCandidate]
    attempts: int
    call: LlmCallRow


class Room:
    """What is left of a budget: each attempt takes the most that it may cost, before the question is asked."""

    def __init__(self, settings: ProjectSettings, used: Used) -> None:
        self._tokens = settings.llm_daily_tokens - used.tokens
        self._usd = settings.llm_daily_usd - used.usd if settings.llm_daily_usd else float("inf")

    def take(self, tokens: int, usd: float, attempts: int) -> int:
        """Take as much for each of so many attempts, or of as many as there is room for; return how many."""
        taken = 0
        while taken < attempts and tokens <= self._tokens and usd <= self._usd:
            taken += 1
            self._tokens -= tokens
            self._usd -= usd
        return taken


class LlmJudgeJob:
    """
    Asks an LLM about the candidates that have no judgement, the most doubtful first, 32 texts of a project a step.

    What a call may cost is stored before it and replaced by what it did cost: a process that dies has spent what it
    reserved, and no restart spends twice. `definitions` is asked once a step.
    """

    name = "llm-judge"
    pause_s = 1.0
    tables = (*TABLES, "analysis_rows", "backfill_rows")
    max_pause_s = 5.0

    def __init__(
        self,
        candidates: OpenCandidates,
        repository: JudgementRepository,
        backfills: BackfillRepository,
        definitions: Callable[[], Snapshot],
        settings: LlmSettings,
        *,
        chat: LlmClient | None = None,
        has_encoder: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._candidates = candidates
        self._repository = repository
        self._definitions = definitions
        self._settings = settings
        self._chat = chat or LlmClient(settings)
        self._has_encoder = has_encoder
        self._now = now
        self._queue = CandidateQueue(candidates, backfills)
        self._round_robin = RoundRobin()
        self._resting: dict[str, tuple[date, datetime]] = {}
        self._is_left_alone = False
        metrics.LLM_CIRCUIT_OPEN.set_function(lambda: float(self._chat.circuit.is_open))

    def step(self) -> bool:
        compiled = self._definitions().by_project
        return self._round_robin.step(compiled, lambda name: self._project(name, compiled[name]))

    def _project(self, project_id: str, compiled: CompiledDefinitions) -> bool:
        """Ask about some texts of a project, and tell whether that brought any judgement."""
        chosen = {one.name: one for one in compiled.definitions if self._is_ours(one)}
        if not chosen or not compiled.settings.llm_daily_tokens or self._chat.circuit.is_open:
            return False
        if self._rests(project_id):
            return False
        versions = {name: one.version for name, one in chosen.items()}
        texts = self._queue.take(project_id, versions, _TEXTS_AT_ONCE)
        if not texts:
            return False
        questions = list(self._questions(project_id, texts, chosen))
        asked = self._reserved(project_id, questions, compiled.settings)
        calls = self._chat.ask([one.question for one in asked], [one.attempts for one in asked])
        return self._concluded(asked, calls)

    def _is_ours(self, definition: EventDefinition) -> bool:
        is_asked = judge_of(definition, has_llm=True, has_encoder=self._has_encoder) == "llm"
        return is_asked and not needs_session(definition)

    def _rests(self, project_id: str) -> bool:
        day, until = self._resting.get(project_id, (date.min, datetime.min.replace(tzinfo=UTC)))
        return day == self._now().date() and self._now() < until

    def _questions(
        self, project_id: str, texts: Sequence[OpenText], chosen: Mapping[str, EventDefinition]
    ) -> Iterator[_Question]:
        """Yield what is asked about each text: of 20 definitions at most."""
        versions = {name: one.version for name, one in chosen.items()}
        judged = self._candidates.judged(project_id, versions, [one.content for one in texts])
        for text, said in self._candidates.said(project_id, texts):
            about = candidates_to_ask(text, list(chosen.values()), judged.get(text.content, frozenset()))
            yield from _questions_of(about, said, chosen)

    def _reserved(self, project_id: str, questions: Sequence[_Question], settings: ProjectSettings) -> list[_Asked]:
        """Return the questions that there is room for, with their calls reserved in the store."""
        now = self._now()
        room = Room(settings, self._repository.used(project_id, now.date()))
        asked = []
        for candidates, question in questions:
            tokens_in, tokens_out = question.max_prompt_tokens, question.max_answer_tokens
            usd = self._settings.usd(tokens_in, tokens_out)
            attempts = room.take(tokens_in + tokens_out, usd, self._settings.attempts)
            if not attempts:
                self._resting[project_id] = (now.date(), now + _REST)
                metrics.LLM_BUDGET_REFUSALS.inc()
                continue
            call = self._call(project_id, candidates[0].task_id, question, attempts, now)
            asked.append(_Asked(question, candidates, attempts, call))
        self._repository.save_calls([one.call for one in asked])
        return asked

    def _call(self, project_id: str, task_id: str, question: Question, attempts: int, now: datetime) -> LlmCallRow:
        tokens_in, tokens_out = attempts * question.max_prompt_tokens, attempts * question.max_answer_tokens
        return LlmCallRow(
            project_id=project_id,
            call_id=derived_uuid(int(now.timestamp() * 1000), secrets.token_bytes(16)),
            outcome="reserved",
            model=self._settings.model,
            task_id=task_id,
            definitions=len(question.definitions),
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            usd=self._settings.usd(tokens_in, tokens_out),
            created_at=now,
        )

    def _concluded(self, asked: Sequence[_Asked], calls: Sequence[LlmCall]) -> bool:
        """Store the judgements, and then what the calls did cost."""
        pairs = list(zip(asked, calls, strict=True))
        judgements = [judgement for one, call in pairs for judgement in _judgements(one, call)]
        self._repository.save_judgements(judgements)
        self._repository.save_calls([self._spent(one.call, call) for one, call in pairs])
        self._tell_of_circuit(calls)
        for judgement in judgements:
            metrics.JUDGEMENTS.labels("llm", judgement.answer or "none").inc()
        for call in calls:
            _count(call)
        return bool(judgements)

    def _spent(self, reserved: LlmCallRow, call: LlmCall) -> LlmCallRow:
        usd = self._settings.usd(call.tokens_in, call.tokens_out)
        metrics.LLM_USD.inc(usd)
        cost = {"tokens_in": call.tokens_in, "tokens_out": call.tokens_out, "usd": usd}
        pause_s = self._chat.circuit.pause_left_s
        until = self._now() + timedelta(seconds=pause_s) if pause_s and call.outcome == "failed" else None
        end = {"outcome": call.outcome, "reason": call.reason, "left_alone_until": until}
        return reserved.model_copy(update=end | cost)

    def _tell_of_circuit(self, calls: Sequence[LlmCall]) -> None:
        """Log once that the server is left alone, and once that it answers again."""
        if any(call.outcome == "answered" for call in calls) and self._is_left_alone:
            self._is_left_alone = False
            logger.warning("the LLM at %s answers again", self._settings.host)
        failed = [call for call in calls if call.outcome == "failed"]
        if failed and self._chat.circuit.is_open and not self._is_left_alone:
            self._is_left_alone = True
            pause_s = self._chat.circuit.pause_left_s
            logger.warning(
                "the LLM at %s does not answer (%s): it is left alone for %.0f s, and asked again then; see"
                " `phospho llm usage`",
                self._settings.host,
                failed[-1].reason,
                pause_s,
            )


def _questions_of(
    candidates: Sequence[OpenCandidate], texts: Mapping[Side, str], chosen: Mapping[str, EventDefinition]
) -> Iterator[_Question]:
    for begin in range(0, len(candidates), MAX_DEFINITIONS):
        some = candidates[begin : begin + MAX_DEFINITIONS]
        yield some, Question([chosen[one.name] for one in some], texts, secrets.token_hex(4))


def _judgements(asked: _Asked, call: LlmCall) -> Iterator[JudgementRow]:
    """Yield a judgement on each candidate, an empty one where there is none; nothing where nobody was reached."""
    if call.outcome in ("failed", "skipped"):
        return
    for candidate in asked.candidates:
        answer = call.answers.get(candidate.name)
        yield JudgementRow(
            project_id=asked.call.project_id,
            name=candidate.name,
            definition_version=candidate.definition_version,
            content=candidate.content,
            answer="" if answer is None else "yes" if answer.is_there else "no",
            score=answer.score if answer else 0.0,
            value=answer.value if answer else None,
            category=answer.category if answer else "",
            judge="llm",
            model=asked.call.model,
            task_id=candidate.task_id,
            call_id=asked.call.call_id,
            created_at=asked.call.created_at,
        )


def _count(call: LlmCall) -> None:
    metrics.LLM_CALLS.labels(call.outcome).inc()
    metrics.LLM_TOKENS.labels("in").inc(call.tokens_in)
    metrics.LLM_TOKENS.labels("out").inc(call.tokens_out)
    if call.outcome != "skipped":
        metrics.LLM_CALL_SECONDS.observe(call.seconds)
