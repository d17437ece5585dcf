"""The alerts of a project, for the API and the pages: list, preview, add, edit, mute, test and remove them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.services import Services
from phospho_dashboard.webhooks.webhooks import Attempt, WebhookSending, secret_key_is_missing, shortened_url
from phospho_schemas.rows.alerts import THEME_FACTS, Alert, AlertEvaluation
from phospho_schemas.rows.webhooks import ChannelFormat, Webhook
from phospho_schemas.times import utc_now
from phospho_store.alerts.repository import AlertRepository
from phospho_store.alerts.rules import MAX_ALERTS, MAX_CHANNELS, alert_refusal
from phospho_store.alerts.texts import cases_text, condition_text, value_text
from phospho_store.alerts.theme_readings import ThemeReadings
from phospho_store.jobs.webhooks import WebhookRepository
from phospho_web.problems import Problem, unknown_event

MAX_MUTE_MINUTES = 30 * 24 * 60
MAX_ADDRESS_CHARACTERS = 2_000
_RECENT = 200
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_SCHEME = "mailto:"
_PUBLIC = {
    "alert_id", "name", "metric", "subject", "filters", "condition", "threshold", "window_minutes", "min_cases",
    "resolve_after", "muted_until_at", "created_by", "created_at",
}  # fmt: skip
_NO_DELIVERIES = {"delivered": 0, "pending": 0, "dead": 0, "last_failure": ""}
_NO_VALUE = {"value": None, "cases": 0, "value_text": "", "cases_text": ""}
_NOT_EVALUATED = {"status": "new", "since_at": None, "evaluated_at": None, **_NO_VALUE}

Row = dict[str, Any]


@dataclass(frozen=True)
class NewChannel:
    """A channel to add: its format, and a URL or an e-mail address."""

    format: ChannelFormat
    to: str

    @property
    def url(self) -> str:
        """The address as a webhook has it."""
        return f"{_SCHEME}{self.to}" if self.format == "email" else self.to


@dataclass(frozen=True)
class NewAlert:
    """The fields of an alert, not checked yet, and its channels."""

    fields: Mapping[str, Any]
    channels: tuple[NewChannel, ...]


@dataclass(frozen=True)
class AlertEdit:
    """Changes of an alert: fields, new channels, and the ids of channels to remove."""

    fields: Mapping[str, Any]
    channels: tuple[NewChannel, ...] = ()
    removed_channels: tuple[str, ...] = ()


class Alerts:
    """
    Read and change the alerts of a project. Blocking; `test` as long as the receivers take.

    Each method raises Problem, 404 for an alert that is not the project's, and what the store raises.
    """

    def __init__(self, services: Services, sending: WebhookSending) -> None:
        self._sending = sending
        self._registry = services.registry
        self._repository = AlertRepository(services.store, services.clock)
        self._webhooks = WebhookRepository(services.store, services.clock)
        self._themes = ThemeReadings(services.store)

    @property
    def can_mail(self) -> bool:
        """True if there is a server for e-mail."""
        return self._sending.can_mail

    def rows(self, project_id: str, visitor: Visitor) -> list[Row]:
        """Return the alerts, those that fire first, each with its state, its last value and its channels."""
        alerts, channels = self._repository.alerts(project_id), self._channels(project_id, visitor)
        titles = self._titles(alerts)
        rows = [self._row(alert, titles) | {"channels": channels.get(alert.alert_id, [])} for alert in alerts]
        order = {"firing": 0, "no_data": 1, "ok": 2, "new": 3}
        return sorted(rows, key=lambda row: order[row["status"]])

    def detail(self, project_id: str, alert_id: str, visitor: Visitor) -> Row:
        """Return an alert as in the list, with its `changes` and its `recent` evaluations, the latest first."""
        alert = self.alert(project_id, alert_id)
        titles = self._titles([alert])
        row = self._row(alert, titles) | {"channels": self._channels(project_id, visitor).get(alert_id, [])}
        changes = self._repository.changes(project_id, alert_id)
        return row | {
            "changes": [_evaluation(alert, change, titles) for change in changes],
            "recent": [_evaluation(alert, row, titles) for row in self._repository.recent(alert, _RECENT)],
        }

    def alert(self, project_id: str, alert_id: str) -> Alert:
        """Return an alert of a project."""
        for alert in self._repository.alerts(project_id):
            if alert.alert_id == alert_id:
                return alert
        raise Problem(404, "unknown_alert", f"there is no alert {alert_id!r} in this project")

    def checked(self, project_id: str, fields: Mapping[str, Any], author: str = "") -> Alert:
        """Return the alert that `fields` describe, not stored. Raises Problem 422, and 404 for an unknown theme."""
        try:
            alert = Alert(
                project_id=project_id,
                alert_id=f"alert_{secrets.token_hex(8)}",
                created_by=author,
                created_at=utc_now(),
                **fields,
            )
        except (ValidationError, TypeError) as error:
            raise Problem(422, "invalid_alert", _fault(error)) from None
        if reason := alert_refusal(alert):
            raise Problem(422, "invalid_alert", reason)
        self._check_subject(alert)
        return alert

    def add(self, project_id: str, new: NewAlert, author: str) -> tuple[str, list[Row]]:
        """Store an alert with its channels; return its id, and these with their secrets, which are shown only now."""
        alert = self.checked(project_id, new.fields, author)
        self._check_channels(new.channels)
        if len(self._repository.alerts(alert.project_id)) >= MAX_ALERTS:
            raise Problem(409, "too_many_alerts", f"a project has {MAX_ALERTS} alerts at most", "remove one")
        # The channels come first: whoever evaluates the alert sends its first change too.
        channels = self._add_channels(alert, new.channels, author)
        self._repository.save(alert)
        return alert.alert_id, channels

    def edit(self, alert: Alert, edit: AlertEdit, author: str) -> list[Row]:
        """
        Store the changes of an alert, and return its new channels with their secrets.

        It stays the same alert: its history and its state go on, and the next evaluation compares with the new
        threshold. Raises Problem 404, 409 where it was changed since `alert` was read, and 422.
        """
        try:
            edited = Alert.model_validate({**alert.model_dump(), **edit.fields})
        except ValidationError as error:
            raise Problem(422, "invalid_alert", _fault(error)) from None
        if reason := alert_refusal(edited):
            raise Problem(422, "invalid_alert", reason)
        own = self._webhooks.channels(alert.project_id).get(alert.alert_id, [])
        remaining_channels = [webhook for webhook in own if webhook.webhook_id not in edit.removed_channels]
        if len(own) - len(remaining_channels) != len(set(edit.removed_channels)):
            raise Problem(404, "unknown_channel", "the alert has no such channel")
        if edit.channels:
            self._check_channels(edit.channels, len(remaining_channels))
        if self.alert(alert.project_id, alert.alert_id).revision != alert.revision:
            raise Problem(409, "changed_meanwhile", "the alert was changed in the meantime", "open it again")
        channels = self._add_channels(edited, edit.channels, author)
        self._repository.save(edited)
        for webhook_id in edit.removed_channels:
            self._webhooks.remove(alert.project_id, webhook_id)
        return channels

    def remove(self, project_id: str, alert_id: str) -> None:
        """Remove an alert with its channels, whose pending deliveries are dropped."""
        alert = self.alert(project_id, alert_id)
        self._repository.save(alert.model_copy(update={"is_deleted": True}))
        for webhook in self._webhooks.channels(project_id).get(alert_id, []):
            self._webhooks.remove(project_id, webhook.webhook_id)

    def mute(self, project_id: str, alert_id: str, minutes: int) -> Alert:
        """Send no change of an alert for so long; 0 minutes ends it."""
        if not 0 <= minutes <= MAX_MUTE_MINUTES:
            raise Problem(422, "invalid_minutes", f"'minutes' must be from 0 to {MAX_MUTE_MINUTES}")
        until = utc_now() + timedelta(minutes=minutes) if minutes else None
        alert = self.alert(project_id, alert_id).model_copy(update={"muted_until_at": until})
        return self._repository.save(alert)

    def test(self, project_id: str, alert_id: str) -> list[Row]:
        """Send each channel of an alert a test message, and return the outcomes."""
        alert = self.alert(project_id, alert_id)
        channels = self._webhooks.channels(project_id).get(alert_id, [])
        send = self._sending.send_alert_test
        if send is None or self._sending.repository is None:
            raise secret_key_is_missing()
        return [_outcome(webhook, send(webhook, alert)) for webhook in channels]

    def subjects(self, project_id: str) -> dict[str, Any]:
        """Return the names of the events and the titles of the themes that an alert may watch."""
        events = [definition.name for definition in self._registry.definitions(project_id)]
        return {"events": events, "themes": self._themes.titles(project_id)}

    def _add_channels(self, alert: Alert, channels: Sequence[NewChannel], author: str) -> list[Row]:
        """Store channels and return them; those that get signed messages with their secrets."""
        webhooks = [self._webhooks.add_channel(alert, channel.format, channel.url, author) for channel in channels]
        rows = [{"channel_id": webhook.webhook_id, "format": webhook.format} for webhook in webhooks]
        for row, webhook in zip(rows, webhooks, strict=True):
            if webhook.format == "webhook":
                row["secret"] = self._sending.secret_of(webhook)
        return rows

    def _row(self, alert: Alert, titles: Mapping[str, str]) -> Row:
        row = alert.model_dump(mode="json", include=_PUBLIC)
        last = self._repository.last(alert)
        state = _evaluation(alert, last, titles) if last is not None else dict(_NOT_EVALUATED)
        subject = titles.get(alert.subject, alert.subject)
        # Whether its last change was sent is another question.
        now = {"is_muted": alert.is_muted(utc_now())}
        return row | {"text": condition_text(alert, subject), "subject_title": subject} | state | now

    def _titles(self, alerts: Sequence[Alert]) -> dict[str, str]:
        is_of_themes = any(alert.metric == "theme_share" or alert.metric in THEME_FACTS for alert in alerts)
        return self._themes.titles(alerts[0].project_id) if is_of_themes else {}

    def _channels(self, project_id: str, visitor: Visitor) -> dict[str, list[Row]]:
        """
        Return the channels by alert, with the counts of their deliveries.

        Whoever knows a URL can often write to its receiver, so viewers see its host only.
        """
        counts = self._webhooks.counts(project_id)
        return {
            alert_id: [
                {
                    "channel_id": webhook.webhook_id,
                    "format": webhook.format,
                    "to": _shown_address(webhook, is_whole=visitor.may_in(project_id, "editor")),
                    "is_gone": webhook.is_gone,
                    **_NO_DELIVERIES,
                    **counts.get(webhook.webhook_id, {}),
                }
                for webhook in webhooks
            ]
            for alert_id, webhooks in self._webhooks.channels(project_id).items()
        }

    def _check_subject(self, alert: Alert) -> None:
        subjects = self.subjects(alert.project_id) if alert.subject else {"events": [], "themes": {}}
        if alert.metric == "theme_share" and alert.subject not in subjects["themes"]:
            raise Problem(404, "unknown_theme", f"there is no theme {alert.subject!r} in this project")
        if alert.metric in ("events", "event_rate") and alert.subject not in subjects["events"]:
            raise unknown_event(alert.subject)

    def _check_channels(self, channels: Sequence[NewChannel], beside: int = 0) -> None:
        """Raise Problem (422, 503) for channels that can't be added to an alert which has others `beside` them."""
        if self._sending.repository is None:
            raise secret_key_is_missing()
        if len(channels) + beside > MAX_CHANNELS:
            raise Problem(422, "too_many_channels", f"an alert has {MAX_CHANNELS} channels at most")
        for channel in channels:
            self._check_channel(channel)

    def _check_channel(self, channel: NewChannel) -> None:
        if channel.format == "email":
            if not _EMAIL.fullmatch(channel.to):
                raise Problem(422, "invalid_address", "the e-mail address can't be used", "such as ops@example.com")
            if not self._sending.can_mail:
                hint = "set PHOSPHO_SMTP_HOST for the dashboard and for the worker webhooks"
                raise Problem(422, "no_mail_server", "no e-mail can be sent: there is no SMTP server", hint)
        elif reason := self._sending.url_refusal(channel.url):
            raise Problem(422, "invalid_url", f"the URL can't be used: {reason}")


def _evaluation(alert: Alert, row: AlertEvaluation, titles: Mapping[str, str]) -> Row:
    """Return an evaluation with its values in words."""
    names = {"theme", "evaluated_at", "status", "change", "since_at", "value", "cases", "baseline", "is_muted"}
    fields = row.model_dump(mode="json", include=names)
    return fields | {
        "value_text": value_text(alert, row.value),
        "cases_text": cases_text(alert, row.cases),
        "baseline_text": value_text(alert, row.baseline),
        "theme_title": titles.get(row.theme, row.theme),
    }


def _shown_address(webhook: Webhook, *, is_whole: bool) -> str:
    if webhook.format == "email":
        address = webhook.url.removeprefix(_SCHEME)
        return address if is_whole else f"…@{address.rpartition('@')[2]}"
    return webhook.url if is_whole else shortened_url(webhook.url)


def _outcome(webhook: Webhook, attempt: Attempt) -> Row:
    detail = "it was sent" if webhook.format == "email" and not attempt.detail else attempt.reason
    return {
        "channel_id": webhook.webhook_id,
        "format": webhook.format,
        "is_delivered": attempt.is_success,
        "status": attempt.status,
        "detail": detail,
    }


def _fault(error: ValidationError | TypeError) -> str:
    if isinstance(error, TypeError):
        return "the alert has a field twice"
    first = error.errors(include_url=False, include_input=False)[0]
    name = ".".join(map(str, first["loc"]))
    return f"{name!r} can't be used: {first['msg'].removeprefix('Value error, ')}"
