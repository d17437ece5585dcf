"""The deployment files as data: the compose file as docker-compose itself reads it, and the Dockerfile."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Compose = dict[str, Any]
Stages = dict[str, dict[str, list[str]]]


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the repository."""
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def tool() -> Callable[..., str]:
    """Run a program of the system, which must succeed, and return its output; a missing one is a failure."""
    return run_tool


def run_tool(program: str, *arguments: str, package: str, **environment: str) -> str:
    if shutil.which(program) is None:
        pytest.fail(f"{program} is missing; install it: apt-get install {package}")
    completed = subprocess.run(
        [program, *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


@pytest.fixture(scope="session")
def read_compose(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Compose]:
    """``docker-compose config`` under exactly the given variables, not those of the shell or of a .env."""
    no_variables = tmp_path_factory.mktemp("compose") / "env"
    no_variables.touch()

    def read(**environment: str) -> Compose:
        arguments = ["--env-file", str(no_variables), "--file", str(root / "docker-compose.yml"), "config"]
        config: Compose = yaml.safe_load(
            run_tool("docker-compose", *arguments, package="docker-compose", **environment)
        )
        return config

    return read


@pytest.fixture(scope="session")
def compose(read_compose: Callable[..., Compose]) -> Compose:
    """The compose file with every default."""
    return read_compose()


@pytest.fixture(scope="session")
def stages(root: Path) -> Stages:
    """For each named stage of the Dockerfile its instructions in order, as keyword: [arguments, …]."""
    text = (root / "deploy" / "Dockerfile").read_text()
    lines = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", text)).splitlines()
    stages: Stages = {}
    for line in filter(None, map(str.strip, lines)):
        keyword, arguments = re.sub(r"\s+", " ", line).split(" ", 1)
        if keyword == "FROM":
            parent, name = arguments.split(" AS ")
            stages[name] = {"FROM": [parent]}
        else:
            stages[name].setdefault(keyword, []).append(arguments)
    return stages
