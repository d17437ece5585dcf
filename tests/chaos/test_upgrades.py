"""Rolling upgrades: processes of before and after the last migration share one schema, under load."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from chaos.load import Load
from chaos.outcome import dead_letters, doubled_rows, ledger_totals, lost_tasks
from fixtures.phospho_process import invoke_phospho, run_phospho
from fixtures.shapes import OnKafka
from phospho_store.migrations import migrations

_ROOT = Path(__file__).parents[2]
_MIGRATIONS = "schemas/phospho_store/migrations"
_PACKAGES = ("cli", "dashboard", "schemas", "workers", "producers/gateway", "producers/python")
_STAGES = ("extraction", "detection", "sink")

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.timeout(900)]


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment in which `phospho` is that of the commit before the last migration."""
    folder = tmp_path_factory.mktemp("earlier")
    last = _git("log", "-1", "--diff-filter=A", "--format=%H", "--", f"{_MIGRATIONS}/*.sql").decode().strip()
    with tarfile.open(fileobj=io.BytesIO(_git("archive", f"{last}^", *_PACKAGES))) as archive:
        archive.extractall(folder, filter="data")
    environment = {"PYTHONPATH": os.pathsep.join(str(folder / package) for package in _PACKAGES)}
    program = "from phospho_store.migrations import migrations; print(len(migrations()))"
    count = subprocess.check_output([sys.executable, "-c", program], env=os.environ | environment)
    assert int(count) < len(migrations())
    return environment


class UpgradedCluster(OnKafka):
    """A cluster whose schema and whose processes are of the environments given; an empty one is this commit's."""

    def __init__(self, folder: Path, schema: Mapping[str, str], processes: Mapping[str, str]) -> None:
        super().__init__(folder, processes)
        self._schema = schema

    def make_tables(self) -> None:
        run_phospho("migrate", environment={**self.server_environment(), "PYTHONPATH": "", **self._schema})

    def migrate(self) -> None:
        invoke_phospho("migrate", environment=self.server_environment())

    def upgrade(self, name: str) -> None:
        """Replace the workers of a stage by those of this commit, one at a time."""
        self._environment = {}
        for worker_name, worker in list(self.workers.items()):
            if worker_name.startswith(name):
                assert worker.stop() == 0
                self.workers[worker_name] = self._stack.enter_context(self.worker(worker_name))
                self.workers[worker_name].wait_until_ready()

    def wait_for_a_batch(self) -> None:
        """Return when accepted tasks that were logged from now on are stored."""
        stored = self.number_stored()
        self.wait_until(lambda: self.number_stored() >= stored + 20, "no task is stored")

    def number_stored(self) -> int:
        return int(self.store.rows("SELECT uniqExact(task_id) AS tasks FROM analysis_rows")[0]["tasks"])


def _check(cluster: OnKafka, load: Load) -> None:
    cluster.settle()
    assert load.accepted
    assert lost_tasks(cluster, load) == set()
    assert doubled_rows(cluster) == dead_letters(cluster) == 0
    ledger = ledger_totals(cluster)
    assert ledger["accepted"] == ledger["stored"] + ledger["already_known"] > 0


def test_earlier_processes_work_on_the_new_schema_until_replaced(earlier: dict[str, str], tmp_path: Path) -> None:
    with UpgradedCluster(tmp_path, schema={}, processes=earlier) as cluster:
        load = Load(cluster)
        with load.running():
            cluster.wait_for_a_batch()
            for stage in _STAGES:
                cluster.upgrade(stage)
                cluster.wait_for_a_batch()
        _check(cluster, load)


def test_new_processes_work_on_the_earlier_schema_until_migrated(earlier: dict[str, str], tmp_path: Path) -> None:
    with UpgradedCluster(tmp_path, schema=earlier, processes={}) as cluster:
        load = Load(cluster)
        with load.running():
            cluster.wait_for_a_batch()
            cluster.migrate()
            cluster.wait_for_a_batch()
        _check(cluster, load)
