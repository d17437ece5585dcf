"""Upstream's SDK in an environment of its own, and the project that it talks to."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.shapes import OneProcess

ROOT = Path(__file__).parents[3]
PROJECT_ID = "legacy"
PYTHON = ROOT / "build" / "upstream-sdk" / "bin" / "python"
DEFINITIONS = """
definitions:
  - {name: flight, engine: keyword, scope: input, keywords: [flight]}
  - {name: refund, engine: keyword, scope: input, keywords: [refund, money back]}
"""
SCENARIOS_TIMEOUT_S = 110.0

OldSdk = Callable[[str], Any]


@pytest.fixture(scope="session")
def old_python() -> Path:
    """The interpreter of an environment that holds upstream's package and nothing of ours."""
    if not PYTHON.exists():
        pytest.skip("Upstream's SDK is not installed. Run `make frameworks`.")
    return PYTHON


@pytest.fixture(scope="package")
def legacy(up: OneProcess, tmp_path_factory: pytest.TempPathFactory) -> OneProcess:
    """A project with two definitions."""
    definitions = tmp_path_factory.mktemp("legacy") / "definitions.yaml"
    definitions.write_text(DEFINITIONS)
    shape = up.of_project(PROJECT_ID)
    shape.phospho("definitions", "apply", str(definitions))
    return shape


@pytest.fixture(scope="package")
def old_sdk(old_python: Path, legacy: OneProcess, tmp_path_factory: pytest.TempPathFactory) -> OldSdk:
    """Run every scenario of old_sdk.py, and return a function that gives what the SDK returned in a scenario."""
    script, folder = Path(__file__).with_name("old_sdk.py"), tmp_path_factory.mktemp("old-sdk")
    command = [str(old_python), "-I", str(script), "results.json", legacy.base_url, legacy.api_key, PROJECT_ID]
    done = subprocess.run(
        command, env=_environment(), cwd=folder, capture_output=True, text=True, timeout=SCENARIOS_TIMEOUT_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads((folder / "results.json").read_text())
    assert document["version"] == "0.3.45"
    assert Path(document["file"]).is_relative_to(old_python.parents[1])

    def result_of(scenario: str) -> Any:
        outcome = document["outcomes"][scenario]
        assert "error" not in outcome, outcome["error"]
        return outcome["result"]

    return result_of


def _environment() -> dict[str, str]:
    """Return an environment in which Python finds nothing of this project, and the SDK no settings of its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PHOSPHO_", "OPENAI_"))}
