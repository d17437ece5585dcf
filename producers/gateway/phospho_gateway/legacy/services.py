"""What every endpoint of the legacy API stands on."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from phospho_gateway.access.access import Access
from phospho_gateway.intake.body import BodyReader
from phospho_gateway.intake.budget import ByteBudget
from phospho_gateway.intake.fields import project_of
from phospho_gateway.intake.intake import Intake
from phospho_gateway.legacy.reads.reads import Reads
from phospho_gateway.settings import GatewaySettings


@dataclass(frozen=True)
class LegacyServices:
    """Who may ask, how bodies are read, where logs go, and where answers come from."""

    settings: GatewaySettings
    access: Access
    budget: ByteBudget
    bodies: BodyReader
    intake: Intake
    reads: Reads

    async def project(self, request: Request) -> str:
        """
        Return the project that a request is about: that of its path or of its key.

        Raises Problem: what Access raises, and 422 for an administrator who names none.
        """
        return project_of({}, await self.access.project(request, request.path_params.get("project_id")))
