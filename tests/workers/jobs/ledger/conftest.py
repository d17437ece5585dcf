from __future__ import annotations

import itertools

import pytest

from phospho_store.ledger.hours import HOUR_MS
from phospho_store.store import Store
from workers.jobs.ledger.ledger_world import LedgerWorld, MakeWorld

_NUMBERS = itertools.count(1)


@pytest.fixture
def make_world(store: Store) -> MakeWorld:
    """Make a project of its own at the start of an hour, an hour ago."""

    def make() -> LedgerWorld:
        return LedgerWorld(store, f"ledger-{next(_NUMBERS)}", (store.now_ms() // HOUR_MS - 3) * HOUR_MS + 1_000)

    return make


@pytest.fixture
def world(make_world: MakeWorld) -> LedgerWorld:
    return make_world()
