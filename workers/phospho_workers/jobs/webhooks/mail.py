"""E-mail by the installation's SMTP server, as answers in the manner of HTTP."""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from functools import cached_property
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field

from phospho_schemas.settings import setting
from phospho_workers.jobs.webhooks.outbound import Answer

_TIMEOUT_S = 10.0
_MAX_DURATION_S = 30.0
_SENT, _FAILED = 200, 0
Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True)
class SmtpSettings:
    """Settings of e-mail. Without a host none is sent."""

    host: str = setting("", "SMTP server that sends the e-mails of alerts.", variable="PHOSPHO_SMTP_HOST")
    port: Annotated[int, Field(ge=1, le=65535)] = setting(587, "Port of the SMTP server.", variable="PHOSPHO_SMTP_PORT")
    security: Security = setting(  # noqa: RUF009
        "starttls",
        "`starttls`, `tls` (from the first byte, often port 465) or `none`.",
        variable="PHOSPHO_SMTP_SECURITY",
    )
    sender: str = setting(
        "phospho@localhost", "Address that e-mails of alerts come from.", variable="PHOSPHO_SMTP_FROM"
    )
    user: str = setting("", "User of the SMTP server, where it wants one.", variable="PHOSPHO_SMTP_USER")
    password: str = setting("", "Password of that user.", variable="PHOSPHO_SMTP_PASSWORD", is_secret=True)


class _BoundedSmtp(smtplib.SMTP):
    """A conversation that is cut after _MAX_DURATION_S: each byte of a slow server begins a new time-out."""

    def connect(self, *arguments: Any, **named: Any) -> tuple[int, bytes]:
        self._timer = threading.Timer(_MAX_DURATION_S, self._cut)
        self._timer.daemon = True
        self._timer.start()
        return super().connect(*arguments, **named)

    def close(self) -> None:
        self._timer.cancel()
        super().close()

    def _cut(self) -> None:
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)


class _BoundedSmtps(_BoundedSmtp, smtplib.SMTP_SSL):
    """The same, encrypted from the first byte."""


class Mailer:
    """Sends e-mails, one a connection. Thread-safe; a conversation takes half a minute at most."""

    def __init__(self, settings: SmtpSettings, tls: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        self._given_tls = tls

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made at the first message: to read the system's certificates takes 30 ms and more."""
        return self._given_tls or ssl.create_default_context()

    @property
    def is_configured(self) -> bool:
        """True if there is a server to send by."""
        return bool(self._settings.host)

    def send(self, address: str, message_id: str, body: bytes) -> Answer:
        """
        Send the JSON of `subject` and `text` to an address, and return the outcome; nothing is raised for a server.

        The Message-ID is that of each attempt, by which a mailbox recognises a second copy.
        """
        if not self.is_configured:
            return Answer(_FAILED, "there is no SMTP server: set PHOSPHO_SMTP_HOST")
        try:
            self._deliver(self._email(address, message_id, body))
        except (smtplib.SMTPException, OSError, ValueError) as error:
            return Answer(_FAILED, f"{type(error).__name__}: {error}"[:300])
        return Answer(_SENT)

    def _email(self, address: str, message_id: str, body: bytes) -> EmailMessage:
        """Return the message. Its policy refuses a line break in a header with ValueError."""
        content = orjson.loads(body)
        message = EmailMessage()
        message["From"] = self._settings.sender
        message["To"] = address
        message["Subject"] = content["subject"]
        message["Date"] = formatdate(localtime=False)
        message["Message-ID"] = f"<{message_id}@phospho>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(content["text"])
        return message

    def _deliver(self, message: EmailMessage) -> None:
        settings = self._settings
        if settings.security == "tls":
            client: smtplib.SMTP = _BoundedSmtps(settings.host, settings.port, timeout=_TIMEOUT_S, context=self._tls)
        else:
            client = _BoundedSmtp(settings.host, settings.port, timeout=_TIMEOUT_S)
        with client:
            if settings.security == "starttls":
                client.starttls(context=self._tls)
            if settings.user:
                client.login(settings.user, settings.password)
            client.send_message(message)
