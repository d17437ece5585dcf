"""The job that gives past tasks the themes of a new model, the newest first."""

from __future__ import annotations

import logging
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, NamedTuple

from phospho_schemas.rows.themes import ThemeRun
from phospho_schemas.times import utc_text
from phospho_store.registry.themes import ThemeRepository
from phospho_store.sql import compose
from phospho_store.store import Store
from phospho_workers.detection.definitions import NO_DEFINITIONS, Snapshot
from phospho_workers.detection.detect import NO_THEMES, themes_of
from phospho_workers.detection.text.sides import Side
from phospho_workers.detection.themes.model import ThemeModel
from phospho_workers.jobs.backfills.analysis_merge import backfilled_revision
from phospho_workers.jobs.backfills.history import History
from phospho_workers.jobs.loop.leases import Holds, all_projects

logger = logging.getLogger(__name__)

ThemeModels = Mapping[Side, ThemeModel]
_TASKS_AT_ONCE = 2_000
_TEXTS_AT_ONCE = 250

# Parameters: project, limit, and before and before_id where a page was read.
_PAGE = """
SELECT task_id, created_at FROM task_rows FINAL
WHERE project_id = {project:String} $before
ORDER BY created_at DESC, task_id DESC LIMIT {limit:UInt32}
"""
_BEFORE = """
AND created_at <= {before:DateTime64(3, 'UTC')}
    AND (created_at, task_id) < ({before:DateTime64(3, 'UTC')}, {before_id:String})
"""
_THEMES = """
SELECT task_id, theme, theme_version FROM analysis_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)} AND theme_version != {version:UInt32}
"""


class _Page(NamedTuple):
    task_ids: list[str]
    last_at: datetime | None
    last_id: str


class ThemeHistoryJob:
    """
    Works on the projects whose past tasks wait for a model, a page a step.

    It rewrites the analyses of tasks of earlier models, as a backfill does, so nothing counts twice and a killed job
    goes on at its page. `lock` is held by backfills too: of two that rewrite one row, one would lose its work.
    """

    name = "theme-history"
    pause_s = 2.0
    tables = ("theme_run_rows",)
    max_pause_s = 30.0

    def __init__(
        self,
        store: Store,
        definitions: Callable[[], Snapshot],
        lock: AbstractContextManager[Any],
        holds: Holds = all_projects,
    ) -> None:
        self._holds = holds
        self._store = store
        self._history = History(store)
        self._repository = ThemeRepository(store)
        self._definitions = definitions
        self._lock = lock

    def step(self) -> bool:
        """Assign one page of past tasks, and return whether there was any."""
        runs = [run for run in self._repository.open_runs() if self._holds(run.project_id)]
        if not runs:
            return False
        run, snapshot = runs[0], self._definitions()
        models = snapshot.by_project.get(run.project_id, NO_DEFINITIONS).themes
        page = self._page(run)
        versions = {model.version for model in models.values()}
        if versions != {run.version} or not page.task_ids:
            self._save(run, {"status": "done", "tasks": run.tasks_done})
            return True
        for begin in range(0, len(page.task_ids), _TEXTS_AT_ONCE):
            task_ids = page.task_ids[begin : begin + _TEXTS_AT_ONCE]
            with self._lock:
                self._assign(run.project_id, task_ids, models, snapshot.revision)
        done = run.tasks_done + len(page.task_ids)
        self._save(
            run,
            {
                "status": "assigning",
                "tasks_done": done,
                "tasks": max(run.tasks, done),
                "before_at": page.last_at,
                "before_id": page.last_id,
            },
        )
        return True

    def _page(self, run: ThemeRun) -> _Page:
        position = {"before": utc_text(run.before_at)[:-1], "before_id": run.before_id} if run.before_at else {}
        sql = compose(_PAGE, before=_BEFORE if run.before_at else "")
        rows = self._store.rows(sql, {"project": run.project_id, "limit": _TASKS_AT_ONCE, **position})
        last_at = datetime.fromisoformat(f"{rows[-1]['created_at']}+00:00") if rows else None
        return _Page([row["task_id"] for row in rows], last_at, rows[-1]["task_id"] if rows else "")

    def _assign(self, project_id: str, task_ids: Sequence[str], models: ThemeModels, revision: int) -> None:
        """Rewrite the analyses of these tasks that are of other models."""
        [version] = {model.version for model in models.values()}
        parameters = {"project": project_id, "tasks": list(task_ids), "version": version}
        stale = {row["task_id"] for row in self._store.rows(_THEMES, parameters)}
        if not stale:
            return
        stored = self._history.analyses(project_id, sorted(stale))
        tasks = [task for task in self._history.tasks(project_id, sorted(stale)) if task["task_id"] in stored]
        by_side = [themes_of(model, side, [task[side] for task in tasks]) for side, model in models.items()]
        rows = [
            _with_themes(stored[task["task_id"]], columns, revision)
            for task, *columns in zip(tasks, *by_side, strict=True)
            if stored[task["task_id"]]["revision"] == task["revision"]
            and stored[task["task_id"]]["definitions_revision"] < revision
        ]
        self._history.save(rows)

    def _save(self, run: ThemeRun, progress: Mapping[str, Any]) -> None:
        """Store the progress, unless a newer model began another run meanwhile."""
        stored = self._repository.run(run.project_id)
        if stored is not None and stored.version == run.version:
            self._repository.save_run(stored.model_copy(update=dict(progress)))


def _with_themes(
    stored: Mapping[str, Any], columns: Sequence[Mapping[str, Any]], definitions_revision: int
) -> dict[str, Any]:
    """Return an analysis with the themes of each side, none of a side without a model."""
    revision = backfilled_revision(stored, definitions_revision)
    return {**stored, **NO_THEMES, **dict(ChainMap(*map(dict, columns))), "definitions_revision": revision}
