"""The origin of a request: our site or another, the local machine, or a trusted proxy."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from starlette.requests import Request

from phospho_web.problems import Problem

Networks = Sequence[IPv4Network | IPv6Network]

_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
_PROXY_HEADERS = frozenset({"forwarded", "via", "x-real-ip"})
_PROXY_HEADER_PREFIX = "x-forwarded-"
# One household or machine has a whole /64 of IPv6 addresses.
_IPV6_PREFIX_BITS = 64


def networks(texts: Sequence[str]) -> Networks:
    """Return the networks of addresses such as 10.0.0.7 and 10.1.0.0/16. Raises ValueError."""
    return [ip_network(text) for text in texts]


def is_same_site(request: Request) -> bool:
    """
    Tell whether a browser sent the request from a page of ours.

    Browsers from 2023 on say so in Sec-Fetch-Site where TLS or loopback makes the connection safe. Older ones name the
    page's origin. A request with neither comes from no browser, and needs a key to act.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    try:
        origin = urlsplit(request.headers.get("origin", "")).netloc.lower()
    except ValueError:
        return False
    return bool(origin) and origin == request.headers.get("host", "").lower()


def check_host(request: Request, allowed_hosts: Sequence[str]) -> None:
    """
    Raise Problem 421 for a Host that is neither loopback's nor one of `allowed_hosts`.

    A site that points its own name at 127.0.0.1 (DNS rebinding) has the same origin as the pages it reads there. Only
    the name in the request tells it from the local user.
    """
    host = request.url.hostname or ""
    if host not in _LOOPBACK_HOSTS and host not in allowed_hosts:
        raise Problem(421, "foreign_host", f"this server does not answer for {host!r}", "open it at http://127.0.0.1")


def is_proxied(request: Request) -> bool:
    """Tell whether a proxy forwarded the request, which may then be anybody's, though it comes from this machine."""
    return any(name in _PROXY_HEADERS or name.startswith(_PROXY_HEADER_PREFIX) for name in request.headers)


def client_address(request: Request, trusted: Networks) -> str:
    """Return the address to count attempts under: the last one that is no trusted proxy's; of IPv6, its network."""
    address = _peer(request)
    forwarded = request.headers.get("x-forwarded-for", "").split(",")
    while is_within(address, trusted) and forwarded and forwarded[-1].strip():
        address = forwarded.pop().strip()
    return _network_of(address)


def is_from(request: Request, trusted: Networks) -> bool:
    """Tell whether the connection itself comes from one of these networks, whatever its headers say."""
    return is_within(_peer(request), trusted)


def is_within(address: str, trusted: Networks) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in trusted)


def is_encrypted(request: Request) -> bool:
    """Tell whether the browser's connection is encrypted; a false header harms only its sender's own cookie."""
    protocol = request.headers.get("x-forwarded-proto", "").split(",")[0].strip().lower()
    return (protocol or request.url.scheme) == "https"


def local_path(path: str | None) -> str:
    """Return the path where it is one of our pages, else "/"."""
    if not path or not path.startswith("/") or path.startswith("//") or len(path) > 2000:
        return "/"
    # A browser reads a backslash as a slash, and leaves line breaks and tabs out before it reads at all.
    return "/" if "\\" in path or not path.isprintable() else path


def _peer(request: Request) -> str:
    return request.client.host if request.client else ""


def _network_of(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:100]
    if parsed.version == 4:
        return address
    return str(ip_network((int(parsed), _IPV6_PREFIX_BITS), strict=False))
