"""The gateway's own checks of an event, for `--dry-run`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from phospho_cli.client.failures import joined
from phospho_gateway.intake.events import AcceptedEvent, Envelope, EventReader, check_retention
from phospho_schemas.ids import HybridClock
from phospho_schemas.times import utc_now
from phospho_store.log_files.log_file import LogLine
from phospho_store.log_files.records import BadLine
from phospho_web.problems import Problem
from phospho_web.requests import parse_json

_SHORTEST_RETENTION = timedelta(days=1)


class OwnProject(NamedTuple):
    """The project that a key logs to. 0 days of retention keep its tasks for ever."""

    project_id: str
    retention_days: int = 0


class EventCheck:
    """
    Checks events as the gateway does that the import would send them to.

    `own_project` returns the project of the key, or None where it can't be known. It is called at the first event
    that names a project, or may be older than the project's retention.
    """

    def __init__(self, own_project: Callable[[], OwnProject | None]) -> None:
        self._own_project = own_project
        self._reader = EventReader(HybridClock(), "dry-run")
        self._received_at = utc_now()

    def created_at(self, log: LogLine) -> str | BadLine:
        """Return the time that the event would be stored with, in ISO 8601, or why it would be rejected."""
        try:
            event = parse_json(log.event)
            named = event.get("project_id")
            project_id = (self._project.project_id if self._project else str(named)) if named else "any"
            envelope = Envelope(project_id, "batch", self._received_at)
            accepted = self._reader.read(event, envelope, 0)
            self._check_retention(accepted, envelope)
            return accepted.created_at
        except Problem as problem:
            return BadLine(log.line, joined(problem.message, problem.hint))

    def _check_retention(self, accepted: AcceptedEvent, envelope: Envelope) -> None:
        is_recent = datetime.fromisoformat(accepted.created_at) > self._received_at - _SHORTEST_RETENTION
        if not is_recent and self._project is not None:
            accepted = accepted._replace(project_id=self._project.project_id)
            check_retention(accepted, envelope, self._project.retention_days)

    @cached_property
    def _project(self) -> OwnProject | None:
        return self._own_project()
