"""
Backfills: the current version of one definition, run over the tasks of the past.

All that detection says of a task is one row, so a backfill writes that row again with the events of its definition
replaced, and the others as they were. Its `definitions_revision` is less than that of the instructions which it ran
under: it holds against what was found under earlier ones, and never against the live detection of the same ones, nor of
a later write of the task. So the order in which the two come does not matter, and neither does a repetition. Of two
rows that backfills have written the one that follows from the other holds, and a project's backfills come one by one:
so that two processes lose nothing of each other's. A definition that reads sessions has rows of its own, which are
written in the same way: see session_history.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from phospho_schemas.definitions import needs_session
from phospho_schemas.messages import Backfill, EventDefinition, ProjectSettings
from phospho_store.errors import StatementRefused
from phospho_store.jobs.backfills import BackfillBook
from phospho_workers.detection.definitions import NO_DEFINITIONS, CompiledDefinitions, Snapshot
from phospho_workers.detection.detect import analyse, check_task
from phospho_workers.jobs.backfills.analysis_merge import backfilled_revision, is_older, rewritten
from phospho_workers.jobs.backfills.history import History, Span
from phospho_workers.jobs.backfills.session_backfill import SessionBackfill
from phospho_workers.jobs.loop.job import MAX_PAUSE_S
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.runtime import metrics

logger = logging.getLogger(__name__)

_TASKS_AT_ONCE = 500
# Pages that are worked on side by side; progress is stored after each round of them.
_PAGES_AT_ONCE = 4
_THREADS = 2

_Writer = Callable[[Sequence[str]], int]
# Whether a judge is asked about what a definition doubts, in a project with these settings.
Asks = Callable[[EventDefinition, ProjectSettings], bool]


class BackfillJob:
    """
    Works on the projects with backfills in turn, a few pages a step. `definitions` is asked once a step.

    One whose doubts a judge is asked about is `asking` when its tasks are read, and done when the judge has nothing
    left of it: see open_queue.
    """

    name = "backfills"
    pause_s = 1.0
    tables = ("backfill_rows",)
    max_pause_s = MAX_PAUSE_S

    def __init__(
        self,
        history: History,
        facts: SessionFacts,
        book: BackfillBook,
        definitions: Callable[[], Snapshot],
        asks: Asks = lambda *_: False,
    ) -> None:
        self._history = history
        self._facts = facts
        self._book = book
        self._definitions = definitions
        self._asks = asks
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="phospho-backfill")

    def step(self) -> bool:
        self._end_those_that_ask_nobody()
        running = self._book.running()
        if not running:
            return False
        backfill = _next(running)
        try:
            self._go_on(backfill)
        except (StatementRefused, ValueError) as error:
            # It would fail again, and hold up the others.
            logger.error("%s: the backfill of %s ends", backfill.project_id, backfill.name, exc_info=error)
            failed = {"status": "failed", "detail": f"{type(error).__name__}: {error}"[:300]}
            self._book.save(backfill.model_copy(update=failed))
        return True

    def _end_those_that_ask_nobody(self) -> None:
        asking = self._book.asking()
        by_project = self._definitions().by_project if asking else {}
        for one in asking:
            compiled = by_project.get(one.project_id, NO_DEFINITIONS)
            end = _early_end(one, compiled)
            if end is None and not self._asks(_definition(compiled, one.name), compiled.settings):
                end = {"status": "done", "detail": "nobody is asked about what is in doubt"}
            if end is not None:
                self._book.save(one.model_copy(update=end))

    def _go_on(self, backfill: Backfill) -> None:
        snapshot = self._definitions()
        compiled = snapshot.by_project.get(backfill.project_id, NO_DEFINITIONS)
        if (end := _early_end(backfill, compiled)) is not None:
            self._book.save(backfill.model_copy(update=end))
            return
        span = Span(backfill.project_id, backfill.from_at, backfill.to_at)
        if not backfill.after:
            backfill = backfill.model_copy(update={"tasks": self._history.count(span)})
        pages = self._pages(span, backfill.after)
        found = sum(self._pool.map(self._writer(backfill, compiled, snapshot.revision), pages))
        metrics.TASKS_BACKFILLED.inc(sum(map(len, pages)))
        asks = self._asks(_definition(compiled, backfill.name), compiled.settings)
        self._save(backfill, pages, found, "asking" if asks else "done")

    def _save(self, backfill: Backfill, pages: Sequence[Sequence[str]], found: int, end: str) -> None:
        """Store how far a backfill is, unless it was cancelled meanwhile; `end` is its status without another page."""
        known = self._book.one(backfill.project_id, backfill.backfill_id)
        if known is None or known.status != "running":
            return
        done = backfill.tasks_done + sum(map(len, pages))
        is_done = not pages
        state: dict[str, Any] = {
            "after": pages[-1][-1] if pages else backfill.after,
            "tasks_done": done,
            # Tasks that have come since it began are of live detection's; where it met them, they count as well.
            "tasks": done if is_done else max(backfill.tasks, done),
            "events_found": backfill.events_found + found,
            "status": end if is_done else "running",
        }
        self._book.save(backfill.model_copy(update=state))
        if is_done:
            logger.info("%s: backfill of %s read %d tasks", backfill.project_id, backfill.name, done)

    def _pages(self, span: Span, after: str) -> list[list[str]]:
        pages: list[list[str]] = []
        while len(pages) < _PAGES_AT_ONCE and (ids := self._history.page(span, after, _TASKS_AT_ONCE)):
            pages.append(ids)
            after = ids[-1]
        return pages

    def _writer(self, backfill: Backfill, compiled: CompiledDefinitions, revision: int) -> _Writer:
        """Return what looks at tasks, stores what it finds, and tells how many events that is."""
        definition = _definition(compiled, backfill.name)
        if needs_session(definition):
            run = SessionBackfill(self._facts, definition, compiled)
            return lambda task_ids: run.store(task_ids, revision)
        return lambda task_ids: self._stored(backfill, task_ids, compiled, revision)

    def _stored(self, backfill: Backfill, task_ids: Sequence[str], compiled: CompiledDefinitions, revision: int) -> int:
        """Write the analyses of these tasks again where they are of earlier instructions; return the events found."""
        known = self._history.analyses(backfill.project_id, task_ids)
        # What no detection can read has a dead letter already.
        tasks = [task for task in self._history.tasks(backfill.project_id, task_ids) if check_task(task) is None]
        rows = analysed([task for task in tasks if task["task_id"] in known], events_alone(compiled))
        rows += analysed([task for task in tasks if task["task_id"] not in known], compiled)
        older = [row for row in rows if is_older(known.get(row["task_id"]), row["revision"], revision)]
        merged = [_merged(known.get(row["task_id"]), row, backfill.name, revision) for row in older]
        self._history.save([row for row in merged if row is not None])
        return sum(event["name"] == backfill.name for row in rows for event in row["events"])


def _next(running: Sequence[Backfill]) -> Backfill:
    """Return the oldest backfill of the project that has waited longest: those of one project come one by one."""
    by_project: dict[str, list[Backfill]] = {}
    for one in running:
        by_project.setdefault(one.project_id, []).append(one)
    chosen = min(by_project.values(), key=lambda ones: max(one.updated_at for one in ones))
    return min(chosen, key=lambda one: (one.created_at, one.backfill_id))


def _definition(compiled: CompiledDefinitions, name: str) -> EventDefinition:
    return next(one for one in compiled.definitions if one.name == name)


def _early_end(backfill: Backfill, compiled: CompiledDefinitions) -> dict[str, str] | None:
    """Return what to say of a backfill that can't go on, or None."""
    if not compiled.settings.detect_events:
        return {"status": "cancelled", "detail": "the project looks for no events: switch detect_events on"}
    version = next((one.version for one in compiled.definitions if one.name == backfill.name), None)
    if version != backfill.definition_version:
        return {"status": "superseded", "detail": "the definition has another version now, or is deleted"}
    return None


def analysed(tasks: Sequence[Mapping[str, Any]], compiled: CompiledDefinitions) -> list[dict[str, Any]]:
    """Return the analyses of tasks of one project."""
    return analyse(tasks, {tasks[0]["project_id"]: compiled}) if tasks else []


def _merged(
    known: Mapping[str, Any] | None, row: Mapping[str, Any], name: str, definitions_revision: int
) -> dict[str, Any] | None:
    """Return what was known of a task with the events and candidates of one definition as they are now; None if so."""
    if known is None:
        return {**row, "definitions_revision": backfilled_revision(None, definitions_revision)}
    return rewritten(known, row, name, ["events", "candidates"], definitions_revision)


def events_alone(compiled: CompiledDefinitions) -> CompiledDefinitions:
    """Return the definitions of a project for a run that looks for events and for nothing else."""
    settings = compiled.settings.model_copy(update={"detect_sentiment": False, "detect_language": False})
    return replace(compiled, settings=settings)
