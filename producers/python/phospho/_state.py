"""The one object behind the module functions: the client that `init` made."""

from __future__ import annotations

import sys
import threading
from importlib import import_module
from typing import Any

from ._client import Client, Latest
from ._queue import LogQueue
from ._sender import Sender
from .errors import NotInitializedError

__all__ = ["STATE", "module_attribute", "module_names"]


class _State:
    """Holds the default client. Replacing it lets the old one send what it still holds."""

    __slots__ = ("client", "latest", "lock")

    def __init__(self) -> None:
        self.client: Client | None = None
        self.latest = Latest()
        self.lock = threading.Lock()

    def replace(self, client: Client) -> None:
        previous = self.exchange(client)
        if previous is not None:
            previous.retire()

    def exchange(self, client: Client | None) -> Client | None:
        with self.lock:
            previous, self.client = self.client, client
        if client is not None:
            client.latest = self.latest
        return previous

    def need(self, function: str) -> Client:
        client = self.client
        if client is None:
            raise NotInitializedError(function)
        return client


STATE = _State()

# The module data of `phospho` that changes, as type checkers see it; `module_attribute` has the values.
consumer: Sender | None
latest_session_id: str | None
latest_task_id: str | None
log_queue: LogQueue | None

# Upstream imports them with the package; here they are imported when they are first asked for.
_SUBMODULES = frozenset(
    [
        "client",
        "collection",
        "extractor",
        "integrations",
        "lab",
        "models",
        "sessions",
        "tasks",
        "testing",
        "utils",
    ]
)


def module_names() -> list[str]:
    """Return the names of `phospho` and of what `module_attribute` has: it is the package's `__dir__`."""
    data = ("consumer", "latest_session_id", "latest_task_id", "log_queue", "PhosphoTest")
    return sorted({*vars(sys.modules["phospho"]), *data, *_SUBMODULES})


def module_attribute(name: str) -> Any:
    """
    Return the module data of `phospho` that changes: it is `__getattr__` of the package (PEP 562).

    `log_queue` and `consumer` are None before `init`.
    """
    client = STATE.client
    if name == "latest_task_id":
        return STATE.latest.task_id
    if name == "latest_session_id":
        return STATE.latest.session_id
    if name == "log_queue":
        return client and client.log_queue
    if name == "consumer":
        return client and client.consumer
    if name == "PhosphoTest":
        return import_module("phospho.testing").PhosphoTest
    if name in _SUBMODULES:
        return import_module(f"phospho.{name}")
    raise AttributeError(f"module 'phospho' has no attribute {name!r}")
