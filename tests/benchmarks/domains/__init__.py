"""Domains to measure detection on, as the files that `phospho evaluate` reads."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import yaml

from benchmarks.conversations import REPOSITORY

FOLDER = Path(__file__).parent
SHARED = REPOSITORY.parent / "shared" / "data"
# Written for this benchmark, in FOLDER.
OWN = ("bank", "voice")


class Domain(NamedTuple):
    """Definitions, logs and labels."""

    name: str
    definitions: Path
    logs: Path
    labels: Path

    def arguments(self) -> list[str]:
        """Return the options of `phospho evaluate`."""
        files = {"--definitions": self.definitions, "--logs": self.logs, "--labels": self.labels}
        return [str(word) for option in files.items() for word in option]


def domains(folder: Path) -> list[Domain]:
    """Return all domains, having written those of OWN into `folder`; shared/data where it is beside the project."""
    own = [_written(name, folder) for name in OWN]
    shared = Domain(
        "shared_data",
        FOLDER / "shared_data.yaml",
        SHARED / "sgd-dev.jsonl.gz",
        SHARED / "sgd-dev-labels.jsonl.gz",
    )
    return [shared, *own] if shared.logs.exists() else own


def _written(name: str, folder: Path) -> Domain:
    said = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    events = {event["name"]: event for event in said["events"]}
    domain = Domain(name, *(folder / f"{name}.{kind}" for kind in ("yaml", "logs.jsonl.gz", "labels.jsonl.gz")))
    items = [{"name": name, "scope": "input", "description": one["description"]} for name, one in events.items()]
    domain.definitions.write_text(yaml.safe_dump({"definitions": items}))
    turns = [(text, name) for name, event in events.items() for text in event["says"]]
    turns += [(text, None) for text in said["other"]]
    _write(domain.logs, ({"task_id": str(place), "input": str(text)} for place, (text, _) in enumerate(turns)))
    _write(domain.labels, (_label(place, shown, events) for place, (_, shown) in enumerate(turns)))
    return domain


def _label(place: int, shown: str | None, names: Iterable[str]) -> dict[str, Any]:
    return {
        "task_id": str(place),
        "positive": [shown] if shown else [],
        "negative": [name for name in names if name != shown],
    }


def _write(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    with gzip.open(path, "wb") as file:
        file.writelines(orjson.dumps(line) + b"\n" for line in lines)
