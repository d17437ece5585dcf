"""The parts that the endpoints share."""

from __future__ import annotations

from dataclasses import dataclass

from phospho_gateway.access.access import Access
from phospho_gateway.intake.bodies import Bodies
from phospho_gateway.intake.intake import Intake
from phospho_gateway.legacy.reads.read_store import ReadStore
from phospho_gateway.settings import GatewaySettings


@dataclass(frozen=True)
class Services:
    """Keys, bodies, the way to the publisher, and what the legacy API reads."""

    settings: GatewaySettings
    access: Access
    bodies: Bodies
    intake: Intake
    reads: ReadStore
