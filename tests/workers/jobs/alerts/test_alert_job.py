"""An alert is evaluated when it is due, and each of its changes is sent once, in the format of each channel."""

from __future__ import annotations

import json
import ssl
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from phospho_schemas.rows.alerts import Alert
from phospho_schemas.times import utc_text
from phospho_store.alerts.readings import Reading, ReadingReader
from phospho_store.alerts.repository import AlertRepository
from phospho_store.alerts.theme_readings import ThemeReadings
from phospho_store.errors import StatementRefused
from phospho_store.jobs.webhooks import WebhookRepository
from phospho_store.store import Store
from phospho_workers.jobs.alerts.alert_job import AlertJob
from phospho_workers.jobs.webhooks.mail import Mailer, SmtpSettings
from store.facts import analysis, insert, task
from workers.jobs.mail_server import MailServer, receiving_mail
from workers.jobs.receiver import Receiver, receiving
from workers.jobs.webhook_fixtures import SteppedWebhookJob, counts

MINUTE = timedelta(minutes=1)


class SteppedAlertJob(AlertJob):
    """The job on a clock that can be moved on."""

    def __init__(
        self, store: Store, holds: Any = lambda _: True, readings: type[ReadingReader] = ReadingReader
    ) -> None:
        self.offset = timedelta()
        super().__init__(
            AlertRepository(store),
            readings(store, {}),
            ThemeReadings(store),
            holds,
            now=lambda: datetime.now(UTC) + self.offset,
        )

    def step_after(self, minutes: int) -> None:
        """Move the clock on, and do all that is due."""
        self.offset += minutes * MINUTE
        while self.step():
            pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with receiving_mail() as running:
        yield running


def watch(store: Store, project_id: str, **fields: Any) -> Alert:
    given = {"project_id": project_id, "alert_id": f"{project_id}-alert", "name": "Many *tasks* <!channel>\r\nBcc: eve"}
    given |= {"metric": "tasks", "condition": "above", "threshold": 2.0, "window_minutes": 5, "resolve_after": 2}
    return AlertRepository(store).save(Alert(**given | {"created_at": datetime.now(UTC)} | fields))


def log_tasks(store: Store, project_id: str, count: int, at: datetime) -> None:
    rows = [task(project_id, f"{at:%H%M%S}-{n}", created_at=utc_text(at)) for n in range(count)]
    insert(store, "task_rows", *rows)


def statuses(store: Store, alert: Alert) -> list[str]:
    return [row.status for row in reversed(AlertRepository(store).recent(alert, 100))]


class DearReadings(ReadingReader):
    """Readings that fail after a whole step for one project."""

    def reading(self, alert: Alert, at: datetime) -> Reading:
        if alert.project_id.endswith("-dear"):
            time.sleep(1.1)
            raise StatementRefused("the query takes too long", 159)
        return super().reading(alert, at)


def test_dear_alerts_of_a_project_wait_for_those_of_others(store: Store, project_id: str) -> None:
    for number in range(3):
        watch(store, f"{project_id}-dear", alert_id=f"dear-{number}")
    alert = watch(store, project_id, alert_id="cheap")
    job = SteppedAlertJob(store, lambda name: name.startswith(project_id), DearReadings)
    job.offset = 2 * MINUTE
    for _ in range(2):
        assert job.step()
    assert statuses(store, alert) == ["ok"]

    with pytest.raises(StatementRefused):
        job.step_after(0)


def test_change_is_sent_once_in_the_format_of_each_channel(
    store: Store, project_id: str, receiver: Receiver, mail: MailServer
) -> None:
    alert, hooks = watch(store, project_id), WebhookRepository(store)
    urls = {"webhook": receiver.url, "slack": f"{receiver.url}/slack", "teams": f"{receiver.url}/teams"}
    channels = {name: hooks.add_channel(alert, name, url) for name, url in urls.items()}  # type: ignore[arg-type]
    channels["email"] = hooks.add_channel(alert, "email", "mailto:ops@example.com")
    log_tasks(store, project_id, 3, datetime.now(UTC))
    job = SteppedAlertJob(store)
    sender = SteppedWebhookJob(store, mailer=Mailer(SmtpSettings(host="127.0.0.1", port=mail.port, security="none")))
    for _ in range(2):
        job.step_after(2)
        SteppedAlertJob(store).step_after(0)
    sender.step_until(lambda: all(counts(store, project_id, hook) == (1, 0, 0) for hook in channels.values()))
    # A process that was killed evaluates and reads again.
    restarted = SteppedWebhookJob(store)
    restarted.settle()
    assert statuses(store, alert)[-2:] == ["firing", "firing"]

    bodies = {request.path: json.loads(request.body) for request in receiver.received}
    assert len(receiver.received) == 3
    assert len(mail.emails) == 1
    message = bodies["/hook"]
    assert (message["type"], message["data"]["value"], message["data"]["threshold"]) == ("alert.fired", 3.0, 2.0)
    assert receiver.received[0].headers["webhook-signature"].startswith("v1,")
    slack = json.dumps(bodies["/hook/slack"])
    assert "<!channel>" not in slack.replace(json.dumps(bodies["/hook/slack"]["blocks"][0]), "")
    assert "Tasks: above 2 over 5 minutes" in slack
    card = bodies["/hook/teams"]["attachments"][0]["content"]
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    [email] = mail.emails
    assert (email["To"], email["Bcc"], mail.recipients) == ("ops@example.com", None, ["<ops@example.com>"])
    assert "Bcc: eve" in email["Subject"]
    assert "Value: 3" in email.get_payload()

    for _ in range(8):
        job.step_after(1)
    sender.step_until(lambda: all(counts(store, project_id, hook) == (2, 0, 0) for hook in channels.values()))
    signed = [json.loads(request.body) for request in receiver.received if request.path == "/hook"]
    assert [message["type"] for message in signed] == ["alert.fired", "alert.resolved"]
    assert {change.change for change in AlertRepository(store).changes(project_id)} == {"fired", "resolved"}
    assert mail.emails[1]["Subject"].startswith("[phospho] Resolved")


def test_muted_or_deleted_alert_sends_nothing(store: Store, project_id: str, receiver: Receiver) -> None:
    muted = watch(store, project_id, muted_until_at=datetime.now(UTC) + timedelta(hours=1))
    gone = watch(store, project_id, alert_id="gone")
    hooks = [WebhookRepository(store).add_channel(alert, "webhook", receiver.url) for alert in (muted, gone)]
    log_tasks(store, project_id, 3, datetime.now(UTC))
    job, sender = SteppedAlertJob(store), SteppedWebhookJob(store)
    job.step_after(2)
    AlertRepository(store).save(gone.model_copy(update={"is_deleted": True}))
    sender.read_events_now()
    sender.settle()
    assert statuses(store, muted)[-1] == "firing"
    assert [counts(store, project_id, hook) for hook in hooks] == [(0, 0, 0), (0, 0, 0)]
    assert receiver.received == []


def test_job_wakes_when_the_next_alert_is_due(store: Store, project_id: str) -> None:
    watch(store, project_id)
    job = SteppedAlertJob(store)
    job.step_after(2)
    assert 0 < job.max_pause_s <= 30
    # A minute later the alert has been due: a look that comes late finds it overdue, not due in another minute.
    job.offset += MINUTE
    assert job.max_pause_s == 0


def test_process_that_does_not_hold_the_project_evaluates_nothing(store: Store, project_id: str) -> None:
    alert = watch(store, project_id)
    SteppedAlertJob(store, holds=lambda name: name != project_id).step_after(2)
    assert statuses(store, alert) == []


def test_new_theme_is_sent_once_for_each(store: Store, project_id: str, receiver: Receiver) -> None:
    alert = watch(
        store, project_id, metric="new_theme", condition="occurs", threshold=0.0,
        created_at=datetime.now(UTC) - timedelta(hours=3),
    )  # fmt: skip
    hook = WebhookRepository(store).add_channel(alert, "webhook", receiver.url)
    now = datetime.now(UTC)
    for theme_id, minutes in (("old", 300), ("hidden", 1), ("new", 1)):
        row = {
            "project_id": project_id,
            "theme_id": theme_id,
            "revision": 1,
            "version": 2,
            "title": f"About {theme_id}",
        }
        insert(store, "theme_rows", row | {"created_at": utc_text(now - minutes * MINUTE)})
    insert(
        store, "theme_model_rows",
        {"project_id": project_id, "version": 2, "revision": 1, "model": "", "created_at": utc_text(now)},
    )  # fmt: skip
    insert(store, "theme_edit_rows", {"project_id": project_id, "theme_id": "hidden", "revision": 1, "is_hidden": True})
    job, sender = SteppedAlertJob(store), SteppedWebhookJob(store)
    job.step_after(2)
    sender.step_until(lambda: counts(store, project_id, hook) == (1, 0, 0))
    for _ in range(10):
        job.step_after(1)
    sender.read_events_now()
    sender.settle()
    [request] = receiver.received
    assert json.loads(request.body)["data"]["theme"] == "new"
    assert {row.theme: row.status for row in AlertRepository(store).last_of_themes(alert).values()} == {"new": "ok"}


def test_growing_theme_needs_an_interval_that_holds(store: Store, project_id: str) -> None:
    alert = watch(store, project_id, metric="theme_grew", condition="occurs", threshold=0.0, window_minutes=60)
    now = datetime.now(UTC)
    insert(store, "theme_model_rows", {"project_id": project_id, "version": 1, "revision": 1, "model": ""})
    for theme_id in ("billing", "login"):
        row = {"project_id": project_id, "theme_id": theme_id, "revision": 1, "version": 1, "title": theme_id}
        insert(store, "theme_rows", row)
    themes = {90: ["billing"] * 40 + ["login"] * 5 + [""] * 155, 30: ["billing"] * 44 + ["login"] * 60 + [""] * 96}
    rows = [
        analysis(
            project_id, f"{age}-{n}", session_id=f"{age}-{n}", theme=theme, created_at=utc_text(now - age * MINUTE)
        )
        for age, names in themes.items()
        for n, theme in enumerate(names)
    ]
    insert(store, "analysis_rows", *rows)
    readings = ThemeReadings(store).readings(alert, now)
    assert [(reading.theme, reading.cases, reading.baseline_cases) for reading in readings] == [("login", 60, 5)]


def test_mail_goes_out_encrypted_and_after_a_login(tmp_path: Path) -> None:
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    of_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    of_server.load_cert_chain(certificate, key)
    with receiving_mail(of_server) as mail:
        settings = SmtpSettings(host="localhost", port=mail.port, user="ann", password="secret")
        body = b'{"subject": "Hello", "text": "World"}'
        trusting = Mailer(settings, ssl.create_default_context(cafile=str(certificate)))
        assert trusting.send("ops@example.com", "m1", body).status == 200
        assert (mail.logins, len(mail.emails)) == (["\0ann\0secret"], 1)
        # A certificate that nobody vouches for ends the conversation before the login.
        assert "CERTIFICATE_VERIFY_FAILED" in Mailer(settings).send("ops@example.com", "m2", body).detail
        assert (len(mail.logins), len(mail.emails)) == (1, 1)


def test_mail_that_the_server_refuses_is_not_sent(mail: MailServer) -> None:
    mailer = Mailer(SmtpSettings(host="127.0.0.1", port=mail.port, security="none"))
    mail.refusals.append("550 no such user")
    body = b'{"subject": "Hello", "text": "World"}'
    refused = mailer.send("nobody@example.com", "m1", body)
    assert refused.status == 0
    assert "550" in refused.detail
    # The server doesn't offer encryption: nothing is sent in the clear.
    encrypting = Mailer(SmtpSettings(host="127.0.0.1", port=mail.port))
    assert "STARTTLS" in encrypting.send("ops@example.com", "m2", body).detail
    assert "PHOSPHO_SMTP_HOST" in Mailer(SmtpSettings()).send("ops@example.com", "m3", body).detail
    assert mail.emails == []
