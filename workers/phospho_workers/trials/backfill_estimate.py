"""The estimate of a backfill: how long it would take, what it would find, and what judging that would cost."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from phospho_schemas.definitions import needs_session
from phospho_schemas.engines import engine_spec
from phospho_schemas.messages import EventDefinition, ProjectSettings
from phospho_workers.detection.definitions import NO_DEFINITIONS, CompiledDefinitions, Snapshot
from phospho_workers.jobs.backfills.history import History, Span
from phospho_workers.jobs.backfills.task_backfill import analyse_project, events_only
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.judging.selection import judge_of
from phospho_workers.judging.settings import NO_JUDGES, JudgeSettings
from phospho_workers.trials.definition_run import definition_run, valid_tasks
from phospho_workers.trials.judge_cost import JudgeCost, judge_cost

_SAMPLE_TASKS = 500


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
