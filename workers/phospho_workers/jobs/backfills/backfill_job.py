"""
The job that runs the current version of a definition over past tasks.

The analysis of a task is one row. A backfill writes it again with the events of its definition replaced and the others
as they were. Its `definitions_revision` is between those of the earlier definitions and of the ones it ran under (see
`analysis_merge`): it wins against what was found under earlier ones, never against live detection under the same ones,
nor against a later write of the task. So neither order nor repetition matters. Of two backfilled rows, the one made
from the other wins, and the backfills of a project run one after the other, so that two processes lose nothing of each
other's work. A definition that reads sessions has rows of its own, which are rewritten in the same way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from phospho_schemas.definitions.validation import needs_session
from phospho_schemas.messages import EventDefinition, ProjectSettings
from phospho_schemas.rows.jobs import Backfill
from phospho_store.errors import StatementRefused
from phospho_store.jobs.backfills import BackfillRepository
from phospho_workers.detection.definitions import NO_DEFINITIONS, CompiledDefinitions, Snapshot
from phospho_workers.jobs.backfills.definition_backfill import SessionBackfill, TaskBackfill
from phospho_workers.jobs.backfills.history import History, Span
from phospho_workers.jobs.loop.job import MAX_PAUSE_S
from phospho_workers.jobs.loop.leases import Holds, all_projects
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.runtime import metrics

logger = logging.getLogger(__name__)

_TASKS_AT_ONCE = 500
# Pages that are worked on side by side; progress is stored after each round of them.
_PAGES_AT_ONCE = 4
_THREADS = 2

# Whether a judge is asked about the candidates of a definition, in a project with these settings.
IsJudged = Callable[[EventDefinition, ProjectSettings], bool]


class BackfillJob:
    """
    Works on the projects with backfills in turn, a few pages a step.

    A backfill whose candidates a judge is asked about is `judging` once its tasks are read, and done when no candidate
    is open: see `judges.judge_job`. `definitions` is called once a step.
    """

    name = "backfills"
    pause_s = 1.0
    tables = ("backfill_rows",)
    max_pause_s = MAX_PAUSE_S

    def __init__(
        self,
        history: History,
        facts: SessionFacts,
        repository: BackfillRepository,
        definitions: Callable[[], Snapshot],
        *,
        is_judged: IsJudged = lambda *_: False,
        holds: Holds = all_projects,
        lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        self._holds = holds
        self._history = history
        self._facts = facts
        self._repository = repository
        self._definitions = definitions
        self._is_judged = is_judged
        self._lock = lock or nullcontext()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="phospho-backfill")

    def step(self) -> bool:
        self._end_unjudged()
        running = self._backfills_held(self._repository.running())
        if not running:
            return False
        backfill = _next_backfill(running)
        try:
            self._continue(backfill)
        except (StatementRefused, ValueError) as error:
            # A retry would fail as well, and delay the others.
            logger.error("%s: the backfill of %s ends", backfill.project_id, backfill.name, exc_info=error)
            failed = {"status": "failed", "detail": f"{type(error).__name__}: {error}"[:300]}
            self._repository.save(backfill.model_copy(update=failed))
        return True

    def _backfills_held(self, backfills: Sequence[Backfill]) -> list[Backfill]:
        return [backfill for backfill in backfills if self._holds(backfill.project_id)]

    def _end_unjudged(self) -> None:
        """End the backfills that wait for a judge where none is asked any more."""
        judging = self._backfills_held(self._repository.judging())
        by_project = self._definitions().by_project if judging else {}
        for backfill in judging:
            compiled = by_project.get(backfill.project_id, NO_DEFINITIONS)
            end = _early_end(backfill, compiled)
            if end is None and not self._is_judged(_definition(compiled, backfill.name), compiled.settings):
                end = {"status": "done", "detail": "nobody is asked about what is in doubt"}
            if end is not None:
                self._repository.save(backfill.model_copy(update=end))

    def _continue(self, backfill: Backfill) -> None:
        snapshot = self._definitions()
        compiled = snapshot.by_project.get(backfill.project_id, NO_DEFINITIONS)
        if (end := _early_end(backfill, compiled)) is not None:
            self._repository.save(backfill.model_copy(update=end))
            return
        span = Span(backfill.project_id, backfill.from_at, backfill.to_at)
        if not backfill.after:
            backfill = backfill.model_copy(update={"tasks": self._history.count(span)})
        definition = _definition(compiled, backfill.name)
        run = self._run(definition, compiled)
        pages = self._pages(span, backfill.after)
        with self._lock:
            events = sum(self._pool.map(lambda task_ids: run(task_ids, snapshot.revision), pages))
        metrics.TASKS_BACKFILLED.inc(sum(map(len, pages)))
        is_judged = self._is_judged(definition, compiled.settings)
        self._save(backfill, pages, events, end_status="judging" if is_judged else "done")

    def _run(self, definition: EventDefinition, compiled: CompiledDefinitions) -> Callable[[Sequence[str], int], int]:
        """Return the function that detects in tasks, stores the events, and returns their number."""
        if needs_session(definition):
            return SessionBackfill(self._facts, definition, compiled).run
        return TaskBackfill(self._history, definition, compiled).run

    def _save(self, backfill: Backfill, pages: Sequence[Sequence[str]], events: int, *, end_status: str) -> None:
        """Store the progress of a backfill, unless it was cancelled meanwhile. Without another page it ends."""
        stored = self._repository.backfill(backfill.project_id, backfill.backfill_id)
        if stored is None or stored.status != "running":
            return
        tasks_done = backfill.tasks_done + sum(map(len, pages))
        has_ended = not pages
        progress: dict[str, Any] = {
            "after": pages[-1][-1] if pages else backfill.after,
            "tasks_done": tasks_done,
            # Tasks that have arrived since the start are live detection's; those that it met count as well.
            "tasks": tasks_done if has_ended else max(backfill.tasks, tasks_done),
            "events_found": backfill.events_found + events,
            "status": end_status if has_ended else "running",
        }
        self._repository.save(backfill.model_copy(update=progress))
        if has_ended:
            logger.info("%s: backfill of %s read %d tasks", backfill.project_id, backfill.name, tasks_done)

    def _pages(self, span: Span, after: str) -> list[list[str]]:
        pages: list[list[str]] = []
        while len(pages) < _PAGES_AT_ONCE and (task_ids := self._history.page(span, after, _TASKS_AT_ONCE)):
            pages.append(task_ids)
            after = task_ids[-1]
        return pages


def _next_backfill(running: Sequence[Backfill]) -> Backfill:
    """Return the oldest backfill of the project that has waited longest: those of one project run one by one."""
    by_project: dict[str, list[Backfill]] = {}
    for backfill in running:
        by_project.setdefault(backfill.project_id, []).append(backfill)
    of_project = min(by_project.values(), key=lambda backfills: max(backfill.updated_at for backfill in backfills))
    return min(of_project, key=lambda backfill: (backfill.created_at, backfill.backfill_id))


def _definition(compiled: CompiledDefinitions, name: str) -> EventDefinition:
    return next(definition for definition in compiled.definitions if definition.name == name)


def _early_end(backfill: Backfill, compiled: CompiledDefinitions) -> dict[str, str] | None:
    """Return the end of a backfill that can't continue, or None."""
    if not compiled.settings.detect_events:
        return {"status": "cancelled", "detail": "the project looks for no events: switch detect_events on"}
    versions = {definition.name: definition.version for definition in compiled.definitions}
    if versions.get(backfill.name) != backfill.definition_version:
        return {"status": "superseded", "detail": "the definition has another version now, or is deleted"}
    return None
