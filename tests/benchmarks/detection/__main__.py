"""
`python -m benchmarks.detection`: how well and how fast events are found; writes build/bench-detection.json.

Quality is what `phospho evaluate` says, by descriptions alone and after 10 labels of either kind, on the real
conversations of shared/data, on two domains of short turns that were written for this benchmark, and with `--sets` on
public sets (`public_sets`). `--mistyped` replaces, adds, leaves out or swaps 5 % of the letters of those.
"""

from __future__ import annotations

import argparse
import json
import random
import string
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.conversations import REPOSITORY
from benchmarks.detection.domains import Domain, domains
from benchmarks.detection.public_sets import public_domains
from benchmarks.machine import commit, machine
from benchmarks.sizes import say

_MEANS = ("mean_average_precision", "macro_f1", "spread")
_MISTYPED_SHARE = 0.05


def main() -> None:
    """Measure, write the file, and print the means."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="phospho-bench-") as folder:
        report: dict[str, Any] = {"commit": commit(), "machine": machine()}
        for domain in _domains(options, Path(folder)):
            report[domain.name] = {"zero_shot": evaluated(domain, options)}
            if options.shots:
                report[domain.name][f"{options.shots}_shots"] = evaluated(domain, options, options.shots, options.seeds)
            for kind, figures in report[domain.name].items():
                say(f"{domain.name:<14} {kind:<10} {_means(figures)}")
    if not options.sets:
        report["speed"] = _printed_by("benchmarks.detection.speed")
        say(f"speed: {report['speed']}")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=2) + "\n")
    say(f"written: {options.output}")


def _domains(options: argparse.Namespace, folder: Path) -> list[Domain]:
    if not options.sets:
        return domains(folder)
    change = mistyped if options.mistyped else str
    every = [*public_domains(options.sets, folder, change), *([] if options.mistyped else domains(folder))]
    return [domain for domain in every if not options.only or domain.name in options.only.split(",")]


def _means(figures: dict[str, Any]) -> str:
    """Return the means of a report, and behind them those without a student where there is one."""
    reports = [figures, figures.get("without_student", {})]
    return " | without a student ".join(
        str({name: report[name] for name in _MEANS if name in report}) for report in reports if report
    )


def mistyped(text: str) -> str:
    """Return a text with some letters left out, added, replaced or swapped, the same ones each time."""
    chance = random.Random(text)
    letters = list(text)
    for place in range(len(letters)):
        if letters[place].isalpha() and chance.random() < _MISTYPED_SHARE:
            letters[place] = _mistyped(letters, place, chance)
    return "".join(letters)


def _mistyped(letters: list[str], place: int, chance: random.Random) -> str:
    """Return what is typed instead of a letter; the following one is taken where both are swapped."""
    letter, other = letters[place], chance.choice(string.ascii_lowercase)
    kind = chance.randrange(4)
    if kind == 3 and place + 1 < len(letters) and letters[place + 1].isalpha():
        letters[place + 1], letter = letter, letters[place + 1]
        return letter
    return ("", letter + other, other, letter)[kind]


def evaluated(domain: Domain, options: argparse.Namespace, shots: int = 0, seeds: int = 1) -> dict[str, Any]:
    """Return what `phospho evaluate --json` prints, without a file of the library where one is named."""
    command = ["benchmarks.detection.smaller_library", options.without] if options.without else ["phospho_cli"]
    student = ["--no-student"] if options.no_student else []
    return _printed_by(
        *command, "evaluate", "--json", *domain.arguments(), f"--shots={shots}", f"--seeds={seeds}", *student
    )


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
    parser.add_argument("--sets", type=Path, help="a folder of public sets: see benchmarks.detection.public_sets")
    parser.add_argument("--only", default="", help="the domains to measure, separated by commas (default: all)")
    parser.add_argument("--no-student", action="store_true", help="measure descriptions alone")
    parser.add_argument("--mistyped", action="store_true", help="mistype the texts of the public sets")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "build" / "bench-detection.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
