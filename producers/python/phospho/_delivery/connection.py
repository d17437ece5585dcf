"""A kept-alive HTTP connection on the standard library alone."""

from __future__ import annotations

# Connecting needs this codec. If the sender's thread imported it, a fork of the app during the import would leave
# the child waiting for ever for a lock of the import system.
import encodings.idna  # noqa: F401
import http.client
import io
import math
import socket
import time
from base64 import b64encode
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

__all__ = ["Answer", "Connection", "NoAnswerError"]

# The server answers with about 200 bytes per event. A longer answer is not the server's.
MAX_ANSWER_BYTES = 16 * 1024 * 1024

# The server closed the idle connection while the request was on its way, so it has not handled it.
_STALE = (
    http.client.RemoteDisconnected,
    http.client.CannotSendRequest,
    BrokenPipeError,
    ConnectionResetError,
    ConnectionAbortedError,
)


_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")

# For a task of 50 MB, whose transport and storage take longer than those of a batch.
_S_PER_BYTE = 2e-6


class NoAnswerError(Exception):
    """The request had no complete answer: no route, no name, a timeout, a broken connection."""


class Answer(NamedTuple):
    """The server's answer. `retry_after_s` is Retry-After as seconds from now, `location` is Location."""

    status: int
    body: bytes
    retry_after_s: float | None
    location: str


class _Response(http.client.HTTPResponse):
    """A response whose every read times out at the deadline of the whole request."""

    def __init__(self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, *, deadline: float) -> None:
        super().__init__(sock, debuglevel, method)
        self.fp.close()
        self.fp = io.BufferedReader(_DeadlineReader(sock, deadline))


class _DeadlineReader(io.RawIOBase):
    """
    Reads from a socket up to a deadline of the monotonic clock, then raises TimeoutError.

    A socket's own timeout restarts with every byte: a server that sends one byte at a time would hold the sender
    for hours.
    """

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._socket = sock
        self._bytes = sock.makefile("rb", buffering=0)
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer was not complete within the request timeout")
        self._socket.settimeout(left_s)
        return self._bytes.readinto(buffer)

    def close(self) -> None:
        self._bytes.close()
        super().close()


class Connection:
    """
    Sends requests to one root URL, one at a time.

    HTTP_PROXY, HTTPS_PROXY and NO_PROXY apply, except to this machine's own addresses.
    """

    def __init__(self, base_url: str, timeout_s: float) -> None:
        self._url = urlsplit(base_url)
        self._timeout_s = self._request_timeout_s = timeout_s
        self._http: http.client.HTTPConnection | None = None

    def request(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], *, content_bytes: int = 0
    ) -> Answer:
        """
        Send one request and return its answer, whatever its status.

        The timeout bounds the whole request, from connecting to the last byte of the answer. It grows with
        *content_bytes*, the size of the body before it was compressed.
        Only a name with several dead addresses, or a slow resolver, can take longer. A stale kept-alive connection is
        reopened once. Raises `NoAnswerError`.
        """
        is_reused = self._http is not None
        self._request_timeout_s = self._timeout_s + content_bytes * _S_PER_BYTE
        try:
            return self._request_once(method, path, body, headers)
        except _STALE as error:
            self.close()
            if not is_reused:
                raise _no_answer_because(error) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise _no_answer_because(error) from error
        return self._request_on_new_connection(method, path, body, headers)

    def close(self) -> None:
        """Close the connection if there is one. The next request opens another."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def _request_on_new_connection(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        try:
            return self._request_once(method, path, body, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise _no_answer_because(error) from error

    def _request_once(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        deadline = time.monotonic() + self._request_timeout_s
        if self._http is None:
            self._http = _open(self._url, self._timeout_s, deadline)
        target, proxy_headers = _target(self._url, path)
        _set_deadline(self._http, deadline)
        self._http.request(method, target, body, {**headers, **proxy_headers})
        response = self._http.getresponse()
        content = response.read(MAX_ANSWER_BYTES)
        if not response.isclosed():
            self.close()
        retry_after_s = _retry_after_s(response.headers.get("Retry-After"))
        return Answer(response.status, content, retry_after_s, response.headers.get("Location") or "")


def _no_answer_because(error: Exception) -> NoAnswerError:
    return NoAnswerError(f"{type(error).__name__}: {error}")


def _set_deadline(connection: http.client.HTTPConnection, deadline: float) -> None:
    """Have the next request and its answer time out at *deadline*."""
    connection.response_class = partial(_Response, deadline=deadline)  # type: ignore[assignment]
    if connection.sock is not None:
        # `socket.sendall` applies the timeout to the whole body.
        connection.sock.settimeout(max(0.001, deadline - time.monotonic()))


def _open(url: SplitResult, timeout_s: float, deadline: float) -> http.client.HTTPConnection:
    proxy = _proxy_of(url)
    host, port = (proxy or url).hostname or "", (proxy or url).port
    if url.scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(host, port, timeout=timeout_s)
        if proxy is not None:
            connection.set_tunnel(url.hostname or "", url.port, _proxy_headers(proxy))
    else:
        connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    _set_deadline(connection, deadline)
    connection.connect()
    # Without it the second packet of a small request waits for the acknowledgement of the first.
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _target(url: SplitResult, path: str) -> tuple[str, dict[str, str]]:
    """Return the target of the request line, and the headers for a proxy of plain HTTP."""
    proxy = _proxy_of(url)
    if proxy is None or url.scheme == "https":
        return url.path + path, {}
    return url.geturl() + path, _proxy_headers(proxy)


def _proxy_of(url: SplitResult) -> SplitResult | None:
    proxy = getproxies().get(url.scheme)
    if not proxy or url.hostname in _THIS_MACHINE or proxy_bypass(url.hostname or ""):
        return None
    return urlsplit(proxy if "://" in proxy else f"http://{proxy}")


def _proxy_headers(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    credentials = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    return {"Proxy-Authorization": "Basic " + b64encode(credentials).decode()}


def _retry_after_s(retry_after: str | None) -> float | None:
    """Return a Retry-After header, seconds or a date (RFC 9110, 10.2.3), as seconds from now."""
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
