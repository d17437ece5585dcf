"""One HTTP connection, kept alive, on the standard library alone."""

from __future__ import annotations

# Connecting needs this codec. Imported late, by the sender, it can be cut in half by a fork of the app, whose
# child then waits for ever for a lock of the import system.
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

# An answer of ours is about 200 bytes per event; what is longer is not ours.
MAX_ANSWER_BYTES = 16 * 1024 * 1024

# The server closed the idle connection while the request was on its way: nothing was done with it.
_STALE = (
    http.client.RemoteDisconnected,
    http.client.CannotSendRequest,
    BrokenPipeError,
    ConnectionResetError,
    ConnectionAbortedError,
)


_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


class NoAnswerError(Exception):
    """The request had no whole answer: no route, no name, a timeout, a broken connection."""


class Answer(NamedTuple):
    """What the server said: `retry_after_s` is Retry-After as seconds from now, `location` is Location."""

    status: int
    body: bytes
    retry_after_s: float | None
    location: str


class _Response(http.client.HTTPResponse):
    """An answer of which each read has what is left of the time for the whole request."""

    def __init__(
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, *, until: float
    ) -> None:
        super().__init__(sock, debuglevel, method)
        self.fp.close()
        self.fp = io.BufferedReader(_ReaderUntil(sock, until))


class _ReaderUntil(io.RawIOBase):
    """
    Reads from a socket until a time of the monotonic clock, then raises TimeoutError.

    A socket's own timeout begins anew with every byte: a server that drips would hold the sender for hours.
    """

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._socket = sock
        self._bytes = sock.makefile("rb", buffering=0)
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer was not complete in time")
        self._socket.settimeout(left_s)
        return self._bytes.readinto(buffer)

    def close(self) -> None:
        self._bytes.close()
        super().close()


class Connection:
    """
    Requests to one root URL, one at a time.

    HTTP_PROXY, HTTPS_PROXY and NO_PROXY are honoured, save for this machine's own addresses.
    """

    def __init__(self, base_url: str, timeout_s: float) -> None:
        self._url = urlsplit(base_url)
        self._timeout_s = timeout_s
        self._http: http.client.HTTPConnection | None = None

    def request(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        """
        Send one request and return its answer, whatever its status.

        The timeout bounds the whole request, from the first connecting to the last byte of the answer; only
        a name that has several dead addresses, or a slow resolver, can take longer. A kept-alive connection
        that proves stale is opened anew, once. Raises `NoAnswerError`.
        """
        is_reused = self._http is not None
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
        """Close the connection, if there is one. The next request opens another."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def _request_on_new_connection(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> Answer:
        try:
            return self._request_once(method, path, body, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise _no_answer_because(error) from error

    def _request_once(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        until = time.monotonic() + self._timeout_s
        if self._http is None:
            self._http = _open(self._url, self._timeout_s, until)
        target, proxy_headers = _target(self._url, path)
        _let_last(self._http, until)
        self._http.request(method, target, body, {**headers, **proxy_headers})
        response = self._http.getresponse()
        content = response.read(MAX_ANSWER_BYTES)
        if not response.isclosed():
            self.close()
        retry_after_s = _seconds(response.headers.get("Retry-After"))
        return Answer(response.status, content, retry_after_s, response.headers.get("Location") or "")


def _no_answer_because(error: Exception) -> NoAnswerError:
    return NoAnswerError(f"{type(error).__name__}: {error}")


def _let_last(connection: http.client.HTTPConnection, until: float) -> None:
    """Give the next request and its answer the time that is left, and no more."""
    connection.response_class = partial(_Response, until=until)  # type: ignore[assignment]
    if connection.sock is not None:
        # Sending a body takes this long in all (`socket.sendall`).
        connection.sock.settimeout(max(0.001, until - time.monotonic()))


def _open(url: SplitResult, timeout_s: float, until: float) -> http.client.HTTPConnection:
    proxy = _proxy_of(url)
    host, port = (proxy or url).hostname or "", (proxy or url).port
    if url.scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(host, port, timeout=timeout_s)
        if proxy is not None:
            connection.set_tunnel(url.hostname or "", url.port, _proxy_headers(proxy))
    else:
        connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    _let_last(connection, until)
    connection.connect()
    # Without it the second packet of a small request waits for the acknowledgement of the first.
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _target(url: SplitResult, path: str) -> tuple[str, dict[str, str]]:
    """Return what stands in the request line, and the headers that a proxy of plain HTTP needs."""
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


def _seconds(retry_after: str | None) -> float | None:
    """Return a Retry-After header, which is seconds or a date (RFC 9110, 10.2.3), as seconds from now."""
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
