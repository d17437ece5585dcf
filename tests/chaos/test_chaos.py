"""The short form of `make chaos`."""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path

import pytest

from chaos.__main__ import run, scheduled_faults
from chaos.faults import schedule


# Some seconds of CPU time more than `make test` may take. `make chaos` does it with every seed of SEEDS as well.
@pytest.mark.chaos
@pytest.mark.kafka
@pytest.mark.timeout(900)
def test_short_chaos_loses_and_doubles_nothing(tmp_path: Path) -> None:
    outcome = run(tmp_path, partial(scheduled_faults, 7, 12), pause_s=0.5)
    assert outcome.faults.total() == 12
    assert outcome.accepted > 100
    assert outcome.is_good, outcome


def test_schedule_depends_on_its_seed_alone() -> None:
    def names(seed: int) -> list[str]:
        return [name for name, _, _ in itertools.islice(schedule(seed), 50)]

    assert names(1) == names(1)
    assert names(1) != names(2)
