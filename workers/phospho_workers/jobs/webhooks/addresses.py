"""The addresses that webhooks may go to: public ones, and those of networks that the settings allow. No lookups."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HOW_TO_ALLOW = "the server's PHOSPHO_WEBHOOK_ALLOWED_NETWORKS (imports: PHOSPHO_IMPORT_ALLOWED_NETWORKS) can allow it"
# IPv4 addresses inside IPv6 ones, by way of a translator: RFC 6052 and its local-use prefix (RFC 8215).
_TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
# Public IPv6 addresses are all in here. Outside are site-local ones (fec0::/10), which `is_global` takes for public.
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# Of IANA's registries of special purposes: what some version of `is_global` takes for public, and no receiver has.
_SPECIAL_PURPOSE = tuple(
    ipaddress.ip_network(network)
    for network in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "3fff::/20")
)


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
    Return why no request can ever go to the host of a well-formed URL; None where one may.

    Only an address, however it is written, and this machine's own name are refused here. Other names are looked up at
    each request, and refused in the same words whatever they resolve to, so that nobody can list this network.
    """
    host = urlsplit(url).hostname or ""
    address = _literal(host)
    if address is None or is_allowed(address, allowed):
        return None
    return f"{host} is no public address; {HOW_TO_ALLOW}"


def is_allowed(address: Address, allowed: Iterable[Network]) -> bool:
    """Tell whether requests may go to an address: a public one, or one of the allowed networks."""
    forms = _forms(address)
    if any(form in network for form in forms for network in allowed if network.version == form.version):
        return True
    return all(map(_is_public, forms))


def _is_public(address: Address) -> bool:
    if address.version == 6 and address not in _GLOBAL_UNICAST:
        return False
    if any(address in network for network in _SPECIAL_PURPOSE):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _literal(host: str) -> Address | None:
    """Return the address that a host spells out; None for a name that has to be looked up."""
    if host == "localhost" or host.endswith(".localhost"):
        return ipaddress.ip_address("127.0.0.1")
    if ":" in host:
        return ipaddress.IPv6Address(host.partition("%")[0])
    try:
        # As the resolver reads it: 2130706433, 0x7f.1 and 127.1 are 127.0.0.1.
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _forms(address: Address) -> list[Address]:
    """Return an address and the IPv4 addresses that it stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    tunnelled = (address.sixtofour, *(address.teredo or ()))
    inner: list[Address] = [ipv4 for ipv4 in tunnelled if ipv4 is not None]
    if any(address in network for network in _TRANSLATED):
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [address, *inner]
