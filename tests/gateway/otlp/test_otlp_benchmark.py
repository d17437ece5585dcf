"""The benchmark of OTLP measures every way; how fast it was is not tested."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[2]


def test_a_short_run_prints_every_figure_as_a_positive_number() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.otlp", "--traces", "100", "--rounds", "1"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(done.stdout)["spans_per_s_per_core"]
    assert len(figures) == 6
    assert all(figure > 0 for figure in figures.values())
