"""The one object behind the module functions: the client that `init` made."""

from __future__ import annotations

import threading

from .._capture.task_log import LatestIds
from ..client import Client
from ..errors import NotInitializedError

__all__ = ["STATE"]


class _State:
    """Holds the default client. A client that is replaced sends its queued events in the background."""

    __slots__ = ("client", "latest", "lock")

    def __init__(self) -> None:
        self.client: Client | None = None
        self.latest = LatestIds()
        self.lock = threading.Lock()

    def replace(self, client: Client) -> None:
        """Make *client* the default, and let the one before send what it holds."""
        previous = self.exchange(client)
        if previous is not None:
            previous.retire()

    def exchange(self, client: Client | None) -> Client | None:
        """Make *client* the default, and return the one before."""
        with self.lock:
            previous, self.client = self.client, client
        if client is not None:
            client.task_log.latest = self.latest
        return previous

    def need(self, function: str) -> Client:
        """Return the default client for a module *function*. Raises NotInitializedError."""
        client = self.client
        if client is None:
            raise NotInitializedError(function)
        return client


STATE = _State()
