"""One embedded engine for a module of tests; each test has projects of its own in it."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from phospho_store.registry.registry import Registry
from phospho_store.store import Store

_NUMBERS = itertools.count()


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
