"""Webhooks as people and programs see them: listed with what became of what they were told, added, tried, removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson

from phospho_dashboard.annotations.annotations import unknown_event
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.job_tools import Attempt, Tools
from phospho_schemas.webhooks import Webhook, WebhookDelivery
from phospho_store.jobs.webhooks import MAX_WEBHOOKS, WebhookBook
from phospho_store.registry.registry import Registry
from phospho_web.problems import Problem

MAX_EVENT_NAMES = 1_000
MAX_URL_CHARACTERS = 2_000
SHOWN_DEAD = 20

_NO_DELIVERIES = {"delivered": 0, "pending": 0, "dead": 0, "last_failure": ""}


class WebhookDesk:
    """
    Reads and changes the webhooks of a project. Blocking; `tried` as long as the receiver takes.

    Each method raises Problem 503 where the installation has no key to sign with, 404 for a webhook that is not the
    project's, and what the store raises.
    """

    def __init__(self, tools: Tools, registry: Registry) -> None:
        self._tools = tools
        self._registry = registry

    def listed(self, project_id: str, visitor: Visitor) -> list[dict[str, Any]]:
        """
        Return the webhooks with how many of their deliveries stand where, the oldest first.

        Who knows a URL can often write to its receiver: who may not set webhooks sees no more than its host.
        """
        counts = self._book().counts(project_id)
        listed = [
            public_webhook(one) | _NO_DELIVERIES | counts.get(one.webhook_id, {})
            for one in self._book().webhooks(project_id)
        ]
        return listed if visitor.may("admin") else [one | {"url": _host_alone(one["url"])} for one in listed]

    def dead(self, project_id: str) -> dict[str, list[dict[str, Any]]]:
        """Return by webhook the latest deliveries that were given up, SHOWN_DEAD at most of each, with the reason."""
        found: dict[str, list[dict[str, Any]]] = {}
        for delivery in self._book().dead(project_id, SHOWN_DEAD):
            found.setdefault(delivery.webhook_id, []).append(_shown(delivery))
        return found

    def added(
        self, project_id: str, url: str, names: Sequence[str], created_by: str, with_evidence: bool
    ) -> tuple[Webhook, str]:
        """
        Add a webhook and return it with its secret, which is told this once. Raises Problem 409 and 422 besides.

        An event that nobody has defined is refused: of a name with a slip nothing would ever be told.
        """
        if reason := self._tools.url_refusal(url):
            raise Problem(422, "invalid_url", f"the URL can't be used: {reason}")
        self._check_names(project_id, names)
        book = self._book()
        if len(book.webhooks(project_id)) >= MAX_WEBHOOKS:
            raise Problem(409, "too_many_webhooks", f"a project has {MAX_WEBHOOKS} webhooks at most", "remove one")
        webhook = book.add(project_id, url, names, created_by, with_evidence=with_evidence)
        return webhook, self._tools.secret_of(webhook)

    def removed(self, project_id: str, webhook_id: str) -> None:
        """Remove a webhook: what waits for it is told no more."""
        if not self._book().remove(project_id, webhook_id):
            raise _unknown(webhook_id)

    def tried(self, project_id: str, webhook_id: str) -> Attempt:
        """Send a webhook a signed message that tells of no event, and return what came of it."""
        return self._tools.ping(self._one(project_id, webhook_id))

    def sent_again(self, project_id: str, webhook_id: str) -> int:
        """Put what was given up for a webhook into the queue again, and return how many deliveries that are."""
        return self._book().send_again(project_id, self._one(project_id, webhook_id).webhook_id)

    def _check_names(self, project_id: str, names: Sequence[str]) -> None:
        unknown = set(names) - {one.name for one in self._registry.definitions(project_id)} if names else set()
        if unknown:
            raise unknown_event(min(unknown))

    def _one(self, project_id: str, webhook_id: str) -> Webhook:
        known = next((one for one in self._book().webhooks(project_id) if one.webhook_id == webhook_id), None)
        if known is None:
            raise _unknown(webhook_id)
        return known

    def _book(self) -> WebhookBook:
        if self._tools.webhooks is None:
            hint = "set PHOSPHO_SECRET_KEY, the same for the gateway, the dashboard and the worker webhooks"
            raise Problem(503, "no_secret_key", "webhooks can't be signed: there is no secret key", hint)
        return self._tools.webhooks


def public_webhook(webhook: Webhook) -> dict[str, Any]:
    """Return what may be shown of a webhook: its secret follows from its salt, which is not among it."""
    shown = {"webhook_id", "url", "event_names", "with_evidence", "is_gone", "created_by", "created_at"}
    return webhook.model_dump(mode="json", include=shown)


def _host_alone(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/…"


def _shown(delivery: WebhookDelivery) -> dict[str, Any]:
    """Return what a page says of a delivery: which event of which task, and why it was given up."""
    told = orjson.loads(delivery.payload)["data"]
    known = delivery.model_dump(mode="json", include={"event_id", "attempts", "response_status", "detail", "found_at"})
    return known | {name: told.get(name, "") for name in ("name", "task_id", "session_id")}


def _unknown(webhook_id: str) -> Problem:
    return Problem(404, "unknown_webhook", f"there is no webhook {webhook_id!r}")
