"""What the API and the pages do by the code of other packages: it is handed in, since this one may not import it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from phospho_schemas.messages import EventDefinition
from phospho_schemas.webhooks import Webhook
from phospho_store.jobs.backfills import BackfillBook
from phospho_store.jobs.session_closes import SessionClosings
from phospho_store.jobs.webhooks import WebhookBook
from phospho_store.registry.instructions import InstructionBook


class Attempt(Protocol):
    """What came of a request to a webhook: its HTTP status, 0 with the reason where there was none."""

    @property
    def status(self) -> int: ...

    @property
    def detail(self) -> str: ...


@dataclass(frozen=True)
class Tools:
    """
    What stands in the store, and functions of packages that this one may not import.

    `webhooks` is None where the installation has no secret key to sign with.
    """

    estimate: Callable[[EventDefinition, datetime | None, datetime | None], dict[str, Any]]
    diff: Callable[[EventDefinition | None, EventDefinition, int], dict[str, Any]]
    label_queue: Callable[[str, str, int], list[str]]
    classifiers: InstructionBook
    backfills: BackfillBook
    closings: SessionClosings
    webhooks: WebhookBook | None
    secret_of: Callable[[Webhook], str]
    url_refusal: Callable[[str], str | None]
    ping: Callable[[Webhook], Attempt]
