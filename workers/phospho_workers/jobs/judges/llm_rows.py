"""The rows of an LLM's calls: the reservation before a call, its cost after it, and the judgements. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from phospho_schemas.ids import derived_uuid
from phospho_schemas.messages import JudgementRow, LlmCallRow
from phospho_workers.judging.llm_client import LlmCall
from phospho_workers.judging.prompts import Question
from phospho_workers.judging.selection import OpenCandidate
from phospho_workers.judging.settings import LlmSettings


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
