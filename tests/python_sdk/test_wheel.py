"""The wheel of the SDK: its name, no dependencies, and logging when installed alone."""

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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target)]
    subprocess.run(command, cwd=ROOT / "producers" / "python", check=True, capture_output=True, timeout=60)
    (wheel,) = target.glob("*.whl")
    return wheel


def test_wheel_is_typed_and_has_no_dependencies(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("/METADATA"))).decode()

    lines = metadata.splitlines()
    assert "phospho/py.typed" in names
    assert {"Name: phospho-sdk", f"Version: {phospho.__version__}"} <= set(lines)
    assert [line for line in lines if line.startswith("Requires-Dist") and "extra ==" not in line] == []


def test_wheel_installed_alone_logs(wheel: Path, tmp_path: Path, server: Any) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    install = [*pip, "install", "--no-index", "--quiet", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=60)

    program = f"import phospho; phospho.init(base_url={server.url!r}); phospho.log(input=phospho.__version__)"
    subprocess.run([str(python), "-c", program], check=True, capture_output=True, timeout=30)
    package_list = subprocess.run([*pip, "list", "--format=json"], check=True, capture_output=True, timeout=30)

    assert [log["input"] for log in server.logs] == [phospho.__version__]
    installed = {package["name"] for package in json.loads(package_list.stdout)}
    assert installed == {"phospho-sdk"}
