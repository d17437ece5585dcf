"""An SMTP server on loopback, which keeps the e-mails that it gets and answers what it is told to."""

from __future__ import annotations

import base64
import socketserver
import ssl
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message

from fixtures.loopback import serving


@dataclass
class MailServer:
    """`refusals` are the answers to the next recipients, in place of 250; `logins` came over encrypted connections."""

    port: int
    emails: list[Message] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    refusals: deque[str] = field(default_factory=deque)
    logins: list[str] = field(default_factory=list)


@contextmanager
def receiving_mail(tls: ssl.SSLContext | None = None) -> Iterator[MailServer]:
    """Yield a server that listens on a free port; with `tls` it offers STARTTLS, and a login after it."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 ready")
            while line := self.rfile.readline():
                verb = line.decode("utf-8").strip()
                if verb.upper() == "STARTTLS" and tls is not None:
                    self._start_tls(tls)
                elif verb.upper().startswith("EHLO") and tls is not None:
                    is_encrypted = isinstance(self.connection, ssl.SSLSocket)
                    self._say(f"250-hello\r\n250 {'AUTH PLAIN' if is_encrypted else 'STARTTLS'}")
                elif verb.upper().startswith("AUTH PLAIN"):
                    server.logins.append(base64.b64decode(verb.split()[2]).decode())
                    self._say("235 welcome")
                elif verb.upper().startswith("RCPT TO:"):
                    self._rcpt(verb)
                elif verb.upper() == "DATA":
                    self._data()
                elif verb.upper() == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("250 ok")

        def _start_tls(self, context: ssl.SSLContext) -> None:
            self._say("220 go on")
            self.connection = context.wrap_socket(self.connection, server_side=True)
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)

        def finish(self) -> None:
            super().finish()
            # A wrapped socket is another one than the server's own, which it closes itself.
            self.connection.close()

        def _rcpt(self, verb: str) -> None:
            if server.refusals:
                self._say(server.refusals.popleft())
                return
            server.recipients.append(verb.partition(":")[2])
            self._say("250 ok")

        def _data(self) -> None:
            self._say("354 go on")
            lines: list[bytes] = []
            for line in self.rfile:
                if line == b".\r\n":
                    break
                lines.append(line.removeprefix(b"."))
            server.emails.append(message_from_bytes(b"".join(lines)))
            self._say("250 stored")

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    listener = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    # A client that refuses the certificate is no error of the server.
    listener.handle_error = lambda *arguments: None  # type: ignore[method-assign]
    server = MailServer(listener.server_address[1])
    with serving(listener):
        yield server
