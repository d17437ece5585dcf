"""Where a request comes from: its own site or another, the local machine, or a proxy that may be believed."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from starlette.requests import Request

from phospho_web.problems import Problem

Networks = Sequence[IPv4Network | IPv6Network]

_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
_MARKS_OF_A_PROXY = frozenset({"forwarded", "via", "x-real-ip"})
_MARK_OF_A_PROXY = "x-forwarded-"
# One household or machine has a whole /64 of IPv6 addresses.
_IPV6_PREFIX_BITS = 64


def networks(texts: Sequence[str]) -> Networks:
    """Return the networks of addresses such as 10.0.0.7 and 10.1.0.0/16. Raises ValueError."""
    return [ip_network(text) for text in texts]


def is_same_site(request: Request) -> bool:
    """
    Tell whether a browser sent the request from a page of ours.

    Browsers that are younger than 2023 say so in Sec-Fetch-Site where TLS or loopback makes the connection safe; the
    others name the page's origin. What says neither comes from no browser, and carries a key where it may act.
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

    A site that points its own name at 127.0.0.1 (DNS rebinding) is of the same origin as what it reads there; the
    name that it used is all that tells its requests from the local user's.
    """
    host = request.url.hostname or ""
    if host not in _LOOPBACK_HOSTS and host not in allowed_hosts:
        raise Problem(
            421, "foreign_host", f"this server does not answer for {host!r}", "open it by its address of loopback"
        )


def is_passed_on(request: Request) -> bool:
    """Tell whether a proxy has passed the request on: then it may be anybody's, though it comes from this machine."""
    return any(name in _MARKS_OF_A_PROXY or name.startswith(_MARK_OF_A_PROXY) for name in request.headers)


def client_address(request: Request, trusted: Networks) -> str:
    """Return the address that tries are counted under: the last one that no trusted proxy has, an IPv6's network."""
    address = _peer(request)
    passed = request.headers.get("x-forwarded-for", "").split(",")
    while is_within(address, trusted) and passed and passed[-1].strip():
        address = passed.pop().strip()
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
    """Tell whether the browser's connection is encrypted; a header that lies harms its sender's own cookie alone."""
    passed = request.headers.get("x-forwarded-proto", "").split(",")[0].strip().lower()
    return (passed or request.url.scheme) == "https"


def local_path(wanted: str | None) -> str:
    """Return the path of a page of ours to go on to, "/" where `wanted` is anything else."""
    if not wanted or not wanted.startswith("/") or wanted.startswith("//") or len(wanted) > 2000:
        return "/"
    # A browser reads a backslash as a slash, and leaves line breaks and tabs out before it reads at all.
    return "/" if "\\" in wanted or not wanted.isprintable() else wanted


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
