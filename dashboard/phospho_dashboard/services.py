"""Services: the store, the settings, access control and the threads that every feature uses."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from phospho_dashboard.auth.access import Access
from phospho_dashboard.auth.directory import Directory
from phospho_dashboard.auth.passwords import Passwords
from phospho_dashboard.auth.sign_ins import SignIns
from phospho_dashboard.settings import DashboardSettings
from phospho_schemas.ids import HybridClock
from phospho_schemas.times import utc_now
from phospho_store.registry.authentication import Authenticator
from phospho_store.registry.people import People
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_web.publisher import Publisher
from phospho_web.threads import StoreThreads


@dataclass(frozen=True)
class Services:
    """
    The foundation of every feature. `publisher` is None where this process can't publish.

    Users' SQL has connections and threads of its own, because slow queries must not hold up ingest or the pages. So
    have exports, whose readers may be slow; calls that take seconds, such as a diff or a request to a webhook; and
    passwords, each of which costs a thread its time and 64 MiB.
    """

    settings: DashboardSettings
    store: Store
    registry: Registry
    clock: HybridClock
    access: Access
    sign_ins: SignIns
    publisher: Publisher | None
    threads: StoreThreads
    sql_store: Store
    sql_threads: StoreThreads
    export_store: Store
    export_threads: StoreThreads
    slow_threads: StoreThreads
    password_threads: StoreThreads

    def close(self) -> None:
        """Let the running calls end, and start no other."""
        self.threads.close()
        self.sql_threads.close()
        self.export_threads.close()
        self.slow_threads.close()
        self.password_threads.close()


def create_services(
    settings: DashboardSettings,
    store: Store,
    registry: Registry,
    authenticator: Authenticator,
    *,
    publisher: Publisher | None = None,
    clock: HybridClock | None = None,
    passwords: Passwords | None = None,
    now: Callable[[], datetime] = utc_now,
) -> Services:
    """Build the services of one process; its API and its pages share them."""
    max_waiting = settings.max_waiting_requests
    threads = StoreThreads(settings.store_threads, max_waiting)
    sign_ins = SignIns(Directory(People(store), passwords or Passwords(), now), settings.sign_in, now)
    access = Access(
        settings,
        registry=registry,
        authenticator=authenticator,
        sign_ins=sign_ins,
        threads=threads,
        form_key=settings.form_key or secrets.token_urlsafe(32),
    )
    return Services(
        settings=settings,
        store=store,
        registry=registry,
        clock=clock or HybridClock(),
        access=access,
        sign_ins=sign_ins,
        publisher=publisher,
        threads=threads,
        sql_store=store.sibling(settings.sql_queries),
        sql_threads=StoreThreads(settings.sql_queries, max_waiting),
        export_store=store.sibling(settings.exports),
        export_threads=StoreThreads(settings.exports, max_waiting),
        slow_threads=StoreThreads(settings.slow_calls, max_waiting),
        password_threads=StoreThreads(settings.password_threads, max_waiting),
    )
