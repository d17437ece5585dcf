"""What every endpoint needs, put together once by whoever starts the process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from phospho_dashboard.auth.sign_in import SignInDesk
from phospho_dashboard.health.health import Metrics
from phospho_dashboard.job_tools import Tools
from phospho_dashboard.settings import DashboardSettings
from phospho_schemas.messages import EventDefinition
from phospho_schemas.records import Keyed
from phospho_store.registry.authentication import Authenticator
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_store.threads import StoreThreads

# Says why a definition can't work (a pattern that does not compile, no keywords), or None.
DefinitionCheck = Callable[[EventDefinition], str | None]
# From project, task and a body as the API takes it to the message of a feedback. Raises Problem 422.
FeedbackReading = Callable[[str, str, dict[str, Any]], Keyed]
# What a definition would find in each of these tasks (rows of `task_rows`): a DetectedEvent as JSON, or None.
Preview = Callable[[EventDefinition, Sequence[Mapping[str, Any]]], Sequence[dict[str, Any] | None]]


class Publisher(Protocol):
    """Puts messages onto the topic of raw logs."""

    async def publish(self, messages: Sequence[Keyed]) -> None:
        """Return when every message is durable. Raises Problem (429 or 503) where it can't be taken."""


@dataclass(frozen=True)
class Services:
    """
    The store and what stands on it. `publisher` is None where this process can't publish.

    Users' SQL has connections and threads of its own: slow queries must not hold up ingest or the pages. So have
    exports, whose readers may be slow; what of ours takes seconds (a diff, a request to a webhook); and passwords, each
    of which costs a thread its time and 64 MiB. What other packages do is handed in as functions, by
    whoever puts the process together; a page leaves out what needs a function that is None.
    """

    settings: DashboardSettings
    store: Store
    registry: Registry
    authenticator: Authenticator
    publisher: Publisher | None
    check_definition: DefinitionCheck
    tools: Tools
    threads: StoreThreads
    sql_store: Store
    sql_threads: StoreThreads
    export_store: Store
    export_threads: StoreThreads
    slow_threads: StoreThreads
    desk: SignInDesk
    password_threads: StoreThreads
    form_key: str = field(repr=False)
    read_feedback: FeedbackReading | None = None
    preview: Preview | None = None
    own_metrics: Metrics | None = None

    def close(self) -> None:
        """Let the running calls end, and start no other."""
        self.threads.close()
        self.sql_threads.close()
        self.export_threads.close()
        self.slow_threads.close()
        self.password_threads.close()
