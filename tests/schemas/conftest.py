"""An embedded engine, closed after the module: chDB takes one path a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from phospho_store.migrations import migrate
from phospho_store.store import Store, embedded


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = embedded(str(tmp_path_factory.mktemp("store")))
    list(migrate(store))
    yield store
    store.close()
