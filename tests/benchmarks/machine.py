"""The commit that was measured, and the machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.conversations import REPOSITORY

_PACKAGES = (
    "phospho-pipeline",
    "confluent-kafka",
    "faststream",
    "clickhouse-connect",
    "chdb-core",
    "orjson",
    "uvicorn",
)


def machine() -> dict[str, Any]:
    """Return the machine, its load at this moment (a busy one measures others' work too), and the versions."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "load_average": list(os.getloadavg()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def commit() -> str:
    """Return the commit that is checked out, with -dirty where files differ from it."""
    return _git("rev-parse", "HEAD") + ("-dirty" if _git("status", "--porcelain") else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
