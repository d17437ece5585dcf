"""
Requests to addresses that somebody else chose: never to this machine or its network, never longer than they may be.

A name is resolved once, every address of it is checked, and the connection goes to one that was: a second answer of
the same name (DNS rebinding) is never asked for. Redirects are not followed and proxies of the environment not used.
What is said of a refusal is told to whoever wrote the address: it names no address that this network's names have.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpcore

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

TIMEOUT_S = 10.0
_CONNECT_TIMEOUT_S = 5.0
# The system looks names up for as long as it likes; who waits for it goes on after TIMEOUT_S, and it in its thread.
_LOOKUPS_AT_ONCE = 32
_HOW_TO_ALLOW = "PHOSPHO_WEBHOOK_ALLOWED_NETWORKS of the server can allow it"
# An IPv4 address in an IPv6 one, by way of a translator: RFC 6052 and its local-use prefix (RFC 8215).
_TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))


class Refused(httpcore.ConnectError):
    """The address is not one that requests may go to."""


@dataclass(frozen=True)
class Answer:
    """The status of an answer; 0 with the reason where there was none."""

    status: int
    detail: str = ""


def parsed_networks(text: str) -> tuple[Network, ...]:
    """Return the networks of a list with commas, such as `10.0.0.0/8,::1`. Raises ValueError."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def url_refusal(url: str) -> str | None:
    """Return why no request can go to a URL, for the person who wrote it; None where one may."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is not a URL"
    if parts.scheme not in ("https", "http") or not host:
        return "it must begin with https:// or http:// and name a host"
    if parts.username is not None or parts.password is not None:
        return "it must not hold a user name or a password"
    if not url.isascii() or any(character <= " " or character == "\x7f" for character in url):
        return "it must be written in ASCII, without spaces"
    return None


def host_refusal(url: str, allowed: Sequence[Network]) -> str | None:
    """
    Return why no request can ever go to the host of a URL that is well formed; None where one may.

    Only what needs no lookup: an address, however it is written, and this machine's own name. What another name stands
    for is found out at each request, and told in the same words whatever it is, so that nobody can list this network.
    """
    host = urlsplit(url).hostname or ""
    address = _literal(host)
    if address is None or is_allowed(address, allowed):
        return None
    return f"{host} is no public address; {_HOW_TO_ALLOW}"


def _literal(host: str) -> Address | None:
    """Return the address that a host is by itself, without asking anybody; None for a name."""
    if host == "localhost" or host.endswith(".localhost"):
        return ipaddress.ip_address("127.0.0.1")
    if ":" in host:
        return ipaddress.IPv6Address(host.partition("%")[0])
    try:
        # As the resolver reads it: 2130706433, 0x7f.1 and 127.1 are 127.0.0.1.
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def is_allowed(address: Address, allowed: Iterable[Network]) -> bool:
    """Tell whether requests may go to an address: a public one, or one of the networks that are allowed."""
    if any(one in network for one in _forms(address) for network in allowed if network.version == one.version):
        return True
    return all(one.is_global and not one.is_multicast and not one.is_reserved for one in _forms(address))


def _forms(address: Address) -> list[Address]:
    """Return an address and the IPv4 addresses that it stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    inner: list[Address] = [one for one in (address.sixtofour, *(address.teredo or ())) if one is not None]
    if any(address in network for network in _TRANSLATED):
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [address, *inner]


class Outbound:
    """Posts bodies. Thread-safe; each call is bounded by TIMEOUT_S, and of the answer only the status is read."""

    def __init__(self, allowed: Sequence[Network] = ()) -> None:
        self._allowed = tuple(allowed)
        self._tls = ssl.create_default_context()
        self._lookups = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, thread_name_prefix="phospho-lookup")

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post a body and return what came of it; nothing is raised for what a receiver or a network may do."""
        if reason := url_refusal(url):
            return Answer(0, f"the URL is refused: {reason}")
        backend = _GuardedBackend(self._allowed, self._lookups, time.monotonic() + TIMEOUT_S)
        try:
            with (
                httpcore.ConnectionPool(self._tls, max_connections=1, network_backend=backend) as pool,
                pool.stream("POST", url, headers=_with_length(headers, body), content=body) as response,
            ):
                return Answer(response.status)
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            return Answer(0, f"{type(error).__name__}: {error}"[:300])
        except UnicodeError:
            return Answer(0, "the host is no name that can be looked up")


def _with_length(headers: Mapping[str, str], body: bytes) -> list[tuple[bytes, bytes]]:
    given = {**headers, "Content-Length": str(len(body)), "Connection": "close"}
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in given.items()]


class _GuardedBackend(httpcore.SyncBackend):
    """Connects to addresses that are allowed, and to nothing once the time is over."""

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
        failure: Exception = _unknown(host)
        for address in self._resolved(host, port):
            left_s = min(_CONNECT_TIMEOUT_S, _left_s(self._deadline_s, httpcore.ConnectTimeout))
            try:
                stream = super().connect_tcp(str(address), port, left_s, local_address, socket_options)
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
        """Return the addresses of a host; Refused where any of them is not allowed, so that chance decides nothing."""
        lookup = self._lookups.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            found = lookup.result(_left_s(self._deadline_s, httpcore.ConnectTimeout))
        except TimeoutError as error:
            lookup.cancel()
            raise httpcore.ConnectTimeout(f"{host} was not looked up in {TIMEOUT_S:.0f} s") from error
        except OSError as error:
            raise _unknown(host) from error
        texts = dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found)
        addresses = [ipaddress.ip_address(text) for text in texts]
        if not all(is_allowed(address, self._allowed) for address in addresses):
            raise _unknown(host)
        return addresses


def _unknown(host: str) -> Refused:
    """Return one refusal for names that are not there and names of this network: none of them can be tried out."""
    return Refused(f"{host} is not known as a public address; {_HOW_TO_ALLOW} if it is one of your network")


class _TimedStream(httpcore.NetworkStream):
    """A stream whose whole life is bounded, however slowly the other side sends."""

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


def _left_s(deadline_s: float, over: type[httpcore.TimeoutException]) -> float:
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise over(f"it took longer than {TIMEOUT_S:.0f} s")
    return left_s
