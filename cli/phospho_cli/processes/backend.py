"""The store, the publisher and their services, which the gateway, the API and the pages of a process share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from phospho_cli.processes.embedded.pipeline import Pipeline
from phospho_cli.processes.serving import BackgroundTask
from phospho_gateway.settings import KafkaPublisherSettings
from phospho_schemas.ids import HybridClock
from phospho_schemas.topics import RECEIPTS
from phospho_store.clickhouse import ClickHouseSettings, remote
from phospho_store.errors import StoreError
from phospho_store.registry.authentication import Authenticator
from phospho_store.registry.quotas import DailyQuotas, keep_fresh
from phospho_store.registry.registry import Registry
from phospho_store.retention import enforce_hourly
from phospho_store.revisions import observe_hourly, observe_stored
from phospho_store.store import Store

if TYPE_CHECKING:
    from phospho_gateway.kafka_publisher import KafkaPublisher

# A gateway starts without ClickHouse, also where that hangs. The background task looks again.
_FIRST_LOOK_TIMEOUT_S = 5
_CLOSE_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Backend:
    """The parts that every endpoint of a process shares. `readiness` names the checks of /readyz."""

    store: Store
    registry: Registry
    publisher: Pipeline | KafkaPublisher
    clock: HybridClock
    authenticator: Authenticator
    quotas: DailyQuotas
    readiness: Mapping[str, Callable[[], str | None]]

    def background_tasks(self) -> dict[str, BackgroundTask]:
        """Return the background tasks that keep quotas and clock up with what others have stored, by name."""
        return {
            "quotas": partial(keep_fresh, self.quotas),
            "revisions": partial(observe_hourly, self.clock, self.store),
        }

    def enforce_retention(self) -> dict[str, BackgroundTask]:
        """Return the background task that deletes expired rows, by its name."""
        return {"retention": partial(enforce_hourly, self.store, self.registry)}


def build_backend(store: Store, publisher: Pipeline | KafkaPublisher, clock: HybridClock, *, admin_key: str) -> Backend:
    """Return a backend over a store and a publisher, which stay the caller's to close."""
    registry = Registry(store, clock)
    # Requests are refused until the rules of masking are read, which background tasks repeat.
    with suppress(StoreError):
        registry.projects()
    name = "pipeline" if isinstance(publisher, Pipeline) else "kafka"
    return Backend(
        store,
        registry,
        publisher,
        clock,
        authenticator=Authenticator(registry, admin_secret=admin_key or None),
        quotas=DailyQuotas(store, registry),
        readiness={name: publisher.check},
    )


@contextmanager
def open_backend(
    clickhouse: ClickHouseSettings, publisher_settings: KafkaPublisherSettings, *, admin_key: str
) -> Iterator[Backend]:
    """Yield a backend over ClickHouse and Kafka servers, and close its connections at the end."""
    with ExitStack() as stack:
        store = remote(clickhouse)
        stack.callback(store.close)
        publisher = stack.enter_context(open_kafka(publisher_settings))
        clock = HybridClock()
        with closing(remote(clickhouse, size=1, answer_timeout_s=_FIRST_LOOK_TIMEOUT_S)) as quick_store:
            observe_stored(clock, quick_store)
        yield build_backend(store, publisher, clock, admin_key=admin_key)


@contextmanager
def open_kafka(settings: KafkaPublisherSettings) -> Iterator[KafkaPublisher]:
    """Yield a publisher to Kafka, and flush it at the end. Raises BadSetting for properties that can't be used."""
    # Imported here: a process without Kafka imports no client.
    from phospho_cli.kafka import check_properties
    from phospho_gateway.kafka_publisher import KafkaPublisher

    check_properties(settings.kafka)
    # A receipt is written after its logs: it doesn't linger, since its request waits for both.
    receipts = KafkaPublisher(settings, RECEIPTS, linger_ms=0)
    publisher = KafkaPublisher(settings, receipts=receipts)
    try:
        yield publisher
    finally:
        publisher.close(_CLOSE_TIMEOUT_S)
        receipts.close(_CLOSE_TIMEOUT_S)


def store_check(store: Store) -> Callable[[], str | None]:
    """Return a check that queries the store, and returns what is wrong or None."""

    def check() -> str | None:
        try:
            store.rows("SELECT 1 AS answer")
        except StoreError as error:
            return str(error)[:200]
        return None

    return check
