"""
Webhooks and the queue of their deliveries.

A webhook's secret has to be known to sign with, so a hash would not do. It is derived by HMAC from the installation's
key, which is in the process's settings and never in the store: who reads the tables can sign nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Any

from phospho_schemas.ids import broker_revision
from phospho_schemas.rows.alerts import Alert
from phospho_schemas.rows.webhooks import ChannelFormat, Webhook, WebhookDelivery
from phospho_schemas.times import utc_now
from phospho_store.repository import Repository
from phospho_store.store import json_lines

_PREFIX = "whsec_"
MAX_WEBHOOKS = 50
MAX_SENT_AGAIN = 1_000


def signing_key(installation_key: str, webhook: Webhook) -> bytes:
    """Return the 32 bytes that a webhook's messages are signed with."""
    parts = "\0".join(("phospho-webhook", webhook.project_id, webhook.webhook_id, webhook.salt))
    return hmac.digest(installation_key.encode(), parts.encode(), hashlib.sha256)


def shown_secret(installation_key: str, webhook: Webhook) -> str:
    """Return a webhook's secret as its receiver configures it, in the form of Standard Webhooks."""
    return _PREFIX + base64.b64encode(signing_key(installation_key, webhook)).decode()


class WebhookRepository(Repository):
    """Webhooks and deliveries. The last write wins."""

    def add(
        self,
        project_id: str,
        url: str,
        event_names: Sequence[str] = (),
        created_by: str = "",
        *,
        with_evidence: bool = False,
    ) -> Webhook:
        """Add a webhook and return it. It receives the events that are found from now on."""
        webhook = Webhook(
            project_id=project_id,
            webhook_id="hook_" + secrets.token_hex(8),
            url=url,
            event_names=list(event_names),
            with_evidence=with_evidence,
            salt=secrets.token_hex(16),
            created_by=created_by,
            created_at=utc_now(),
        )
        return self._saved(webhook)

    def add_channel(self, alert: Alert, channel_format: ChannelFormat, url: str, created_by: str = "") -> Webhook:
        """Add a channel of an alert and return it. It receives the changes of that alert."""
        webhook = Webhook(
            project_id=alert.project_id,
            webhook_id="channel_" + secrets.token_hex(8),
            url=url,
            format=channel_format,
            alert_id=alert.alert_id,
            salt=secrets.token_hex(16),
            created_by=created_by,
            created_at=utc_now(),
        )
        return self._saved(webhook)

    def remove(self, project_id: str, webhook_id: str) -> bool:
        """Remove a webhook; False if there is none. Its pending deliveries are dropped."""
        webhook = next((hook for hook in self.webhooks(project_id) if hook.webhook_id == webhook_id), None)
        if webhook is None:
            return False
        self._saved(webhook.model_copy(update={"is_deleted": True}))
        return True

    def switch_off(self, webhook: Webhook) -> None:
        """Stop the deliveries to a webhook whose receiver has answered that it is gone. It stays listed."""
        self._saved(webhook.model_copy(update={"is_gone": True}))

    def webhooks(self, project_id: str | None = None) -> list[Webhook]:
        """Return the webhooks of one project or of all, the oldest first."""
        where = "AND project_id = {project:String}" if project_id is not None else ""
        rest = f"WHERE NOT is_deleted {where} ORDER BY created_at, webhook_id"
        return self._read(Webhook, "webhook_rows", rest, project=project_id or "")

    def event_webhooks(self, project_id: str) -> list[Webhook]:
        """Return the webhooks of a project that receive events, the oldest first."""
        return [webhook for webhook in self.webhooks(project_id) if not webhook.alert_id]

    def channels(self, project_id: str) -> dict[str, list[Webhook]]:
        """Return the channels of a project's alerts by alert, the oldest first."""
        channels: dict[str, list[Webhook]] = {}
        for webhook in self.webhooks(project_id):
            if webhook.alert_id:
                channels.setdefault(webhook.alert_id, []).append(webhook)
        return channels

    def revision(self) -> int:
        """Return a number that rises whenever a webhook changes: a cheap query."""
        return self._greatest_revision("webhook_rows")

    def counts(self, project_id: str) -> dict[str, dict[str, Any]]:
        """Return by webhook the number of deliveries by status, and the detail of the last one that failed."""
        rows = self._store.rows(
            "SELECT webhook_id, countIf(status = 'delivered') AS delivered, countIf(status = 'pending') AS pending,"
            " countIf(status = 'dead') AS dead, argMaxIf(detail, revision, detail != '') AS last_failure"
            " FROM webhook_delivery_rows FINAL WHERE project_id = {project:String} GROUP BY webhook_id",
            {"project": project_id},
        )
        return {row.pop("webhook_id"): row for row in rows}

    def pending(self, project_id: str, webhook_id: str, limit: int) -> list[WebhookDelivery]:
        """Return the pending deliveries of a webhook, the first due first, `limit` at most."""
        rest = (
            "WHERE project_id = {project:String} AND webhook_id = {webhook:String} AND status = 'pending'"
            " ORDER BY next_attempt_at, event_id LIMIT {limit:UInt32}"
        )
        return self._deliveries(rest, project=project_id, webhook=webhook_id, limit=limit)

    def dead(self, project_id: str, limit_of_one: int) -> list[WebhookDelivery]:
        """Return the dead deliveries, the latest first: `limit_of_one` at most of each webhook."""
        rest = (
            "WHERE project_id = {project:String} AND status = 'dead'"
            " ORDER BY webhook_id, revision DESC LIMIT {limit:UInt32} BY webhook_id"
        )
        return self._deliveries(rest, project=project_id, limit=limit_of_one)

    def send_again(self, project_id: str, webhook_id: str) -> int:
        """
        Put the dead deliveries of a webhook into the queue again, the latest MAX_SENT_AGAIN, and return their number.

        Their attempts start anew. The webhook gets a new revision, by which the sender notices them, and is switched
        on if its receiver was gone.
        """
        rest = (
            "WHERE project_id = {project:String} AND webhook_id = {webhook:String} AND status = 'dead'"
            " ORDER BY revision DESC LIMIT {limit:UInt32}"
        )
        dead = self._deliveries(rest, project=project_id, webhook=webhook_id, limit=MAX_SENT_AGAIN)
        anew = {"status": "pending", "attempts": 0, "next_attempt_at": utc_now()}
        self.save_deliveries([delivery.model_copy(update=anew) for delivery in dead])
        for webhook in self.webhooks(project_id) if dead else ():
            if webhook.webhook_id == webhook_id:
                self._saved(webhook.model_copy(update={"is_gone": False}))
        return len(dead)

    def queued(self, project_id: str, webhook_ids: Sequence[str], event_ids: Sequence[str]) -> set[tuple[str, str]]:
        """Return the pairs of these webhooks and events that have a delivery."""
        rows = self._store.rows(
            "SELECT DISTINCT webhook_id, event_id FROM webhook_delivery_rows WHERE project_id = {project:String}"
            " AND webhook_id IN {webhooks:Array(String)} AND event_id IN {events:Array(String)}",
            {"project": project_id, "webhooks": list(webhook_ids), "events": list(event_ids)},
        )
        return {(row["webhook_id"], row["event_id"]) for row in rows}

    def found_until_ms(self) -> dict[tuple[str, str], int]:
        """Return by webhook and source the time (ms) up to which found events are in the queue; none if nothing is."""
        rows = self._store.rows(
            "SELECT webhook_id, source, toUnixTimestamp64Milli(max(found_at)) AS until_ms"
            " FROM webhook_delivery_rows GROUP BY webhook_id, source"
        )
        return {(row["webhook_id"], row["source"]): row["until_ms"] for row in rows}

    def enqueue(self, deliveries: Sequence[WebhookDelivery]) -> list[WebhookDelivery]:
        """
        Store new deliveries and return them as they are stored.

        Their revision is the time at which their event was found, so that every state after it wins: a process that
        was stopped and stores one late puts nothing back into the queue.
        """
        rows = [
            delivery.model_copy(update={"revision": broker_revision(int(delivery.found_at.timestamp() * 1000), 0)})
            for delivery in deliveries
        ]
        if rows:
            self._store.insert("webhook_delivery_rows", json_lines(rows))
        return rows

    def save_deliveries(self, deliveries: Sequence[WebhookDelivery]) -> list[WebhookDelivery]:
        """Store the states of deliveries and return them as they are stored."""
        newest = max((delivery.revision for delivery in deliveries), default=0)
        return self._save("webhook_delivery_rows", deliveries, newest)

    def _deliveries(self, rest: str, **parameters: Any) -> list[WebhookDelivery]:
        return self._read(WebhookDelivery, "webhook_delivery_rows", rest, **parameters)

    def _saved(self, webhook: Webhook) -> Webhook:
        return self._save_one("webhook_rows", webhook, self.revision())
