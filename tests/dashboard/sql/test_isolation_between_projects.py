"""Users' SQL has connections and threads of its own: it takes none from ingest and the pages."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from phospho_dashboard.services import create_services
from phospho_dashboard.settings import DashboardSettings
from phospho_store.registry.authentication import Authenticator
from phospho_store.store import Store


async def test_while_every_place_of_sql_is_taken_the_pages_still_have_theirs(world: Any) -> None:
    settings = DashboardSettings(sql_queries=1, max_waiting_requests=0)
    authenticator = Authenticator(world.registry)
    services = create_services(settings, world.store, world.registry, authenticator)
    may_end = threading.Event()
    slow = asyncio.create_task(services.sql_threads.run("one", may_end.wait, 30))
    await asyncio.sleep(0)

    assert len(await services.threads.run(services.registry.projects)) >= 2
    assert len(await services.slow_threads.run("one", services.registry.projects)) >= 2
    assert await services.export_threads.run(services.export_store.rows, "SELECT 1 AS n") == [{"n": 1}]
    assert not slow.done()
    may_end.set()
    assert await slow
    services.close()


class Connection:
    """A client that runs statements and closes."""

    def __init__(self, opened: list[Connection]) -> None:
        self.is_closed = False
        opened.append(self)

    def command(self, sql: str, parameters: object) -> None:
        """Take a statement."""

    def close(self) -> None:
        self.is_closed = True


def test_a_sibling_has_connections_of_its_own_which_close_with_its_store() -> None:
    opened: list[Connection] = []
    store = Store(lambda database: Connection(opened), 1)  # type: ignore[arg-type, return-value]
    sibling = store.sibling(1)

    for _ in range(2):
        store.command("")
        sibling.command("")
    assert len(opened) == 2
    store.close()

    assert [connection.is_closed for connection in opened] == [True, True]


async def test_slow_calls_of_a_project_leave_a_thread_for_others(world: Any) -> None:
    services = create_services(DashboardSettings(), world.store, world.registry, Authenticator(world.registry))
    may_end = threading.Event()
    slow = [asyncio.create_task(services.slow_threads.run("one", may_end.wait, 30)) for _ in range(3)]
    await asyncio.sleep(0)

    assert await services.slow_threads.run("two", services.registry.projects)
    assert not any(call.done() for call in slow)
    may_end.set()
    assert all(await asyncio.gather(*slow))
    services.close()
