"""The webhooks of a project, for the API and the pages: list, add, test and remove them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson

from phospho_dashboard.auth.visitors import Visitor
from phospho_schemas.rows.alerts import Alert
from phospho_schemas.rows.webhooks import Webhook, WebhookDelivery
from phospho_store.jobs.webhooks import MAX_WEBHOOKS, WebhookRepository
from phospho_store.registry.registry import Registry
from phospho_web.problems import Problem, unknown_event


class Attempt(Protocol):
    """The outcome of a request to a webhook: its HTTP status, or 0 and the reason where there was none."""

    @property
    def status(self) -> int: ...

    @property
    def detail(self) -> str: ...

    @property
    def is_success(self) -> bool: ...

    @property
    def reason(self) -> str: ...


@dataclass(frozen=True)
class WebhookSending:
    """
    The stored webhooks, and functions handed in by the process.

    `repository` is None where the installation has no secret key to sign with. `url_refusal` says why a URL can't be
    used, or None. `send_test` sends a signed test message, `send_alert_test` one to a
    channel of an alert. `can_mail` says whether there is a server for e-mail.
    """

    repository: WebhookRepository | None
    secret_of: Callable[[Webhook], str]
    url_refusal: Callable[[str], str | None]
    send_test: Callable[[Webhook], Attempt]
    send_alert_test: Callable[[Webhook, Alert], Attempt] | None = None
    can_mail: bool = False


MAX_EVENT_NAMES = 1_000
MAX_URL_CHARACTERS = 2_000
MAX_DEAD_DELIVERIES = 20

_NO_DELIVERIES = {"delivered": 0, "pending": 0, "dead": 0, "last_failure": ""}


@dataclass(frozen=True)
class NewWebhook:
    """A webhook to add: for the events of these names, or all, with or without the words that show them."""

    url: str
    event_names: Sequence[str]
    with_evidence: bool
    author: str


class Webhooks:
    """
    Read and change the webhooks of a project. Blocking; `test` as long as the receiver takes.

    Each method raises Problem 503 where the installation has no key to sign with, 404 for a webhook that is not the
    project's, and what the store raises.
    """

    def __init__(self, sending: WebhookSending, registry: Registry) -> None:
        self._sending = sending
        self._registry = registry

    def rows(self, project_id: str, visitor: Visitor) -> list[dict[str, Any]]:
        """
        Return the webhooks with the counts of their deliveries, the oldest first.

        Whoever knows a URL can often write to its receiver, so only admins see more than its host.
        """
        counts = self._repository().counts(project_id)
        rows = [
            public_webhook(webhook) | _NO_DELIVERIES | counts.get(webhook.webhook_id, {})
            for webhook in self._repository().event_webhooks(project_id)
        ]
        if visitor.may_in(project_id, "admin"):
            return rows
        return [row | {"url": shortened_url(row["url"])} for row in rows]

    def dead_deliveries(self, project_id: str) -> dict[str, list[dict[str, Any]]]:
        """Return the latest dead deliveries of each webhook, at most MAX_DEAD_DELIVERIES, with the reason."""
        deliveries: dict[str, list[dict[str, Any]]] = {}
        for delivery in self._repository().dead(project_id, MAX_DEAD_DELIVERIES):
            if delivery.source != "alert":
                deliveries.setdefault(delivery.webhook_id, []).append(_delivery_row(delivery))
        return deliveries

    def add(self, project_id: str, new: NewWebhook) -> tuple[Webhook, str]:
        """
        Add a webhook and return it with its secret, which is shown only now. Raises Problem 409 and 422 besides.

        An undefined event is refused: a webhook for a misspelt name would never fire.
        """
        if reason := self._sending.url_refusal(new.url):
            raise Problem(422, "invalid_url", f"the URL can't be used: {reason}")
        self._check_names(project_id, new.event_names)
        repository = self._repository()
        if len(repository.event_webhooks(project_id)) >= MAX_WEBHOOKS:
            raise Problem(409, "too_many_webhooks", f"a project has {MAX_WEBHOOKS} webhooks at most", "remove one")
        webhook = repository.add(project_id, new.url, new.event_names, new.author, with_evidence=new.with_evidence)
        return webhook, self._sending.secret_of(webhook)

    def remove(self, project_id: str, webhook_id: str) -> None:
        """Remove a webhook; its pending deliveries are not sent."""
        self._repository().remove(project_id, self._webhook(project_id, webhook_id).webhook_id)

    def test(self, project_id: str, webhook_id: str) -> Attempt:
        """Send a webhook a signed test message, and return the outcome."""
        return self._sending.send_test(self._webhook(project_id, webhook_id))

    def send_again(self, project_id: str, webhook_id: str) -> int:
        """Queue the dead deliveries of a webhook again, and return their number."""
        return self._repository().send_again(project_id, self._webhook(project_id, webhook_id).webhook_id)

    def _check_names(self, project_id: str, names: Sequence[str]) -> None:
        if not names:
            return
        unknown = set(names) - {definition.name for definition in self._registry.definitions(project_id)}
        if unknown:
            raise unknown_event(min(unknown))

    def _webhook(self, project_id: str, webhook_id: str) -> Webhook:
        webhooks = {webhook.webhook_id: webhook for webhook in self._repository().event_webhooks(project_id)}
        if webhook_id not in webhooks:
            raise _unknown_webhook(webhook_id)
        return webhooks[webhook_id]

    def _repository(self) -> WebhookRepository:
        if self._sending.repository is None:
            raise secret_key_is_missing()
        return self._sending.repository


def secret_key_is_missing() -> Problem:
    """Return the problem of an installation that has no key to sign with."""
    hint = "set PHOSPHO_SECRET_KEY, the same for the gateway, the dashboard and the worker webhooks"
    return Problem(503, "no_secret_key", "webhooks can't be signed: there is no secret key", hint)


def public_webhook(webhook: Webhook) -> dict[str, Any]:
    """Return the public fields of a webhook, without the salt that its secret derives from."""
    fields = {"webhook_id", "url", "event_names", "with_evidence", "is_gone", "created_by", "created_at"}
    return webhook.model_dump(mode="json", include=fields)


def shortened_url(url: str) -> str:
    """Return a URL up to its host, which is no secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/…"


def _delivery_row(delivery: WebhookDelivery) -> dict[str, Any]:
    """Return a delivery with its event and its task, and why it was given up."""
    event = orjson.loads(delivery.payload)["data"]
    row = delivery.model_dump(mode="json", include={"event_id", "attempts", "response_status", "detail", "found_at"})
    return row | {name: event.get(name, "") for name in ("name", "task_id", "session_id")}


def _unknown_webhook(webhook_id: str) -> Problem:
    return Problem(404, "unknown_webhook", f"there is no webhook {webhook_id!r}")
