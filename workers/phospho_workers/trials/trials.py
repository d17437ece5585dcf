"""What a version of a definition would do to the tasks of the past: asked before it is done."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from phospho_schemas.definitions import needs_session
from phospho_schemas.engines import engine_spec
from phospho_schemas.messages import EventDefinition, ProjectSettings
from phospho_workers.detection.definitions import NO_DEFINITIONS, CompiledDefinitions, Snapshot, compile_definitions
from phospho_workers.detection.detect import check_task
from phospho_workers.jobs.backfills.history import History, Span
from phospho_workers.jobs.backfills.session_backfill import SessionBackfill
from phospho_workers.jobs.backfills.task_backfill import analyse_project, events_only
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.judging.selection import judge_of
from phospho_workers.judging.settings import NO_JUDGES, JudgeSettings
from phospho_workers.trials.judge_cost import JudgeCost, judge_cost
from phospho_workers.trials.trial_classifiers import TrialClassifiers

_SAMPLE_TASKS = 500
_TASKS_AT_ONCE = 500
_MAX_EXAMPLES = 20
_PREVIEW_CHARACTERS = 300
MAX_TASKS = 50_000

Event = Mapping[str, Any]
_Finder = Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Event]]


class Trials:
    """Runs detection on stored tasks and stores nothing. Blocking, and as slow as detection is: for a thread."""

    def __init__(
        self,
        history: History,
        facts: SessionFacts,
        definitions: Callable[[], Snapshot],
        classifiers: TrialClassifiers,
        judging: JudgeSettings = NO_JUDGES,
    ) -> None:
        self._history = history
        self._facts = facts
        self._definitions = definitions
        self._classifiers = classifiers
        self._judging = judging

    def estimate(
        self, definition: EventDefinition, from_at: datetime | None = None, to_at: datetime | None = None
    ) -> dict[str, Any]:
        """
        Return what a backfill would cost, by the latest 500 tasks: tasks, seconds, events, and calls of an LLM.

        These are of the opinions that would be asked for after it: their tokens, their price where it is known, and
        the days that they take by the project's budget.
        """
        span = Span(definition.project_id, from_at, to_at)
        compiled = self._definitions().by_project.get(definition.project_id, NO_DEFINITIONS)
        tasks = self._tasks(span, self._history.newest(span, _SAMPLE_TASKS))
        begun_s = time.monotonic()
        found = self._finder(definition, events_only(compiled))(tasks)
        took_s = time.monotonic() - begun_s
        total = self._history.count(span)
        scale = total / len(tasks) if tasks else 0.0
        return {
            "tasks": total,
            "seconds": round(scale * took_s, 1),
            "events": round(scale * len(found)),
            **self._opinions(definition, compiled, tasks, scale),
            "sampled_tasks": len(tasks),
        }

    def _opinions(
        self,
        definition: EventDefinition,
        compiled: CompiledDefinitions,
        tasks: Sequence[Mapping[str, Any]],
        scale: float,
    ) -> dict[str, Any]:
        """Return what the LLM's opinions on `scale` times these tasks would cost; nothing where it is not asked."""
        llm = self._judging.llm
        # Who has no LLM here may have one where the jobs run: what only it decides, it would be asked about.
        has_llm = llm is not None or engine_spec(definition.engine).is_decided_by_llm
        is_asked = judge_of(definition, has_llm=has_llm, has_encoder=self._judging.encoder is not None) == "llm"
        cost = JudgeCost()
        if is_asked and not needs_session(definition):
            others = [one for one in compiled.definitions if one.name != definition.name and not needs_session(one)]
            cost = judge_cost(definition, others, tasks, analyse_project(tasks, events_only(compiled)))
        tokens = round(scale * (cost.tokens_in + cost.tokens_out))
        usd = scale * llm.usd(cost.tokens_in, cost.tokens_out) if llm else 0.0
        return {
            "llm_calls": round(scale * cost.calls),
            "llm_tokens": tokens,
            "llm_usd": round(usd, 2),
            "llm_days": _days(tokens, usd, compiled.settings),
        }

    def diff(self, old: EventDefinition | None, new: EventDefinition, max_tasks: int) -> dict[str, Any]:
        """
        Return what `new` finds in the latest tasks that `old` does not, and the other way round, with examples.

        `old` None finds nothing. Both are compiled with the other definitions of the project as they are, and each
        with the classifier that its labels teach it.
        """
        span = Span(new.project_id)
        finders = [self._finder(one or new, self._compiled_with(one, new)) for one in (old, new)]
        changes = _Changes()
        ids = self._history.newest(span, min(max_tasks, MAX_TASKS))
        for begin in range(0, len(ids), _TASKS_AT_ONCE):
            tasks = self._tasks(span, ids[begin : begin + _TASKS_AT_ONCE])
            before, after = (find(tasks) for find in finders)
            for task in tasks:
                changes.add(task, before.get(task["task_id"]), after.get(task["task_id"]))
        return changes.told(len(ids))

    def _finder(self, definition: EventDefinition, compiled: CompiledDefinitions) -> _Finder:
        """Return what finds a definition's events in tasks, by the task's id, or in the sessions that end in them."""
        if not needs_session(definition):
            return lambda tasks: _found(tasks, compiled, definition.name)
        run = SessionBackfill(self._facts, definition, compiled)
        return lambda tasks: run.found([task["task_id"] for task in tasks])

    def _compiled_with(self, definition: EventDefinition | None, new: EventDefinition) -> CompiledDefinitions:
        known = self._definitions().by_project.get(new.project_id, NO_DEFINITIONS)
        others = [one for one in known.definitions if one.name != new.name]
        classifiers = {one.name: known.classifiers[one.name] for one in others if one.name in known.classifiers}
        if definition is None:
            return events_only(compile_definitions(others, classifiers, known.settings))
        stored = known.classifiers.get(new.name) if definition in known.definitions else None
        classifier = stored or self._classifiers.classifier(definition, others)
        if classifier is not None:
            classifiers[new.name] = classifier
        return events_only(compile_definitions([*others, definition], classifiers, known.settings))

    def _tasks(self, span: Span, task_ids: Sequence[str]) -> list[dict[str, Any]]:
        return [task for task in self._history.tasks(span.project_id, task_ids) if check_task(task) is None]


def _days(tokens: int, usd: float, settings: ProjectSettings) -> int | None:
    """Return the days of budget that so much takes; None where the project lets nobody be asked."""
    if not settings.llm_daily_tokens:
        return None if tokens else 0
    by_price = usd / settings.llm_daily_usd if settings.llm_daily_usd else 0.0
    return math.ceil(max(tokens / settings.llm_daily_tokens, by_price))


class _Changes:
    """Counts of what two versions find, with the first examples of each kind of difference."""

    def __init__(self) -> None:
        self._found: list[dict[str, Any]] = []
        self._lost: list[dict[str, Any]] = []
        self._counts = {"newly_found": 0, "no_longer_found": 0, "found_by_both": 0}

    def add(self, task: Mapping[str, Any], before: Event | None, after: Event | None) -> None:
        """Take the findings of both versions in one task."""
        if before is not None and after is not None:
            self._counts["found_by_both"] += 1
        elif after is not None:
            self._counts["newly_found"] += 1
            self._found += [_example(task, after)] if len(self._found) < _MAX_EXAMPLES else []
        elif before is not None:
            self._counts["no_longer_found"] += 1
            self._lost += [_example(task, before)] if len(self._lost) < _MAX_EXAMPLES else []

    def told(self, tasks: int) -> dict[str, Any]:
        """Return the counts, and the examples under "newly" and "no_longer"."""
        return {"tasks": tasks, **self._counts, "examples": {"newly": self._found, "no_longer": self._lost}}


def _found(tasks: Sequence[Mapping[str, Any]], compiled: CompiledDefinitions, name: str) -> dict[str, Event]:
    rows = analyse_project(tasks, compiled)
    return {row["task_id"]: event for row in rows for event in row["events"] if event["name"] == name}


def _example(task: Mapping[str, Any], event: Event) -> dict[str, Any]:
    return {
        "task_id": task["task_id"],
        "session_id": task["session_id"],
        "score": event["score"],
        "evidence": event["evidence"],
        "input": task["input"][:_PREVIEW_CHARACTERS],
        "output": task["output"][:_PREVIEW_CHARACTERS],
    }
