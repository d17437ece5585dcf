"""Upstream's SDK in an environment of its own, and the project that it talks to."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.shapes import OneProcess

ROOT = Path(__file__).parents[3]
PROJECT_ID = "legacy"
REQUIREMENTS = (
    "phospho==0.3.45",
    "pandas>=2.2,<4",
    "openai>=2,<4",
    # Later ones have lost the argument with which upstream's tracer calls them.
    "opentelemetry-instrumentation-openai>=0.33.4,<0.41",
)
DEFINITIONS = """
definitions:
  - {name: flight, engine: keyword, scope: input, keywords: [flight]}
  - {name: refund, engine: keyword, scope: input, keywords: [refund, money back]}
"""
INSTALL_TIMEOUT_S = 110.0
SCENARIO_TIMEOUT_S = 60.0

RunOldSdk = Callable[[str], Any]


@pytest.fixture(scope="session")
def old_python() -> Path:
    """
    The interpreter of an environment that holds upstream's package and nothing of ours.

    It stays in build/ between runs, under a name that changes with what is in it.
    """
    what = "\n".join([*REQUIREMENTS, sys.version]).encode()
    folder = ROOT / "build" / f"old-sdk-{hashlib.sha256(what).hexdigest()[:12]}"
    done = folder / "installed"
    with (ROOT / "build" / "old-sdk.lock").open("w") as lock:
        # Tests run in several processes: one installs, the others wait for it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            _install(folder)
            done.touch()
    return folder / "bin" / "python"


def _install(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    run = {"check": True, "timeout": INSTALL_TIMEOUT_S, "env": _environment(), "cwd": ROOT / "build"}
    subprocess.run([sys.executable, "-m", "venv", str(folder)], **run)
    subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-compile", *REQUIREMENTS], **run)


@pytest.fixture(scope="package")
def legacy(up: OneProcess, tmp_path_factory: pytest.TempPathFactory) -> OneProcess:
    """A project with two definitions."""
    definitions = tmp_path_factory.mktemp("legacy") / "definitions.yaml"
    definitions.write_text(DEFINITIONS)
    shape = up.of_project(PROJECT_ID)
    shape.phospho("definitions", "apply", str(definitions))
    return shape


@pytest.fixture(scope="package")
def run_old_sdk(old_python: Path, legacy: OneProcess, tmp_path_factory: pytest.TempPathFactory) -> RunOldSdk:
    """Return a function that runs a scenario of old_sdk.py, once, to its end and gives what it printed."""
    script = Path(__file__).with_name("old_sdk.py")

    @functools.cache
    def run(scenario: str) -> Any:
        command = [str(old_python), "-I", str(script), scenario, legacy.base_url, legacy.api_key, PROJECT_ID]
        folder = tmp_path_factory.mktemp(scenario)
        done = subprocess.run(
            command, env=_environment(), cwd=folder, capture_output=True, text=True, timeout=SCENARIO_TIMEOUT_S
        )
        assert done.returncode == 0, done.stdout + done.stderr
        said = json.loads(done.stdout.splitlines()[-1])
        assert said["version"] == "0.3.45"
        assert Path(said["file"]).is_relative_to(old_python.parents[1])
        return said["result"]

    return run


def _environment() -> dict[str, str]:
    """Return an environment in which Python finds nothing of this project, and the SDK no settings of its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PHOSPHO_", "OPENAI_"))}
