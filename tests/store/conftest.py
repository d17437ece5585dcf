"""One embedded engine for a module of tests; each test has projects of its own in it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from fixtures.clickhouse_server import ClickHouseServer
from phospho_store.registry.registry import Registry
from phospho_store.store import DATABASE, Store

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def running_clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    with ClickHouseServer(tmp_path_factory.mktemp("remote") / "clickhouse") as server:
        yield server


@pytest.fixture
def clickhouse(running_clickhouse: ClickHouseServer) -> ClickHouseServer:
    """A server without our database."""
    with running_clickhouse.client() as client:
        client.command(f"DROP DATABASE IF EXISTS {DATABASE} SYNC")
    return running_clickhouse


@pytest.fixture
def registry(store: Store) -> Registry:
    return Registry(store)


@pytest.fixture(scope="session")
def fresh_project() -> Callable[[], str]:
    """Return the id of a project that nobody has used."""
    return lambda: f"store-test-{next(_NUMBERS)}"


@pytest.fixture
def project_id(fresh_project: Callable[[], str]) -> str:
    return fresh_project()
