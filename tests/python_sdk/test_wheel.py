"""The wheels of both names: the same files, no dependencies, and logging when installed alone."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

import phospho

pytest.importorskip("hatchling", reason="builds the wheels")

ROOT = next((folder for folder in Path(__file__).parents if (folder / "producers" / "python").is_dir()), None)
if ROOT is None:
    pytest.skip("needs the source folder of the SDK beside the tests", allow_module_level=True)


def build(folder: str, target: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target)]
    subprocess.run(command, cwd=ROOT / "producers" / folder, check=True, capture_output=True, timeout=60)
    return next(target.glob("*.whl"))


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {"phospho": "python", "phospho-sdk": "python-sdk-alias"}
    return {name: build(folder, tmp_path_factory.mktemp(name)) for name, folder in folders.items()}


def files(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.startswith("phospho/")}


def metadata(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        return archive.read(name).decode()


def test_wheels_of_both_names_hold_same_files(wheels: dict[str, Path]) -> None:
    assert files(wheels["phospho"]) == files(wheels["phospho-sdk"])
    assert "phospho/py.typed" in files(wheels["phospho"])


def test_wheels_have_same_version_and_no_dependencies(wheels: dict[str, Path]) -> None:
    for name, wheel in wheels.items():
        lines = metadata(wheel).splitlines()
        assert f"Name: {name}" in lines
        assert f"Version: {phospho.__version__}" in lines
        required = [line for line in lines if line.startswith("Requires-Dist") and "extra ==" not in line]
        assert required == []


@pytest.mark.parametrize("name", ["phospho", "phospho-sdk"])
def test_wheel_installed_alone_logs(wheels: dict[str, Path], name: str, tmp_path: Path, server: Any) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    install = [*pip, "install", "--no-index", "--quiet", str(wheels[name])]
    subprocess.run(install, check=True, capture_output=True, timeout=60)

    program = f"import phospho; phospho.init(base_url={server.url!r}); phospho.log(input=phospho.__version__)"
    subprocess.run([str(python), "-c", program], check=True, capture_output=True, timeout=30)
    package_list = subprocess.run([*pip, "list", "--format=json"], check=True, capture_output=True, timeout=30)

    assert [log["input"] for log in server.logs] == [phospho.__version__]
    installed = {package["name"] for package in json.loads(package_list.stdout)}
    assert installed == {name}
