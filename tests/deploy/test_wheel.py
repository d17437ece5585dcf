"""The wheel of the server: every file of its packages, licences, and nothing else."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path


def test_wheel_has_each_file_of_packages_and_licences(request, tmp_path: Path) -> None:
    top = request.config.rootpath
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=top, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("phospho_pipeline-*.whl")
    settings = tomllib.loads((top / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    folders = settings["packages"]
    tracked = subprocess.run(["git", "ls-files", "-z", *folders], cwd=top, check=True, capture_output=True, text=True)

    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = {Path(name).name for name in archive.namelist() if "/licenses/" in name}

    parents = {str(Path(folder).parent) + "/" for folder in folders}
    files = {next(path.removeprefix(each) for each in parents if path.startswith(each))
             for path in tracked.stdout.split("\0") if path}  # fmt: skip
    assert names == files
    assert licences == {"LICENSE", "NOTICE"}
