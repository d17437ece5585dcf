"""The estimate of a backfill: how long it would take, what it would find, and what judging that would cost."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from phospho_schemas.definitions.engines import engine_spec
from phospho_schemas.definitions.validation import needs_session
from phospho_schemas.messages import EventDefinition, ProjectSettings
from phospho_workers.detection.definitions import NO_DEFINITIONS, CompiledDefinitions, Snapshot
from phospho_workers.detection.text.sides import texts_of
from phospho_workers.jobs.backfills.definition_backfill import analyse_project, events_only
from phospho_workers.jobs.backfills.history import History, Span
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.judging.prompts import Question
from phospho_workers.judging.selection import OpenCandidate, OpenText, candidates_to_ask, judge_of
from phospho_workers.judging.settings import NO_JUDGES, JudgeSettings
from phospho_workers.trials.definition_run import definition_run, valid_tasks

_SAMPLE_TASKS = 500

# A rough figure for English and JSON.
_CHARACTERS_PER_TOKEN = 4
# One answer with its key, of a model that does not think aloud.
_TOKENS_OF_ANSWER = 32
# As long as the nonce of a real question.
_NONCE = "0" * 8


class BackfillEstimate:
    """Runs a definition on a sample of stored tasks. Blocking, for about the time of detection: use a thread."""

    def __init__(
        self,
        history: History,
        facts: SessionFacts,
        definitions: Callable[[], Snapshot],
        judging: JudgeSettings = NO_JUDGES,
    ) -> None:
        self._history = history
        self._facts = facts
        self._definitions = definitions
        self._judging = judging

    def estimate(
        self, definition: EventDefinition, from_at: datetime | None = None, to_at: datetime | None = None
    ) -> dict[str, Any]:
        """
        Return the cost of a backfill, by the latest 500 tasks: tasks, seconds, events, and calls of an LLM.

        The calls are those of the judgements after it, with their tokens, their price where it is known, and the days
        that they take within the project's budget.
        """
        span = Span(definition.project_id, from_at, to_at)
        compiled = self._definitions().by_project.get(definition.project_id, NO_DEFINITIONS)
        tasks = valid_tasks(self._history, span.project_id, self._history.newest(span, _SAMPLE_TASKS))
        begun_s = time.monotonic()
        events = definition_run(self._facts, definition, events_only(compiled))(tasks)
        seconds = time.monotonic() - begun_s
        total = self._history.count(span)
        scale = total / len(tasks) if tasks else 0.0
        return {
            "tasks": total,
            "seconds": round(scale * seconds, 1),
            "events": round(scale * len(events)),
            **self._judgements(definition, compiled, tasks, scale),
            "sampled_tasks": len(tasks),
        }

    def _judgements(
        self,
        definition: EventDefinition,
        compiled: CompiledDefinitions,
        tasks: Sequence[Mapping[str, Any]],
        scale: float,
    ) -> dict[str, Any]:
        """Return the cost of an LLM's judgements on `scale` times these tasks; zeros where it is not asked."""
        llm = self._judging.llm
        # The jobs may have an LLM where this process has none, and an engine that is decided by one would ask it.
        has_llm = llm is not None or engine_spec(definition.engine).is_decided_by_llm
        judge = judge_of(definition, has_llm=has_llm, has_encoder=self._judging.encoder is not None)
        cost = JudgeCost()
        if judge == "llm" and not needs_session(definition):
            others = [other for other in compiled.definitions if other.name != definition.name]
            others = [other for other in others if not needs_session(other)]
            cost = judge_cost(definition, others, tasks, analyse_project(tasks, events_only(compiled)))
        tokens = round(scale * (cost.tokens_in + cost.tokens_out))
        usd = scale * llm.usd(cost.tokens_in, cost.tokens_out) if llm else 0.0
        return {
            "llm_calls": round(scale * cost.calls),
            "llm_tokens": tokens,
            "llm_usd": round(usd, 2),
            "llm_days": _days(tokens, usd, compiled.settings),
        }


def _days(tokens: int, usd: float, settings: ProjectSettings) -> int | None:
    """Return the days of budget that this takes; None where the project asks no LLM."""
    if not settings.llm_daily_tokens:
        return None if tokens else 0
    by_price = usd / settings.llm_daily_usd if settings.llm_daily_usd else 0.0
    return math.ceil(max(tokens / settings.llm_daily_tokens, by_price))


class JudgeCost(NamedTuple):
    """Calls, and the tokens of their questions and answers."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


def judge_cost(
    definition: EventDefinition,
    others: Sequence[EventDefinition],
    tasks: Sequence[Mapping[str, Any]],
    analyses: Sequence[Mapping[str, Any]],
) -> JudgeCost:
    """
    Return the cost of judging a definition in those of `tasks` that are candidates by their analyses.

    A text that several tasks share is asked about once. `others` are the definitions that a call may ask about too.
    """
    definitions = {other.name: other for other in (*others, definition)}
    questions: dict[str, Question] = {}
    for task, row in zip(tasks, analyses, strict=True):
        for candidate in row["candidates"]:
            if candidate["name"] == definition.name and candidate["content"] not in questions:
                questions[candidate["content"]] = _question(definition, definitions, task, candidate["content"])
    return JudgeCost(
        len(questions),
        sum(map(_tokens_in, questions.values())),
        sum(_TOKENS_OF_ANSWER * len(question.definitions) for question in questions.values()),
    )


def _question(
    definition: EventDefinition, definitions: Mapping[str, EventDefinition], task: Mapping[str, Any], content: str
) -> Question:
    candidate = OpenCandidate(
        task_id=task["task_id"],
        name=definition.name,
        definition_version=definition.version,
        scope=definition.scope,
        content=content,
        doubt=1.0,
    )
    text = OpenText(task["task_id"], definition.scope, content, [candidate])
    candidates = candidates_to_ask(text, list(definitions.values()), frozenset())
    about = [definitions[candidate.name] for candidate in candidates]
    return Question(about, texts_of(task, definition.scope), _NONCE)


def _tokens_in(question: Question) -> int:
    characters = sum(len(message["content"]) for message in question.messages())
    return (characters + len(json.dumps(question.schema()))) // _CHARACTERS_PER_TOKEN
