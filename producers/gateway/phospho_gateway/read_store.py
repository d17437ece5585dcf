"""The store as endpoints of the gateway read it, and the parts that the endpoints share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from phospho_gateway.intake.intake import Services
from phospho_gateway.settings import GatewaySettings
from phospho_store.errors import StoreUnavailable
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_web.problems import store_unavailable
from phospho_web.threads import StoreThreads

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

# ClickHouse's HTTP interface takes parameters in the address. That may have 1 MB (http_max_uri_size), and each byte may
# take three characters of it.
MAX_PARAMETER_BYTES = 50_000


class ReadStore:
    """
    Runs the queries of endpoints, with connections and threads of its own.

    So queries that hang with ClickHouse hold up neither ingest nor the checks of keys.
    """

    def __init__(self, store: Store, settings: GatewaySettings) -> None:
        self.store = store.sibling(settings.read_threads)
        self.registry = Registry(self.store)
        self._threads = StoreThreads(settings.read_threads, settings.max_waiting_reads)
        self._settings = settings

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a blocking call returns. Raises its Problem, or one (503) if the store is away, slow or busy."""
        try:
            async with asyncio.timeout(self._settings.read_timeout_s):
                return await self._threads.run(call, *args, **kwargs)
        except (StoreUnavailable, TimeoutError) as error:
            logger.warning("the store did not answer: %s", error)
            raise store_unavailable("ClickHouse does not answer", self._settings.retry_after_s) from None

    def close(self) -> None:
        """Let the running calls end, and start no other."""
        self._threads.close()


@dataclass(frozen=True)
class GatewayServices(Services):
    """The parts that endpoints share, and the store that some of them read."""

    reads: ReadStore


def chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    """Yield `ids` in their order, in lists of at most MAX_PARAMETER_BYTES; an id has at most 512 characters."""
    chunk: list[str] = []
    size = 0
    for name in ids:
        size += len(name.encode())
        if chunk and size > MAX_PARAMETER_BYTES:
            yield chunk
            chunk, size = [], len(name.encode())
        chunk.append(name)
    if chunk:
        yield chunk
