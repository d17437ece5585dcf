"""docs/api.md: its examples run as they stand, against a served app, and its table names what there is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.served import served
from phospho_dashboard.app import api_operations, document
from phospho_dashboard.settings import DashboardSettings

TEXT = (Path(__file__).parents[2] / "docs/api.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.S)


@pytest.fixture(scope="module")
def base_url(world: Any) -> Iterator[str]:
    world.define("mine", "flight")
    for number in range(3):
        world.add_task("mine", f"t{number}", input=f"flight {number}", model="m-1", latency_ms=100.0 * number)
        world.add_analysis("mine", f"t{number}", "flight")
    with served(world.app_of(world.services(DashboardSettings(), world.publisher))) as address:
        yield address


@pytest.mark.parametrize(
    ("example", "shown"), list(zip(EXAMPLES, ["flight 2", "2026-01-01", "flight 2", "flight 1"], strict=True))
)
def test_an_example_runs(world: Any, base_url: str, example: str, shown: str) -> None:
    environment = os.environ | {"PHOSPHO_BASE_URL": base_url, "PHOSPHO_API_KEY": world.keys["mine"]}
    done = subprocess.run(
        [sys.executable, "-c", example], env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert shown in done.stdout


def test_the_table_names_every_path(world: Any) -> None:
    """By the first part of the path, which is what a reader looks for."""
    for path in document(api_operations())["paths"]:
        assert "/" + path.split("/")[3] in TEXT, path


def test_the_table_says_each_path_from_its_beginning() -> None:
    """A path without its beginning follows one of the same cell."""
    cells = [line.split("|")[1] for line in TEXT.splitlines() if line.startswith("| `")]
    firsts = [match[1] for cell in cells if (match := re.search(r"`(?:[A-Z]+ )?(/[^` ]*)", cell))]

    assert len(firsts) == len(cells)
    assert [path for path in firsts if not path.startswith("/api/v1/")] == []
