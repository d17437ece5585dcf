"""An SMTP server on loopback, which keeps the e-mails that it gets and answers what it is told to."""

from __future__ import annotations

import socketserver
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message


@dataclass
class MailServer:
    """`refusals` are the answers to the next recipients, in place of 250."""

    port: int
    emails: list[Message] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    refusals: deque[str] = field(default_factory=deque)


@contextmanager
def receiving_mail() -> Iterator[MailServer]:
    """Yield a server that listens on a free port."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 ready")
            for line in self.rfile:
                verb = line.decode("utf-8").strip()
                if verb.upper().startswith("RCPT TO:"):
                    self._rcpt(verb)
                elif verb.upper() == "DATA":
                    self._data()
                elif verb.upper() == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("250 ok")

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
    server = MailServer(listener.server_address[1])
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
