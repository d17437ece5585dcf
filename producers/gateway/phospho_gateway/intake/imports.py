"""Events of a file that a person imports on the pages, on the path of `POST /api/v1/events/batch`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from phospho_gateway.intake.events import AcceptedEvent
from phospho_gateway.intake.intake import Intake
from phospho_web.problems import Problem


class ImportIntake:
    """Checks and logs the events of one project. A result is the time that an event is stored with, or a Problem."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def check(self, project_id: str, events: Sequence[Any]) -> list[str | Problem]:
        """Return the result that each event would have. Nothing is stored or counted."""
        envelope = self._intake.new_envelope(project_id, "batch")
        return [_result(result) for result in await asyncio.to_thread(self._intake.check_all, events, envelope)]

    async def log(self, project_id: str, events: Sequence[Any]) -> list[str | Problem]:
        """Return one result per event when the good ones are durable. Raises Problem: 429 or 503."""
        envelope = self._intake.new_envelope(project_id, "batch")
        results = await asyncio.to_thread(self._intake.read_all, events, envelope)
        await self._intake.publish([result for result in results if isinstance(result, AcceptedEvent)], envelope)
        return [_result(result) for result in results]


def _result(result: AcceptedEvent | Problem) -> str | Problem:
    return result if isinstance(result, Problem) else result.created_at
