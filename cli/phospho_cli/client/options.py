"""The options by which a command finds its server."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from phospho_cli.client.address import find_address
from phospho_cli.client.http import Client
from phospho_cli.client.settings import ClientSettings
from phospho_cli.options import settings_options

_Command = TypeVar("_Command", bound=Callable[..., Any])


def connected(command: _Command) -> _Command:
    """Give a command the options of `ClientSettings`, and a `client` in their place."""

    @functools.wraps(command)
    def with_client(settings: ClientSettings, **arguments: Any) -> Any:
        with Client(find_address(settings)) as client:
            return command(client=client, **arguments)

    decorated: Any = settings_options(ClientSettings)(with_client)
    return decorated  # type: ignore[no-any-return]
