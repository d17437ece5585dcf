"""The benchmark of the SDK runs and prints its report. No test judges the measurements."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "sdk_log.py"


@pytest.mark.skipif(not SCRIPT.exists(), reason="needs the benchmarks beside the tests")
def test_benchmark_prints_measurements_as_json() -> None:
    command = [sys.executable, str(SCRIPT), "--calls", "100", "--imports", "1"]

    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    report = json.loads(printed)
    assert set(report["log_us"]) == {"taken", "server_hangs", "queue_is_full", "spooled"}
    assert all(0 < times["median"] <= times["p99"] <= times["max"] for times in report["log_us"].values())
    assert {"json", "phospho"} <= set(report["import_ms"])
