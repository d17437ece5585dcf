"""One embedded engine for a module of tests; each test has projects of its own in it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from phospho_store.migrations import migrate
from phospho_store.registry.registry import Registry
from phospho_store.store import Store, embedded

_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A migrated store, closed after the module: chDB takes one path a process, and the next module has another."""
    store = embedded(str(tmp_path_factory.mktemp("store")))
    list(migrate(store))
    yield store
    store.close()


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
