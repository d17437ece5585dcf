"""A short form of `make chaos` on the cluster of this folder."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from chaos.__main__ import DEFINITIONS
from chaos.faults import FAULTS
from chaos.load import Load
from chaos.outcome import dead_letters, differing_rows, doubled_rows, ledger_totals, lost_tasks
from fixtures.shapes import OnKafka

_FAULTS = (
    "kill -9 of a worker",
    "restart of ClickHouse",
    "kill -9 of a gateway",
    "restart of the broker",
    "restart of a worker",
    "kill -9 of a worker",
)


@pytest.mark.kafka
@pytest.mark.timeout(400)
def test_six_faults_under_load_lose_and_double_nothing(cluster: OnKafka, tmp_path: Path) -> None:
    faulty, quiet = cluster.of_project("faulty"), cluster.of_project("quiet")
    (tmp_path / "definitions.yaml").write_text(DEFINITIONS)
    faulty.phospho("definitions", "apply", str(tmp_path / "definitions.yaml"))
    quiet.apply_definitions(tmp_path / "definitions.yaml")
    load = Load(faulty)

    with load.running():
        for seed, name in enumerate(_FAULTS):
            FAULTS[name][0](faulty, random.Random(seed))
    faulty.settle()
    Load(quiet).repeat(load.batches)
    quiet.settle()

    assert load.accepted
    assert lost_tasks(faulty, load) == set()
    assert doubled_rows(faulty) == dead_letters(faulty) == 0
    assert sum(differing_rows(faulty, quiet).values()) == 0
    ledger = ledger_totals(faulty)
    assert ledger["accepted"] == ledger["stored"] + ledger["already_known"] > 0
