"""What every endpoint needs, put together once by whoever starts the process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from phospho_dashboard.settings import DashboardSettings
from phospho_dashboard.sign_in import SignInDesk
from phospho_store.threads import StoreThreads
from phospho_schemas.messages import EventDefinition
from phospho_schemas.records import Keyed
from phospho_store.auth import Authenticator
from phospho_store.registry import Registry
from phospho_store.store import Store

# Says why a definition can't work (a pattern that does not compile, no keywords), or None.
DefinitionCheck = Callable[[EventDefinition], str | None]


class Publisher(Protocol):
    """Puts messages onto the topic of raw logs."""

    async def publish(self, messages: Sequence[Keyed]) -> None:
        """Return when every message is durable. Raises Problem (429 or 503) where it can't be taken."""


@dataclass(frozen=True)
class Services:
    """
    The store and what stands on it. `publisher` is None where this process can't publish.

    Users' SQL has connections and threads of its own: slow queries must not hold up ingest or the pages. So have
    passwords, each of which costs a thread its time and 64 MiB.
    """

    settings: DashboardSettings
    store: Store
    registry: Registry
    authenticator: Authenticator
    publisher: Publisher | None
    check_definition: DefinitionCheck
    threads: StoreThreads
    sql_store: Store
    sql_threads: StoreThreads
    desk: SignInDesk
    password_threads: StoreThreads

    def close(self) -> None:
        """Let the running calls end, and start no other."""
        self.threads.close()
        self.sql_threads.close()
        self.password_threads.close()
