"""E-mail to a server that misbehaves. `alerts/test_alert_job.py` sends e-mails to one that behaves."""

from __future__ import annotations

import socketserver
import threading
import time
from contextlib import suppress

import pytest

from phospho_workers.jobs.webhooks import mail
from phospho_workers.jobs.webhooks.mail import Mailer, SmtpSettings


class EndlessGreeting(socketserver.StreamRequestHandler):
    """A server whose greeting never ends: each of its lines is in time."""

    def handle(self) -> None:
        with suppress(OSError):
            while True:
                self.wfile.write(b"220-welcome\r\n")
                time.sleep(0.01)


@pytest.mark.parametrize("security", ["none", "starttls"])
def test_mailer_cuts_a_conversation_without_an_end(monkeypatch: pytest.MonkeyPatch, security: mail.Security) -> None:
    monkeypatch.setattr(mail, "_MAX_DURATION_S", 0.5)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), EndlessGreeting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mailer = Mailer(SmtpSettings(host="127.0.0.1", port=server.server_address[1], security=security))
        answer = mailer.send("ops@example.com", "m", b'{"subject": "s", "text": "t"}')
        server.shutdown()

    assert answer.status == 0
    assert "SMTPServerDisconnected" in answer.detail
