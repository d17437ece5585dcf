"""Backfills as people and programs see them: what one would cost, started, followed, stopped."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from phospho_dashboard.definitions.definitions import current_definition
from phospho_dashboard.job_tools import Tools
from phospho_schemas.messages import Backfill
from phospho_store.registry.registry import Registry
from phospho_web.problems import Problem


class BackfillDesk:
    """
    Reads, starts and stops the backfills of a project. Blocking; `estimate` for seconds.

    Raises Problem 404 for what is not the project's, and what the store raises.
    """

    def __init__(self, registry: Registry, tools: Tools) -> None:
        self._registry = registry
        self._tools = tools
        self._book = tools.backfills

    def of_event(self, project_id: str, name: str) -> list[dict[str, Any]]:
        """Return the backfills of one definition, the latest first, each with the share that is done."""
        return [followed(one) for one in self._book.of_project(project_id) if one.name == name]

    def one(self, project_id: str, backfill_id: str) -> Backfill:
        """Return a backfill."""
        return _known(self._book.one(project_id, backfill_id), backfill_id)

    def estimate(self, project_id: str, name: str, from_at: datetime | None, to_at: datetime | None) -> dict[str, Any]:
        """Return what a backfill of the current version would cost; nothing is started."""
        return self._tools.estimate(current_definition(self._registry, project_id, name), from_at, to_at)

    def start(
        self, project_id: str, name: str, from_at: datetime | None, to_at: datetime | None, created_by: str
    ) -> Backfill:
        """Ask for a backfill of the current version; what runs already is returned, and not started twice."""
        return self._book.start(current_definition(self._registry, project_id, name), from_at, to_at, created_by)

    def cancel(self, project_id: str, backfill_id: str) -> Backfill:
        """Stop a backfill where it is. What it has done stays."""
        return _known(self._book.cancel(project_id, backfill_id), backfill_id)


def followed(backfill: Backfill) -> dict[str, Any]:
    """
    Return a backfill with `share` (0 to 1; None before its tasks are counted) and `seconds_left`, by its pace so far.

    `seconds_left` is None for one that does not run, or has no pace yet.
    """
    known = backfill.model_dump(mode="json", exclude={"revision", "schema_version", "after"})
    share = 1.0 if backfill.status == "done" else backfill.tasks_done / backfill.tasks if backfill.tasks else None
    is_running = backfill.status == "running" and backfill.tasks_done > 0
    taken_s = (backfill.updated_at - backfill.created_at).total_seconds()
    left_s = taken_s * (backfill.tasks - backfill.tasks_done) / backfill.tasks_done if is_running else None
    return known | {"share": share, "seconds_left": left_s}


def _known(backfill: Backfill | None, backfill_id: str) -> Backfill:
    if backfill is None:
        raise Problem(404, "unknown_backfill", f"there is no backfill {backfill_id!r}")
    return backfill
