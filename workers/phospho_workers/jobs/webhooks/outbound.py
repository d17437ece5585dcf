"""
HTTP to addresses that a customer chose, safe from SSRF: never to this machine or its network, and bounded in time.

A name is resolved once, every address of it is checked, and the connection goes to one of them: the name is never
resolved a second time (DNS rebinding). Redirects are not followed, and proxies of the environment are not used. The
text of a refusal goes to whoever wrote the address, so it doesn't tell which names this network has.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpcore

from phospho_workers.jobs.webhooks.addresses import HOW_TO_ALLOW, Address, Network, is_allowed, url_refusal

TIMEOUT_S = 10.0
_CONNECT_TIMEOUT_S = 5.0
# The system resolver has no time-out: a lookup that takes longer than TIMEOUT_S is left to its thread.
_MAX_LOOKUPS = 32


class Refused(httpcore.ConnectError):
    """The address is not one that requests may go to."""


@dataclass(frozen=True)
class Answer:
    """The status of an answer; 0 with the reason where there was none."""

    status: int
    detail: str = ""

    @property
    def is_success(self) -> bool:
        """True if the receiver has taken the request."""
        return 200 <= self.status < 300

    @property
    def reason(self) -> str:
        """Why the receiver has not taken it."""
        return self.detail or f"it answered HTTP {self.status}"


@dataclass(frozen=True)
class Document:
    """An answer with its body; `status` is 0, and `detail` the reason, where there was none, or a too long one."""

    status: int
    body: bytes = b""
    detail: str = ""


class Outbound:
    """Requests to customers' addresses. Thread-safe; each is bounded in time, and so is what is read of its answer."""

    def __init__(self, allowed: Sequence[Network] = ()) -> None:
        self._allowed = tuple(allowed)
        self._lookups = ThreadPoolExecutor(_MAX_LOOKUPS, thread_name_prefix="phospho-lookup")

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made at the first request: to read the system's certificates takes 30 ms and more."""
        return ssl.create_default_context()

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post a body and return the answer; nothing is raised for what a receiver or a network may do."""
        document = self._exchange("POST", url, headers, body, timeout_s=TIMEOUT_S, max_bytes=0)
        return Answer(document.status, document.detail)

    def fetch(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, max_bytes: int
    ) -> Document:
        """Send a request and return the answer with its body; nothing is raised for what a server or a network does."""
        return self._exchange(method, url, headers, body, timeout_s=timeout_s, max_bytes=max_bytes)

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, max_bytes: int
    ) -> Document:
        if reason := url_refusal(url):
            return Document(0, detail=f"the URL is refused: {reason}")
        backend = _GuardedBackend(self._allowed, self._lookups, time.monotonic() + timeout_s)
        try:
            with (
                httpcore.ConnectionPool(self._tls, max_connections=1, network_backend=backend) as pool,
                pool.stream(method, url, headers=_with_length(headers, body), content=body) as response,
            ):
                return _document(response, max_bytes)
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            return Document(0, detail=f"{type(error).__name__}: {error}"[:300])
        except UnicodeError:
            return Document(0, detail="the host is no name that can be looked up")


def _document(response: httpcore.Response, max_bytes: int) -> Document:
    """Return an answer with its body, of which nothing is read for a bound of 0."""
    chunks: list[bytes] = []
    size_bytes = 0
    for chunk in response.iter_stream() if max_bytes else ():
        size_bytes += len(chunk)
        if size_bytes > max_bytes:
            return Document(0, detail=f"the answer is larger than {max_bytes / 1e6:,.0f} MB")
        chunks.append(chunk)
    return Document(response.status, b"".join(chunks))


def _with_length(headers: Mapping[str, str], body: bytes) -> list[tuple[bytes, bytes]]:
    given = {**headers, "Content-Length": str(len(body)), "Connection": "close"}
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in given.items()]


class _GuardedBackend(httpcore.SyncBackend):
    """Connects to allowed addresses only, and not after the deadline."""

    def __init__(self, allowed: Sequence[Network], lookups: Executor, deadline_s: float) -> None:
        self._allowed = allowed
        self._lookups = lookups
        self._deadline_s = deadline_s

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = _refusal(host)
        for address in self._resolved(host, port):
            left_s = min(_CONNECT_TIMEOUT_S, _left_s(self._deadline_s, httpcore.ConnectTimeout))
            try:
                stream = super().connect_tcp(
                    str(address), port, timeout=left_s, local_address=local_address, socket_options=socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _TimedStream(stream, self._deadline_s)
        raise failure

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        raise Refused("no request goes to a socket of this machine")

    def _resolved(self, host: str, port: int) -> list[Address]:
        """Return the addresses of a host. Raises Refused where any of them is not allowed."""
        lookup = self._lookups.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            entries = lookup.result(_left_s(self._deadline_s, httpcore.ConnectTimeout))
        except TimeoutError as error:
            lookup.cancel()
            raise httpcore.ConnectTimeout(f"{host} was not looked up in time") from error
        except OSError as error:
            raise _refusal(host) from error
        texts = dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in entries)
        addresses = [ipaddress.ip_address(text) for text in texts]
        if not all(is_allowed(address, self._allowed) for address in addresses):
            raise _refusal(host)
        return addresses


def _refusal(host: str) -> Refused:
    """Return the same refusal for unknown names and for names of this network, so that nobody can list its names."""
    return Refused(f"{host} is not known as a public address; {HOW_TO_ALLOW} if it is one of your network")


class _TimedStream(httpcore.NetworkStream):
    """A stream with a deadline for its whole life, however slowly the other side sends."""

    def __init__(self, stream: httpcore.NetworkStream, deadline_s: float) -> None:
        self._stream = stream
        self._deadline_s = deadline_s

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left_s(self._deadline_s, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left_s(self._deadline_s, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left_s = _left_s(self._deadline_s, httpcore.ConnectTimeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, left_s), self._deadline_s)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left_s(deadline_s: float, timeout: type[httpcore.TimeoutException]) -> float:
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise timeout("it took too long")
    return left_s
