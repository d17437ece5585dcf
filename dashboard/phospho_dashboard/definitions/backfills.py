"""The backfills of a project: estimate, start, follow and cancel them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from phospho_dashboard.definitions.detection import Detection
from phospho_dashboard.definitions.versions import current_definition
from phospho_dashboard.services import Services
from phospho_schemas.messages import Backfill
from phospho_store.jobs.backfills import BackfillRepository
from phospho_web.problems import Problem


class TimeRange(NamedTuple):
    """The time of the tasks of a backfill, from `from_at` to before `to_at`; None for an end that is open."""

    from_at: datetime | None
    to_at: datetime | None


class Backfills:
    """
    Read, start and cancel the backfills of a project. Blocking; `estimate` for seconds.

    Raises Problem 404 for another project's, and what the store raises.
    """

    def __init__(self, services: Services, detection: Detection) -> None:
        self._registry = services.registry
        self._detection = detection
        self._repository = BackfillRepository(services.store, services.clock)

    def of_project(self, project_id: str) -> list[Backfill]:
        """Return the backfills of a project, the latest first."""
        return self._repository.of_project(project_id)

    def of_event(self, project_id: str, name: str) -> list[dict[str, Any]]:
        """Return the backfills of one definition with their progress, the latest first."""
        backfills = self._repository.of_project(project_id)
        return [with_progress(backfill) for backfill in backfills if backfill.name == name]

    def backfill(self, project_id: str, backfill_id: str) -> Backfill:
        """Return a backfill."""
        return _existing(self._repository.one(project_id, backfill_id), backfill_id)

    def estimate(self, project_id: str, name: str, time_range: TimeRange) -> dict[str, Any]:
        """Return the cost of a backfill of the current version; nothing is started."""
        return self._detection.estimate(current_definition(self._registry, project_id, name), *time_range)

    def start(self, project_id: str, name: str, time_range: TimeRange, author: str) -> Backfill:
        """Start a backfill of the current version, or return the one that runs already."""
        definition = current_definition(self._registry, project_id, name)
        return self._repository.start(definition, time_range.from_at, time_range.to_at, author)

    def cancel(self, project_id: str, backfill_id: str) -> Backfill:
        """Stop a backfill where it is. The events that it has found stay."""
        return _existing(self._repository.cancel(project_id, backfill_id), backfill_id)


def with_progress(backfill: Backfill) -> dict[str, Any]:
    """
    Return a backfill with `share` (0 to 1; None before its tasks are counted) and `seconds_left`, by its pace so far.

    `seconds_left` is None for one that does not run, or has no pace yet.
    """
    row = backfill.model_dump(mode="json", exclude={"revision", "schema_version", "after"})
    share = 1.0 if backfill.status == "done" else backfill.tasks_done / backfill.tasks if backfill.tasks else None
    has_pace = backfill.status == "running" and backfill.tasks_done > 0
    taken_s = (backfill.updated_at - backfill.created_at).total_seconds()
    left_s = taken_s * (backfill.tasks - backfill.tasks_done) / backfill.tasks_done if has_pace else None
    return row | {"share": share, "seconds_left": left_s}


def _existing(backfill: Backfill | None, backfill_id: str) -> Backfill:
    if backfill is None:
        raise Problem(404, "unknown_backfill", f"there is no backfill {backfill_id!r}")
    return backfill
