"""`python -m benchmarks --quick` measures every part and writes the file; how fast it was is not tested."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FIGURES = ("all_in_tasks_per_s_per_core", "extraction_ratio", "sink_ratio", "freshness_p50_s", "freshness_p99_s")


@pytest.mark.kafka
@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_quick_run_writes_positive_figures_and_the_commit(tmp_path: Path) -> None:
    output = tmp_path / "build" / "bench.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--output", str(output)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "tests")},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]

    report = json.loads(output.read_text())
    for figure in FIGURES:
        assert isinstance(report[figure], float)
        assert report[figure] > 0
    assert report["freshness_p50_s"] <= report["freshness_p99_s"]
    assert len(report["commit"].removesuffix("-dirty")) == 40
    assert report["machine"]["cores"] >= 1
