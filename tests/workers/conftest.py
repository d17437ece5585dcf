"""An embedded store with projects of its own for each test of the jobs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from phospho_schemas.times import utc_text
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from store import facts

_NUMBERS = itertools.count()


@pytest.fixture
def registry(store: Store) -> Registry:
    return Registry(store)


@pytest.fixture
def project_id(registry: Registry) -> Iterator[str]:
    """A project that nobody has used, stored. Afterwards it detects nothing, or the jobs of later tests would, too."""
    project_id = registry.save_project(f"followed-{next(_NUMBERS)}").project_id
    yield project_id
    registry.delete_definitions(project_id, [definition.name for definition in registry.definitions(project_id)])


@pytest.fixture
def logged_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have tasks be logged now: no judge is asked about those that are older than a day."""
    monkeypatch.setattr(facts, "MOMENT", utc_text(datetime.now(UTC)))


@pytest.fixture
def until_done() -> Callable[..., int]:
    """Run a job until it has nothing left to do, and return the number of steps that said there is more."""

    def run(job: object) -> int:
        for steps in range(100):
            if not job.step():  # type: ignore[attr-defined]
                return steps
        raise AssertionError("it never ends")

    return run
