"""The options of a server behind a proxy, which may sign people in as well."""

from __future__ import annotations

import functools
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any, TypeVar

import click

from phospho_cli.processes.wiring import Proxy
from phospho_schemas.people import ROLES, Role

_Command = TypeVar("_Command", bound=Callable[..., Any])


def proxy_options(command: _Command) -> _Command:
    """Give a command the options of a proxy, and a `proxy` in their place: a Proxy, or None."""

    @functools.wraps(command)
    def with_proxy(proxy_header: str, trusted_proxy: tuple[str, ...], proxy_role: Role | None, **rest: Any) -> Any:
        return command(proxy=_proxy(proxy_header, trusted_proxy, proxy_role), **rest)

    options = (
        click.option(
            "--proxy-header",
            envvar="PHOSPHO_PROXY_HEADER",
            default="",
            help="Header in which a proxy names who has signed in there, such as X-Forwarded-Email.",
        ),
        click.option(
            "--trusted-proxy",
            envvar="PHOSPHO_TRUSTED_PROXIES",
            multiple=True,
            metavar="ADDRESS",
            help="Address or network of the proxy; more than one may be given. Nobody else is believed about who asks.",
        ),
        click.option(
            "--proxy-role",
            envvar="PHOSPHO_PROXY_ROLE",
            type=click.Choice(ROLES),
            help="Role of who is not listed by `phospho people`  [default: none, they are turned away].",
        ),
    )
    decorated: Any = with_proxy
    for option in reversed(options):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def _proxy(header: str, addresses: tuple[str, ...], role: Role | None) -> Proxy | None:
    for address in addresses:
        try:
            ip_network(address)
        except ValueError as error:
            raise click.BadParameter(f"{address!r} is no address and no network: {error}.") from None
    if header and not addresses:
        raise click.UsageError("--proxy-header needs --trusted-proxy: a header alone can be anybody's.")
    return Proxy(header, addresses, role) if addresses else None
