"""deploy/Dockerfile: a target per process, not root, healthy by the process's own word, nothing secret."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

Compose = dict[str, Any]
Stages = dict[str, dict[str, list[str]]]

PROCESSES = ["gateway", "extraction", "detection", "sink", "jobs", "dashboard"]


def lineage(stages: Stages, name: str) -> list[str]:
    """The stage and the stages it is built on, the nearest first; ends with the image it all starts from."""
    parent = stages[name]["FROM"][0]
    return [name, *(lineage(stages, parent) if parent in stages else [parent])]


@pytest.mark.parametrize("process", PROCESSES)
def test_each_process_has_a_target_on_the_common_base(stages: Stages, process: str) -> None:
    assert lineage(stages, process)[-2:] == ["base", "python:3.11-slim"]


@pytest.mark.parametrize("process", PROCESSES)
def test_no_process_runs_as_root(stages: Stages, process: str) -> None:
    """A number, not a name: Kubernetes' runAsNonRoot cannot look a name up."""
    users = [user for stage in lineage(stages, process)[:-1] for user in stages[stage].get("USER", [])]
    assert users == ["10001:10001"]


@pytest.mark.parametrize("process", PROCESSES)
def test_each_target_asks_its_own_process_whether_it_lives(stages: Stages, process: str) -> None:
    """The port of the check is the port of the command."""
    ours = [stages[stage] for stage in lineage(stages, process)[:-1]]
    [declared] = [check for stage in ours for check in stage.get("HEALTHCHECK", [])]
    check = json.loads(declared.partition(" CMD ")[2])
    command = json.loads(stages[process]["CMD"][0])
    assert check == ["python", "/opt/phospho/healthcheck.py", command[-1], "/healthz"]


@pytest.mark.parametrize("process", PROCESSES)
def test_compose_runs_the_target_by_its_own_command(compose: Compose, stages: Stages, process: str) -> None:
    service = compose["services"][process]
    assert service["build"]["target"] == process
    assert service["command"] == json.loads(stages[process]["CMD"][0])
    assert service["healthcheck"]["test"] == [
        *["CMD", "python", "/opt/phospho/healthcheck.py"],
        *[service["command"][-1], "/readyz"],
    ]


def test_setup_is_built_from_a_target_that_exists(compose: Compose, stages: Stages) -> None:
    assert compose["services"]["setup"]["build"]["target"] in stages


def test_what_is_installed_is_pinned(stages: Stages) -> None:
    [run] = [run for run in stages["build"]["RUN"] if "pip install" in run]
    pinned, traces = run.split("&& /opt/phospho/bin/pip install ")[1:]
    assert "requirements.txt > image.txt" in run
    assert pinned.strip() == "--no-deps -r image.txt ."
    assert traces.startswith("-c constraints.txt ")


def test_nothing_secret_can_be_left_in_a_layer(stages: Stages) -> None:
    """Build arguments and environment of an image can be read by whoever has it."""
    assert not [name for name, stage in stages.items() if "ARG" in stage]
    settings = " ".join(line for stage in stages.values() for line in stage.get("ENV", []))
    assert not re.search("(?i)password|key|secret|token|phospho_", settings)


def test_the_build_sees_each_package_and_nothing_by_default(root: Path) -> None:
    rules = (root / ".dockerignore").read_text().split()
    seen = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert "*" in rules
    with (root / "pyproject.toml").open("rb") as file:
        packages = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    for package in packages:
        assert seen & {str(folder) for folder in [Path(package), *Path(package).parents]}, package
    assert {"pyproject.toml", "requirements.txt", "constraints.txt", "deploy/healthcheck.py"} <= seen
