"""The gateway's own checks of an event, for `--dry-run`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from phospho_cli.client.failures import joined
from phospho_cli.importing.log_file import LogLine
from phospho_cli.importing.records import BadLine
from phospho_gateway.intake.events import Envelope, EventReader
from phospho_schemas.ids import HybridClock
from phospho_schemas.times import utc_now
from phospho_web.problems import Problem
from phospho_web.requests import parse_json


class EventCheck:
    """
    Checks events as the gateway does that the import would send them to.

    `own_project` returns the project of the key, or None where it can't be known. It is called at the first event
    that names a project.
    """

    def __init__(self, own_project: Callable[[], str | None]) -> None:
        self._own_project = own_project
        self._reader = EventReader(HybridClock(), "dry-run")
        self._received_at = utc_now()

    def created_at(self, log: LogLine) -> str | BadLine:
        """Return the time that the event would be stored with, in ISO 8601, or why it would be rejected."""
        try:
            event = parse_json(log.event)
            named = event.get("project_id")
            project_id = self._project_id or str(named) if named else "any"
            return self._reader.read(event, Envelope(project_id, "batch", self._received_at), 0).created_at
        except Problem as problem:
            return BadLine(log.line, joined(problem.message, problem.hint))

    @cached_property
    def _project_id(self) -> str | None:
        return self._own_project()
