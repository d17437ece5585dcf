"""The job that asks an LLM about open candidates, inside each project's daily budget."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from phospho_schemas.ids import derived_uuid
from phospho_schemas.messages import EventDefinition, ProjectSettings
from phospho_schemas.rows.jobs import JudgementRow, LlmCallRow
from phospho_schemas.times import utc_now
from phospho_store.annotations.judgements import Used
from phospho_workers.detection.definitions import CompiledDefinitions, Snapshot
from phospho_workers.jobs.judges.judge_job import TEXTS_AT_ONCE, JudgeJob
from phospho_workers.jobs.judges.open_candidates import JudgeRepositories
from phospho_workers.judging.llm_client import LlmCall, LlmClient
from phospho_workers.judging.prompts import MAX_DEFINITIONS, Question
from phospho_workers.judging.selection import OpenCandidate, OpenText, candidates_to_ask, judge_of
from phospho_workers.judging.settings import LlmSettings
from phospho_workers.runtime import metrics

logger = logging.getLogger(__name__)

# The pause of a project that has spent its budget: somebody may raise it.
_BUDGET_PAUSE = timedelta(seconds=15)
_NO_PAUSE = date.min, datetime.min.replace(tzinfo=UTC)


class LlmJudgeJob(JudgeJob):
    """
    Asks an LLM about the candidates without a judgement, 32 texts of a project at a time, the most doubtful first.

    The maximum cost of a call is stored before it, and replaced by the actual cost: a process that dies has spent what
    it reserved, and no restart spends it twice.
    """

    name = "llm-judge"

    def __init__(
        self,
        repositories: JudgeRepositories,
        definitions: Callable[[], Snapshot],
        settings: LlmSettings,
        *,
        client: LlmClient | None = None,
        has_encoder: bool = False,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__(repositories, definitions)
        self._settings = settings
        self._client = client or LlmClient(settings)
        self._has_encoder = has_encoder
        self._now = now
        # By project: the day of the spent budget, and the end of the pause.
        self._budget_pauses: dict[str, tuple[date, datetime]] = {}
        self._is_circuit_logged = False
        metrics.LLM_CIRCUIT_OPEN.set_function(lambda: float(self._client.circuit.is_open))

    def _judge_project(self, project_id: str, compiled: CompiledDefinitions) -> bool:
        """Ask about some texts of a project, and return whether that brought any judgement."""
        definitions = {
            definition.name: definition
            for definition in compiled.definitions
            if judge_of(definition, has_llm=True, has_encoder=self._has_encoder) == "llm"
        }
        if not definitions or not compiled.settings.llm_daily_tokens or self._client.circuit.is_open:
            return False
        if self._is_out_of_budget(project_id):
            return False
        versions = {name: definition.version for name, definition in definitions.items()}
        texts = self._queue.take(project_id, versions, TEXTS_AT_ONCE)
        if not texts:
            return False
        questions = list(self._questions(project_id, texts, definitions))
        reserved = self._reserve(project_id, questions, compiled.settings)
        calls = self._client.ask([call.question.question for call in reserved], [call.attempts for call in reserved])
        return self._store(reserved, calls)

    def _is_out_of_budget(self, project_id: str) -> bool:
        day, until = self._budget_pauses.get(project_id, _NO_PAUSE)
        return day == self._now().date() and self._now() < until

    def _questions(
        self, project_id: str, texts: Sequence[OpenText], definitions: Mapping[str, EventDefinition]
    ) -> Iterator[TextQuestion]:
        """Yield the questions about each text, of at most 20 definitions each."""
        versions = {name: definition.version for name, definition in definitions.items()}
        judged = self._repositories.candidates.judged_names(project_id, versions, [text.content for text in texts])
        for text, sides in self._repositories.candidates.current_texts(project_id, texts):
            candidates = candidates_to_ask(text, list(definitions.values()), judged.get(text.content, frozenset()))
            for begin in range(0, len(candidates), MAX_DEFINITIONS):
                part = candidates[begin : begin + MAX_DEFINITIONS]
                asked_definitions = [definitions[candidate.name] for candidate in part]
                yield TextQuestion(project_id, part, Question(asked_definitions, sides, secrets.token_hex(4)))

    def _reserve(
        self, project_id: str, questions: Sequence[TextQuestion], settings: ProjectSettings
    ) -> list[ReservedCall]:
        """Return the calls that there is budget for, reserved in the store."""
        now = self._now()
        budget = LlmBudget(settings, self._repositories.judgements.used(project_id, now.date()))
        reserved = []
        for question in questions:
            tokens_in, tokens_out = question.question.max_prompt_tokens, question.question.max_answer_tokens
            usd = self._settings.usd(tokens_in, tokens_out)
            attempts = budget.take(tokens_in + tokens_out, usd, self._settings.attempts)
            if attempts:
                reserved.append(reserve(question, attempts, self._settings, now))
            else:
                self._budget_pauses[project_id] = (now.date(), now + _BUDGET_PAUSE)
                metrics.LLM_BUDGET_REFUSALS.inc()
        self._repositories.judgements.save_calls([call.row for call in reserved])
        return reserved

    def _store(self, reserved: Sequence[ReservedCall], calls: Sequence[LlmCall]) -> bool:
        """Store the judgements, and then the actual cost of the calls; return whether there are judgements."""
        pairs = list(zip(reserved, calls, strict=True))
        judgements = [judgement for pair in pairs for judgement in judgement_rows(*pair)]
        self._repositories.judgements.save_judgements(judgements)
        self._repositories.judgements.save_calls(
            [spent_row(*pair, self._settings, self._left_alone_until(pair[1])) for pair in pairs]
        )
        self._log_circuit(calls)
        for judgement in judgements:
            metrics.JUDGEMENTS.labels("llm", judgement.answer or "none").inc()
        for call in calls:
            self._count(call)
        return bool(judgements)

    def _left_alone_until(self, call: LlmCall) -> datetime | None:
        pause_s = self._client.circuit.pause_left_s
        return self._now() + timedelta(seconds=pause_s) if pause_s and call.outcome in ("failed", "no_answer") else None

    def _log_circuit(self, calls: Sequence[LlmCall]) -> None:
        """Log once that the circuit has opened, and once that the LLM answers again."""
        if any(call.outcome == "answered" for call in calls) and self._is_circuit_logged:
            self._is_circuit_logged = False
            logger.warning("the LLM at %s answers again", self._settings.host)
        failed = [call for call in calls if call.outcome in ("failed", "no_answer")]
        if failed and self._client.circuit.is_open and not self._is_circuit_logged:
            self._is_circuit_logged = True
            logger.warning(
                "the LLM at %s %s (%s): it is left alone for %.0f s, and asked again then; see `phospho llm usage`",
                self._settings.host,
                "does not answer" if failed[-1].outcome == "failed" else "gives no answer that can be read",
                failed[-1].reason,
                self._client.circuit.pause_left_s,
            )

    def _count(self, call: LlmCall) -> None:
        metrics.LLM_USD.inc(self._settings.usd(call.tokens_in, call.tokens_out))
        metrics.LLM_CALLS.labels(call.outcome).inc()
        metrics.LLM_TOKENS.labels("in").inc(call.tokens_in)
        metrics.LLM_TOKENS.labels("out").inc(call.tokens_out)
        if call.outcome != "skipped":
            metrics.LLM_CALL_SECONDS.observe(call.seconds)


@dataclass(frozen=True)
class TextQuestion:
    """A question about one text of a project, and the candidates that it is about."""

    project_id: str
    candidates: Sequence[OpenCandidate]
    question: Question


@dataclass(frozen=True)
class ReservedCall:
    """A question with the row that reserves its cost, and how many attempts that covers."""

    question: TextQuestion
    attempts: int
    row: LlmCallRow


def reserve(question: TextQuestion, attempts: int, settings: LlmSettings, now: datetime) -> ReservedCall:
    """Return the call of a question, with the maximum cost of so many attempts."""
    tokens_in = attempts * question.question.max_prompt_tokens
    tokens_out = attempts * question.question.max_answer_tokens
    row = LlmCallRow(
        project_id=question.project_id,
        call_id=derived_uuid(int(now.timestamp() * 1000), secrets.token_bytes(16)),
        outcome="reserved",
        model=settings.model,
        task_id=question.candidates[0].task_id,
        definitions=len(question.question.definitions),
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        usd=settings.usd(tokens_in, tokens_out),
        created_at=now,
    )
    return ReservedCall(question, attempts, row)


def spent_row(
    reserved: ReservedCall, call: LlmCall, settings: LlmSettings, left_alone_until: datetime | None
) -> LlmCallRow:
    """Return the row of a call after it: its outcome, and the actual cost in place of the reserved one."""
    return reserved.row.model_copy(
        update={
            "outcome": call.outcome,
            "reason": call.reason,
            "left_alone_until": left_alone_until,
            "tokens_in": call.tokens_in,
            "tokens_out": call.tokens_out,
            "usd": settings.usd(call.tokens_in, call.tokens_out),
        }
    )


def judgement_rows(reserved: ReservedCall, call: LlmCall) -> Iterator[JudgementRow]:
    """Yield a judgement on each candidate, empty where it has no answer; none where the LLM was not reached."""
    if call.outcome in ("failed", "skipped"):
        return
    for candidate in reserved.question.candidates:
        answer = call.answers.get(candidate.name)
        yield JudgementRow(
            project_id=reserved.row.project_id,
            name=candidate.name,
            definition_version=candidate.definition_version,
            content=candidate.content,
            answer="" if answer is None else "yes" if answer.is_there else "no",
            score=answer.score if answer else 0.0,
            value=answer.value if answer else None,
            category=answer.category if answer else "",
            judge="llm",
            model=reserved.row.model,
            task_id=candidate.task_id,
            call_id=reserved.row.call_id,
            created_at=reserved.row.created_at,
        )


class LlmBudget:
    """The rest of a day's budget. Each attempt takes its maximum cost before the question is asked."""

    def __init__(self, settings: ProjectSettings, used: Used) -> None:
        self._tokens = settings.llm_daily_tokens - used.tokens
        self._usd = settings.llm_daily_usd - used.usd if settings.llm_daily_usd else float("inf")

    def take(self, tokens: int, usd: float, attempts: int) -> int:
        """Take the cost of up to `attempts` attempts of so much each, and return for how many there was budget."""
        taken = 0
        while taken < attempts and tokens <= self._tokens and usd <= self._usd:
            taken += 1
            self._tokens -= tokens
            self._usd -= usd
        return taken
