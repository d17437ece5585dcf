"""An embedded ClickHouse for the tests of the workers; chDB takes one path a process, so each folder has its turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from phospho_store.migrations import migrate
from phospho_store.store import Store, embedded


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A migrated store of its own for each module of tests."""
    store = embedded(str(tmp_path_factory.mktemp("store")))
    list(migrate(store))
    yield store
    store.close()
