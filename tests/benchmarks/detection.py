"""
`python -m benchmarks.detection`: how well and how fast events are found; writes build/bench-detection.json.

Quality is what `phospho evaluate` says, by descriptions alone and after 10 labels of either kind, on the real
conversations of shared/data and on two domains of short turns that were written for this benchmark.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.conversations import REPOSITORY
from benchmarks.domains import Domain, domains
from benchmarks.machine import commit, machine
from benchmarks.sizes import say

_MEANS = ("mean_average_precision", "macro_f1", "spread")


def main() -> None:
    """Measure, write the file, and print the means."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="phospho-bench-") as folder:
        report: dict[str, Any] = {"commit": commit(), "machine": machine()}
        for domain in domains(Path(folder)):
            report[domain.name] = {
                "zero_shot": evaluated(domain, without=options.without),
                f"{options.shots}_shots": evaluated(domain, options.shots, options.seeds, options.without),
            }
            for kind, found in report[domain.name].items():
                means = {name: found[name] for name in _MEANS if name in found}
                say(f"{domain.name:<12} {kind:<10} {means}")
    report["speed"] = _printed_by("benchmarks.detection_speed")
    say(f"speed: {report['speed']}")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=2) + "\n")
    say(f"written: {options.output}")


def evaluated(domain: Domain, shots: int = 0, seeds: int = 1, without: str = "") -> dict[str, Any]:
    """Return what `phospho evaluate --json` prints, `without` a file of the library where one is named."""
    command = ["benchmarks.smaller_library", without] if without else ["phospho_cli"]
    return _printed_by(*command, "evaluate", "--json", *domain.arguments(), f"--shots={shots}", f"--seeds={seeds}")


def _printed_by(module: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", module, *arguments]
    answer = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=3_600)
    printed: dict[str, Any] = json.loads(answer.stdout)
    return printed


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=main.__doc__)
    parser.add_argument("--shots", type=int, default=10, help="labels of either kind an event (default: 10)")
    parser.add_argument("--seeds", type=int, default=5, help="how often they are drawn (default: 5)")
    parser.add_argument("--without", default="", help="a file of the library to leave out, such as bank.txt")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "build" / "bench-detection.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
