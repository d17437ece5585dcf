"""The functions that sign and send webhooks. The workers have them, and this package may not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from phospho_schemas.webhooks import Webhook
from phospho_store.jobs.webhooks import WebhookRepository


class Attempt(Protocol):
    """The outcome of a request to a webhook: its HTTP status, or 0 and the reason where there was none."""

    @property
    def status(self) -> int: ...

    @property
    def detail(self) -> str: ...


@dataclass(frozen=True)
class WebhookSending:
    """
    The stored webhooks, and functions handed in by the process.

    `repository` is None where the installation has no secret key to sign with. `url_refusal` says why a URL can't be
    used, or None. `send_test` sends a signed test message.
    """

    repository: WebhookRepository | None
    secret_of: Callable[[Webhook], str]
    url_refusal: Callable[[str], str | None]
    send_test: Callable[[Webhook], Attempt]
